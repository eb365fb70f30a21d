/*
 * show.h — amounts and foreign text as people read them on a terminal.
 *
 * Way:  common
 */
#pragma once

#include "common/buffer.h"

#define RB_SHOW_TEXT_BYTES 32

/*
 * Write a number in groups of three digits: "1,234,567".
 *
 * Takes:  ret_text, at least RB_SHOW_TEXT_BYTES bytes, as all below.
 * Gives:  ret_text, as all below.
 * Loop:   pure, any thread, as all below.
 */
char *rb_show_count(int64_t count, char *ret_text);

/*
 * Write bytes in the unit in which they have one to four digits before the point: "812 B", "1.4 GiB".
 *
 * Loop:   as above.
 */
char *rb_show_bytes(int64_t bytes, char *ret_text);

/*
 * Write a duration in one or two units: "350 ms", "12 s", "3 min 5 s", "2 h 10 min", "4 d 3 h".
 *
 * Loop:   as above.
 */
char *rb_show_ms(int64_t ms, char *ret_text);

/*
 * Add text that others wrote, for a terminal: what is not printable becomes \n, \t or \x1b, so that no line is forged and no
 * terminal obeys it. Characters beyond ASCII stay when they are UTF-8.
 *
 * Takes:  bytes, count of them, borrowed for the call.
 * Loop:   as above.
 */
void rb_show_text(struct rb_buffer *buffer, const char *bytes, size_t count);

/*
 * The same in quotes, so that nothing in it passes for what stands behind it: quotes and backslashes in it get a backslash.
 *
 * Loop:   as above.
 */
void rb_show_quoted(struct rb_buffer *buffer, const char *bytes, size_t count);

/*
 * The same as a value in a line of name=value: in quotes when it is empty, or has a space, '=', a quote or a backslash.
 *
 * Loop:   as above.
 */
void rb_show_value(struct rb_buffer *buffer, const char *bytes, size_t count);

/*
 * How many bytes the UTF-8 character at the beginning has.
 *
 * Takes:  count, bytes that there are.
 * Gives:  1 to 4; 0 when there is none, as with bytes that are not UTF-8.
 * Loop:   as above.
 */
size_t rb_show_character(const char *bytes, size_t count);
