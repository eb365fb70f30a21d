/*
 * pg_array.c — arrays as Postgres reads them from text.
 *
 * Way:  common
 */
#include "common/pg_array.h"

#include <inttypes.h>

static void add_separator(struct rb_buffer *array)
{
    rb_buffer_add(array, array->used == 0 ? "{" : ",", 1);
}

void rb_pg_array_add(struct rb_buffer *array, const char *text)
{
    add_separator(array);
    if (text == NULL) {
        rb_buffer_add(array, "NULL", 4);
        return;
    }
    rb_buffer_add(array, "\"", 1);
    for (size_t plain; *text != '\0'; text += plain) {
        if (*text == '"' || *text == '\\')
            rb_buffer_add(array, "\\", 1);
        plain = 1 + strcspn(text + 1, "\"\\");
        rb_buffer_add(array, text, plain);
    }
    rb_buffer_add(array, "\"", 1);
}

void rb_pg_array_add_number(struct rb_buffer *array, int64_t number)
{
    add_separator(array);
    rb_buffer_print(array, "%" PRId64, number);
}

const char *rb_pg_array_end(struct rb_buffer *array)
{
    if (array->used == 0)
        rb_buffer_add(array, "{", 1);
    rb_buffer_add(array, "}", 1);
    return array->bytes;
}
