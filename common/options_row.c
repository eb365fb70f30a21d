/*
 * options_row.c — one row of an option table: found by name, set from text, checked against its range.
 *
 * Way:  common
 */
#include "common/nearest.h"
#include "common/options.h"
#include "common/units.h"

const struct rb_option *rb_options_find(const struct rb_option_spec *spec, const char *name, size_t length)
{
    for (size_t i = 0; i < spec->count; i++) {
        const char *candidate = spec->rows[i].name;
        size_t at = 0;

        while (at < length && candidate[at] != '\0' &&
               (candidate[at] == name[at] || (candidate[at] == '_' && name[at] == '-')))
            at++;
        if (at == length && candidate[at] == '\0')
            return &spec->rows[i];
    }
    return NULL;
}

const struct rb_option *rb_options_nearest(const struct rb_option_spec *spec, const char *name)
{
    const struct rb_option *nearest = NULL;
    size_t best = rb_nearest_limit(name) + 1;

    for (size_t i = 0; i < spec->count; i++) {
        size_t far = rb_nearest_distance(name, spec->rows[i].name);

        if (far < best) {
            best = far;
            nearest = &spec->rows[i];
        }
    }
    return nearest;
}

char *rb_options_range(const struct rb_option *row, char *ret_text)
{
    char low[RB_UNITS_TEXT_BYTES], high[RB_UNITS_TEXT_BYTES];

    switch (row->type) {
    case RB_OPTION_TEXT:
    case RB_OPTION_SECRET:
        snprintf(ret_text, 128, "text of %lld to %lld bytes", (long long)row->min, (long long)row->max);
        break;
    case RB_OPTION_BYTES:
        snprintf(ret_text, 128, "%s to %s", rb_units_bytes_text(row->min, low), rb_units_bytes_text(row->max, high));
        break;
    case RB_OPTION_MS:
        snprintf(ret_text, 128, "%s to %s (ms, s, m, h, d)", rb_units_ms_text(row->min, low),
                 rb_units_ms_text(row->max, high));
        break;
    case RB_OPTION_NUMBER:
        snprintf(ret_text, 128, "%lld to %lld", (long long)row->min, (long long)row->max);
        break;
    case RB_OPTION_BOOL:
        snprintf(ret_text, 128, "true or false");
        break;
    case RB_OPTION_PAIRS:
        snprintf(ret_text, 128, "key=value, may be given again");
        break;
    }
    return ret_text;
}

static int refuse(const struct rb_option *row, const char *text, const char *where, struct rb_error *err)
{
    char range[128];
    bool secret = row->type == RB_OPTION_SECRET || row->type == RB_OPTION_PAIRS;

    return rb_fail(err, RB_E_BAD_OPTION, 0, "option '%s' (from %s): '%.60s' is not accepted; expected %s", row->name,
                   where, secret ? "(hidden)" : text, rb_options_range(row, range));
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = rb_xstrdup(text);
}

static void add_pair(char **field, const char *text)
{
    char *joined = *field == NULL || **field == '\0' ? rb_xstrdup(text) : rb_xprintf("%s\n%s", *field, text);

    free(*field);
    *field = joined;
}

static int parse_bool(const char *text, bool *ret_value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < RB_COUNT(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret_value = strcmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return -1;
}

static int parse_amount(const struct rb_option *row, const char *text, int64_t *ret_amount)
{
    int64_t amount;

    if (row->type == RB_OPTION_BYTES)
        RB_TRY(rb_units_parse_bytes(text, &amount));
    else if (row->type == RB_OPTION_MS)
        RB_TRY(rb_units_parse_ms(text, &amount));
    else
        RB_TRY(rb_units_parse_number(text, &amount));
    if (amount < row->min || amount > row->max)
        return -1;
    *ret_amount = amount;
    return 0;
}

int rb_options_set(const struct rb_option *row, void *values, const char *text, const char *where, struct rb_error *err)
{
    void *field = (char *)values + row->offset;
    int64_t length = (int64_t)strlen(text);

    switch (row->type) {
    case RB_OPTION_TEXT:
    case RB_OPTION_SECRET:
        if (length < row->min || length > row->max)
            return refuse(row, text, where, err);
        set_text(field, text);
        return 0;
    case RB_OPTION_BYTES:
    case RB_OPTION_MS:
    case RB_OPTION_NUMBER:
        return parse_amount(row, text, field) < 0 ? refuse(row, text, where, err) : 0;
    case RB_OPTION_BOOL:
        return parse_bool(text, field) < 0 ? refuse(row, text, where, err) : 0;
    case RB_OPTION_PAIRS:
        if (length > 0 && (strchr(text, '=') == NULL || text[0] == '='))
            return refuse(row, text, where, err);
        if (length > 0)
            add_pair(field, text);
        return 0;
    }
    RB_BUG("unknown option type");
}
