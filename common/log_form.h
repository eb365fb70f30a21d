/*
 * log_form.h — the forms that a line of the log can have: key=value, or the same as one JSON object.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

#define RB_LOG_LINE_BYTES 2048                          /* of key=value, with its line feed */
#define RB_LOG_FORM_BYTES (6 * RB_LOG_LINE_BYTES + 256) /* a form of it is no longer: \\u0001 for each byte */

/*
 * Write a line of key=value as one JSON object. Whole numbers of up to 15 digits become numbers, all else text, in valid
 * UTF-8 whatever came; a key that stands there twice is written once, and what is no key (a-z, 0-9,
 * _) is left out; a line that was cut is an object all the same.
 *
 * Takes:  line, borrowed, length bytes without the line feed, at most RB_LOG_LINE_BYTES; ret_text, RB_LOG_FORM_BYTES.
 * Gives:  how many bytes it has, without a NUL behind them.
 * Loop:   pure, any thread.
 */
size_t rb_log_json(const char *line, size_t length, char *ret_text);
