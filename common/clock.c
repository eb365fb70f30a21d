/*
 * clock.c — what time it is, on the two clocks that matter.
 *
 * Way:  common
 */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t rb_clock_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t rb_clock_unix_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

char *rb_clock_text(int64_t unix_ms, char *ret_text)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(ret_text, RB_TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text + 19, RB_TIME_TEXT_BYTES - 19, ".%03uZ", (unsigned)(unix_ms % 1000));
    return ret_text;
}
