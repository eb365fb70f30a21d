/*
 * units.c — amounts as people write them.
 *
 * Way:  common
 */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first, so that the writer takes the largest that divides. The decimal units are only read. */
static const struct unit byte_units[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
};
static const struct unit decimal_units[] = {
    {"TB", INT64_C(1000000000000)}, {"GB", 1000000000}, {"MB", 1000000}, {"kB", 1000}, {"", 1},
};
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

/* Digits only: no sign, no space, no base prefix. The rest of the text is the unit. */
static int parse_digits(const char *text, int64_t *ret_number, const char **ret_rest)
{
    char *rest;

    if (!isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    *ret_number = strtoll(text, &rest, 10);
    *ret_rest = rest;
    return errno == 0 ? 0 : -1;
}

static int apply_unit(int64_t number, const struct unit *unit, int64_t *ret_amount)
{
    int64_t amount;

    if (unit == NULL || __builtin_mul_overflow(number, unit->factor, &amount))
        return -1;
    *ret_amount = amount;
    return 0;
}

int rb_units_parse_bytes(const char *text, int64_t *ret_bytes)
{
    int64_t number;
    const char *rest;

    RB_TRY(parse_digits(text, &number, &rest));

    const struct unit *unit = find_unit(byte_units, RB_COUNT(byte_units), rest);

    if (unit == NULL)
        unit = find_unit(decimal_units, RB_COUNT(decimal_units), rest);
    return apply_unit(number, unit, ret_bytes);
}

int rb_units_parse_ms(const char *text, int64_t *ret_ms)
{
    int64_t number;
    const char *rest;

    RB_TRY(parse_digits(text, &number, &rest));
    if (number == 0 && *rest == '\0') {
        *ret_ms = 0;
        return 0;
    }
    return apply_unit(number, find_unit(time_units, RB_COUNT(time_units), rest), ret_ms);
}

int rb_units_parse_number(const char *text, int64_t *ret_number)
{
    bool minus = text[0] == '-';
    int64_t number;
    const char *rest;

    RB_TRY(parse_digits(text + (minus ? 1 : 0), &number, &rest));
    if (*rest != '\0')
        return -1;
    *ret_number = minus ? -number : number;
    return 0;
}

static char *amount_text(int64_t amount, const struct unit *units, size_t count, char *ret_text)
{
    size_t i = 0;

    while (i + 1 < count && (amount == 0 || amount % units[i].factor != 0))
        i++;
    snprintf(ret_text, RB_UNITS_TEXT_BYTES, "%" PRId64 "%s", amount / units[i].factor, units[i].name);
    return ret_text;
}

char *rb_units_bytes_text(int64_t bytes, char *ret_text)
{
    return amount_text(bytes, byte_units, RB_COUNT(byte_units), ret_text);
}

char *rb_units_ms_text(int64_t ms, char *ret_text)
{
    return amount_text(ms, time_units, RB_COUNT(time_units), ret_text);
}
