/*
 * buffer.c — bytes that grow.
 *
 * Way:  common
 */
#include "common/buffer.h"

#include <stdarg.h>
#include <stdio.h>

static void buffer_reserve(struct rb_buffer *buffer, size_t count)
{
    size_t needed = buffer->used + count + 1;

    if (needed <= buffer->cap)
        return;
    buffer->cap = RB_MAX(needed, buffer->cap * 2);
    buffer->bytes = rb_xrealloc(buffer->bytes, buffer->cap);
}

void rb_buffer_add(struct rb_buffer *buffer, const void *bytes, size_t count)
{
    buffer_reserve(buffer, count);
    if (count > 0)
        memcpy(buffer->bytes + buffer->used, bytes, count);
    buffer->used += count;
    buffer->bytes[buffer->used] = '\0';
}

char *rb_buffer_room(struct rb_buffer *buffer, size_t count)
{
    buffer_reserve(buffer, count);
    return buffer->bytes + buffer->used;
}

void rb_buffer_grew(struct rb_buffer *buffer, size_t count)
{
    RB_ASSERT(buffer->used + count < buffer->cap);
    buffer->used += count;
    buffer->bytes[buffer->used] = '\0';
}

void rb_buffer_print(struct rb_buffer *buffer, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);

    RB_ASSERT(length >= 0);
    buffer_reserve(buffer, (size_t)length);
    vsnprintf(buffer->bytes + buffer->used, (size_t)length + 1, format, again);
    va_end(again);
    buffer->used += (size_t)length;
}

char *rb_buffer_steal(struct rb_buffer *buffer)
{
    char *text = buffer->bytes != NULL ? buffer->bytes : rb_xstrdup("");

    *buffer = (struct rb_buffer){0};
    return text;
}

void rb_buffer_done(struct rb_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct rb_buffer){0};
}
