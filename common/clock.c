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

int64_t rb_clock_unix_of(int64_t ms)
{
    return rb_clock_unix_ms() - (rb_clock_ms() - ms);
}

char *rb_clock_text(int64_t unix_ms, char *ret_text)
{
    static _Thread_local struct {
        time_t seconds;
        char text[RB_TIME_TEXT_BYTES];
    } last = {-1, ""}; /* many times fall into one second; of those, the milliseconds differ */
    time_t seconds = (time_t)(unix_ms / 1000);
    unsigned ms = (unsigned)(unix_ms % 1000);
    struct tm parts;

    if (seconds != last.seconds) {
        gmtime_r(&seconds, &parts);
        strftime(last.text, sizeof(last.text), "%Y-%m-%dT%H:%M:%S.000Z", &parts);
        last.seconds = seconds;
    }
    memcpy(ret_text, last.text, RB_TIME_TEXT_BYTES);
    for (size_t place = 22; place >= 20; place--, ms /= 10)
        ret_text[place] = (char)('0' + ms % 10);
    return ret_text;
}

/* Exactly count digits; moves on behind them. */
static bool take_digits(const char **text, int count, int *ret_number)
{
    int number = 0;

    for (int i = 0; i < count; i++) {
        if (**text < '0' || **text > '9')
            return false;
        number = number * 10 + *(*text)++ - '0';
    }
    *ret_number = number;
    return true;
}

static bool take_one_of(const char **text, const char *wanted)
{
    if (**text == '\0' || strchr(wanted, **text) == NULL)
        return false;
    (*text)++;
    return true;
}

/* The first three digits of a fraction count, the others are passed over. */
static bool take_fraction(const char **text, int *ret_ms)
{
    int digits = 0, ms = 0;

    if (take_one_of(text, ".")) {
        for (; **text >= '0' && **text <= '9'; (*text)++, digits++)
            ms += digits == 0   ? (**text - '0') * 100
                  : digits == 1 ? (**text - '0') * 10
                  : digits == 2 ? **text - '0'
                                : 0;
        if (digits == 0)
            return false;
    }
    *ret_ms = ms;
    return true;
}

static bool take_offset(const char **text, int *ret_minutes)
{
    int hours = 0, minutes = 0, sign = **text == '-' ? -1 : 1;

    if (!take_one_of(text, "Zz") && !(take_one_of(text, "+-") && take_digits(text, 2, &hours) &&
                                      take_one_of(text, ":") && take_digits(text, 2, &minutes)))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return hours < 24 && minutes < 60;
}

static bool take_date_and_time(const char **text, struct tm *parts)
{
    return take_digits(text, 4, &parts->tm_year) && take_one_of(text, "-") && take_digits(text, 2, &parts->tm_mon) &&
           take_one_of(text, "-") && take_digits(text, 2, &parts->tm_mday) && take_one_of(text, "Tt ") &&
           take_digits(text, 2, &parts->tm_hour) && take_one_of(text, ":") && take_digits(text, 2, &parts->tm_min) &&
           take_one_of(text, ":") && take_digits(text, 2, &parts->tm_sec);
}

int rb_clock_parse(const char *text, int64_t *ret_unix_ms)
{
    struct tm parts = {0};
    int ms, offset_minutes;

    if (text == NULL || !take_date_and_time(&text, &parts) || !take_fraction(&text, &ms) ||
        !take_offset(&text, &offset_minutes) || *text != '\0')
        return -1;
    if (parts.tm_year < 1970 || parts.tm_mon < 1 || parts.tm_mon > 12 || parts.tm_mday < 1 || parts.tm_mday > 31 ||
        parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60)
        return -1;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    *ret_unix_ms = ((int64_t)timegm(&parts) - offset_minutes * 60) * 1000 + ms;
    return 0;
}
