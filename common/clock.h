/*
 * clock.h — what time it is, on the two clocks that matter.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

#define RB_TIME_TEXT_BYTES 25 /* "2026-11-22T18:30:00.123Z" and its NUL */

/*
 * Monotonic time: for durations and deadlines; means nothing outside this process.
 *
 * Gives:  milliseconds.
 * Loop:   any thread.
 */
int64_t rb_clock_ms(void);

/*
 * Wall time: for what people and other programs read.
 *
 * Gives:  milliseconds since 1970-01-01T00:00:00Z.
 * Loop:   any thread.
 */
int64_t rb_clock_unix_ms(void);

/*
 * The wall time of a moment of which the monotonic one was noted.
 *
 * Gives:  milliseconds since 1970-01-01T00:00:00Z.
 * Loop:   any thread.
 */
int64_t rb_clock_unix_of(int64_t ms);

/*
 * Write a wall time as RFC 3339 text in UTC with milliseconds.
 *
 * Takes:  ret_text, at least RB_TIME_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_clock_text(int64_t unix_ms, char *ret_text);

/*
 * Read a wall time as RFC 3339 writes it, of any offset, with any fraction of a second.
 *
 * Takes:  text, borrowed, may be NULL.
 * Gives:  0 and ret_unix_ms, or -1 when it is no such text.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_clock_parse(const char *text, int64_t *ret_unix_ms);
