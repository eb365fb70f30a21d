/*
 * buffer.h — bytes that grow: answers being read, text being written.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

struct rb_buffer {
    char *bytes; /* owned; always ends in a NUL that is not counted; NULL while nothing was added */
    size_t used;
    size_t cap;
};

/*
 * Add bytes at the end.
 *
 * Loop:   pure, any thread.
 */
void rb_buffer_add(struct rb_buffer *buffer, const void *bytes, size_t count);

/*
 * Make room at the end, for someone else to write to.
 *
 * Gives:  room for count bytes, borrowed until the next call; rb_buffer_grew says how many were written.
 * Loop:   pure, any thread.
 */
char *rb_buffer_room(struct rb_buffer *buffer, size_t count);

/*
 * Bytes were written into the room; at most as many as there was.
 *
 * Loop:   pure, any thread.
 */
void rb_buffer_grew(struct rb_buffer *buffer, size_t count);

/*
 * Add formatted text at the end.
 *
 * Loop:   pure, any thread.
 */
void rb_buffer_print(struct rb_buffer *buffer, const char *format, ...) RB_PRINTF(2, 3);

/*
 * Take the text out; the buffer is empty afterwards.
 *
 * Gives:  owned by the caller, never NULL, NUL at the end; free() it.
 * Loop:   pure, any thread.
 */
char *rb_buffer_steal(struct rb_buffer *buffer);

/*
 * Give back the memory; the buffer is empty and can be used again.
 *
 * Loop:   pure, any thread.
 */
void rb_buffer_done(struct rb_buffer *buffer);

#define RB_AUTO_BUFFER __attribute__((cleanup(rb_buffer_done))) struct rb_buffer
