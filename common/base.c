/*
 * base.c — what base.h promises.
 *
 * Way:  common
 */
#include "common/base.h"

#include <stdarg.h>
#include <stdio.h>

static void (*bug_fn)(const char *line);

void rb_on_bug(void (*fn)(const char *line))
{
    bug_fn = fn;
}

void rb_bug(const char *file, int line, const char *what)
{
    char text[512];

    snprintf(text, sizeof(text), "level=crit ev=bug at=%s:%d what=\"%s\"", file, line, what);
    if (bug_fn != NULL)
        bug_fn(text);
    else
        fprintf(stderr, "%s\n", text);
    abort();
}

void *rb_xalloc(size_t bytes)
{
    void *ptr = calloc(1, bytes > 0 ? bytes : 1);

    if (ptr == NULL)
        RB_BUG("out of memory");
    return ptr;
}

void *rb_xrealloc(void *ptr, size_t bytes)
{
    void *grown = realloc(ptr, bytes > 0 ? bytes : 1);

    if (grown == NULL)
        RB_BUG("out of memory");
    return grown;
}

char *rb_xstrdup(const char *text)
{
    return text != NULL ? rb_xstrndup(text, strlen(text)) : NULL;
}

char *rb_xstrndup(const char *text, size_t length)
{
    size_t used = strnlen(text, length);
    char *copy = rb_xalloc(used + 1);

    memcpy(copy, text, used);
    return copy;
}

char *rb_xprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        RB_BUG("out of memory");
    va_end(args);
    return text;
}
