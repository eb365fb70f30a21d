/*
 * moment.c — a moment as an operator names it.
 *
 * Way:  common
 */
#include "common/moment.h"

#include "common/clock.h"
#include "common/units.h"

#define DATE_BYTES 10

int rb_moment_parse(const char *name, const char *text, int64_t now_unix_ms, int64_t *ret_unix_ms, struct rb_error *err)
{
    RB_AUTO_TEXT *midnight = strlen(text) == DATE_BYTES ? rb_xprintf("%sT00:00:00Z", text) : NULL;
    int64_t ms;

    if (strcmp(text, "now") == 0) {
        *ret_unix_ms = now_unix_ms;
        return 0;
    }
    if (rb_units_parse_ms(text, &ms) == 0 && ms <= now_unix_ms) {
        *ret_unix_ms = now_unix_ms - ms;
        return 0;
    }
    if (rb_clock_parse(midnight != NULL ? midnight : text, &ms) == 0) {
        *ret_unix_ms = ms;
        return 0;
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0,
                   "option '%s' is '%.40s', expected a moment: 'now', '15m' (so long ago), '2026-10-01' or "
                   "'2026-10-01T12:30:00Z'",
                   name, text);
}
