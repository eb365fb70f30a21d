/*
 * moment.h — a moment as an operator names it.
 *
 * Way:  common
 */
#pragma once

#include "common/error.h"

/*
 * Read a moment: "now"; "15m", that is so long ago; "2026-10-01", where that day begins in UTC; "2026-10-01T12:30:00Z", of any
 * offset.
 *
 * Takes:  name, of the option, for the message; text, borrowed for the call; now_unix_ms, so that the caller owns the clock.
 * Gives:  ret_unix_ms.
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_moment_parse(const char *name, const char *text, int64_t now_unix_ms, int64_t *ret_unix_ms,
                                  struct rb_error *err);
