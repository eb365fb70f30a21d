/*
 * pg_array.h — arrays as Postgres reads them from text: {"a","b",NULL}. So one statement takes many values.
 *
 * Way:  common
 */
#pragma once

#include "common/buffer.h"

/*
 * Add an element, quoted and escaped: whatever is in it, it stays one text.
 *
 * Takes:  array, empty at first, in which the last brace is still missing; text, NULL for SQL's NULL.
 * Loop:   pure, any thread.
 */
void rb_pg_array_add(struct rb_buffer *array, const char *text);

/*
 * Add a number.
 *
 * Takes:  array, as rb_pg_array_add.
 * Loop:   pure, any thread.
 */
void rb_pg_array_add_number(struct rb_buffer *array, int64_t number);

/*
 * Add the last brace.
 *
 * Gives:  the text, borrowed from the buffer; "{}" when nothing was added.
 * Loop:   pure, any thread.
 */
const char *rb_pg_array_end(struct rb_buffer *array);
