/*
 * marks.c — how much may be stored, and from where on that is said.
 *
 * Way:  common
 */
#include "common/marks.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/units.h"

#define DAY_MS      86400000.0
#define OVER_MIN_MS 3600000 /* what came in less time says nothing about days */
#define DAYS_MAX    36500

/* "80%" or "900MB". */
static int read_mark(const char *text, int64_t quota_bytes, int64_t *ret_bytes)
{
    size_t length = strlen(text);
    int64_t percent;

    if (length == 0 || text[length - 1] != '%')
        return rb_units_parse_bytes(text, ret_bytes);

    RB_AUTO_TEXT *digits = rb_xprintf("%.*s", (int)length - 1, text);

    if (rb_units_parse_number(digits, &percent) < 0 || percent < 1 || percent > 100)
        return -1;
    *ret_bytes = quota_bytes / 100 * percent + quota_bytes % 100 * percent / 100;
    return 0;
}

int rb_marks_read(const char *name, int64_t quota_bytes, const char *warn, const char *stop, struct rb_marks *ret_marks,
                  struct rb_error *err)
{
    struct rb_marks marks = {.quota_bytes = quota_bytes};

    if (quota_bytes > 0) {
        if (read_mark(warn, quota_bytes, &marks.warn_bytes) < 0 || read_mark(stop, quota_bytes, &marks.stop_bytes) < 0)
            return rb_fail(err, RB_E_BAD_OPTION, 0,
                           "the marks of '%s' are '%.20s' and '%.20s', expected 1%% to 100%%, or bytes as in 900MB",
                           name, warn, stop);
        if (marks.warn_bytes > marks.stop_bytes || marks.stop_bytes > quota_bytes || marks.stop_bytes == 0)
            return rb_fail(err, RB_E_BAD_OPTION, 0,
                           "the marks of '%s' are %" PRId64 " and %" PRId64 " bytes: the warning must come first, and"
                           " both before %" PRId64,
                           name, marks.warn_bytes, marks.stop_bytes, quota_bytes);
    }
    *ret_marks = marks;
    return 0;
}

int rb_marks_read_low(const char *name, const char *low, struct rb_marks *marks, struct rb_error *err)
{
    int64_t low_bytes = 0;

    if (marks->quota_bytes > 0 &&
        (read_mark(low, marks->quota_bytes, &low_bytes) < 0 || low_bytes == 0 || low_bytes > marks->stop_bytes))
        return rb_fail(
            err, RB_E_BAD_OPTION, 0,
            "the low mark of '%s' is '%.20s', expected 1%% to 100%%, or bytes as in 900MB, and no more than %" PRId64,
            name, low, marks->stop_bytes);
    marks->low_bytes = low_bytes;
    return 0;
}

enum rb_marks_level rb_marks_level(const struct rb_marks *marks, int64_t bytes)
{
    if (marks->quota_bytes == 0 || bytes < marks->warn_bytes)
        return RB_MARKS_WELL;
    return bytes < marks->stop_bytes ? RB_MARKS_WARN : RB_MARKS_STOP;
}

const char *rb_marks_level_name(enum rb_marks_level level)
{
    static const char *const names[] = {"well", "warn", "stop"};

    return names[level];
}

int64_t rb_marks_days_left(const struct rb_marks *marks, int64_t bytes, int64_t grown_bytes, int64_t over_ms)
{
    double days;

    if (marks->quota_bytes == 0)
        return -1;
    if (bytes >= marks->stop_bytes)
        return 0;
    if (grown_bytes <= 0 || over_ms < OVER_MIN_MS)
        return -1;
    days = (double)(marks->stop_bytes - bytes) / (double)grown_bytes * ((double)over_ms / DAY_MS);
    return (int64_t)RB_MIN(days, DAYS_MAX);
}
