/*
 * error.c — the table of errors, and how one is filled in.
 *
 * Way:  common
 */
#include "common/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

struct error_row {
    const char *name;
    enum rb_class class;
    const char *what;
};

static const struct error_row error_rows[] = {
#define ROW(code, class, what) [RB_E_##code] = {#code, RB_##class, what},
    RB_ERRORS(ROW)
#undef ROW
};

static char lower_names[RB_E_COUNT][24];

/* Before main and so before any thread: the names are written once and only read from then on. */
__attribute__((constructor)) static void lower_the_names(void)
{
    for (size_t code = 0; code < RB_E_COUNT; code++)
        for (size_t i = 0; error_rows[code].name[i] != '\0'; i++)
            lower_names[code][i] = (char)tolower((unsigned char)error_rows[code].name[i]);
}

static const struct error_row *error_row(enum rb_code code)
{
    RB_ASSERT((unsigned)code < RB_E_COUNT);
    return &error_rows[code];
}

int rb_fail(struct rb_error *err, enum rb_code code, int detail, const char *format, ...)
{
    va_list args;

    err->code = code;
    err->class = error_row(code)->class;
    err->detail = detail;
    err->wait_ms = 0;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return -1;
}

const char *rb_code_name(enum rb_code code)
{
    error_row(code);
    return lower_names[code];
}

const char *rb_code_what(enum rb_code code)
{
    return error_row(code)->what;
}
