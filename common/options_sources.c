/*
 * options_sources.c — defaults, config file and environment: where options come from before flags.
 *
 * Way:  common
 */
#include <ctype.h>
#include <openssl/crypto.h>

#include "common/options_inside.h"
#include "common/textfile.h"

#define CONFIG_FILE_MAX_BYTES (1 << 20)

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = rb_xstrdup(text);
}

static void set_path(char **field, const char *path)
{
    free(*field);
    *field = rb_xstrdup(path);
}

int rb_options_set_from(struct rb_options_reader *reader, const struct rb_option *row, const char *text,
                        const char *where, enum rb_option_source source)
{
    enum rb_option_source *from = &reader->options->sources[row - reader->spec->rows];

    if (row->type == RB_OPTION_PAIRS && *from != source) /* a stronger source replaces the pairs of a weaker one */
        set_text((char **)((char *)reader->options->values + row->offset), "");
    RB_TRY(rb_options_set(row, reader->options->values, text, where, reader->err));
    *from = source;
    set_path(&reader->options->secret_files[row - reader->spec->rows], NULL);
    return 0;
}

static int set_from_secret_file(struct rb_options_reader *reader, const struct rb_option *row, const char *path,
                                const char *where, enum rb_option_source source)
{
    RB_AUTO_TEXT *text = NULL;

    RB_TRY(rb_textfile_read_secret(path, &text, reader->err));

    int result = rb_options_set_from(reader, row, text, where, source);

    OPENSSL_cleanse(text, strlen(text));
    if (result == 0)
        set_path(&reader->options->secret_files[row - reader->spec->rows], path);
    return result;
}

/* A name that is not in the table may still be a secret's name with "_file" behind it. */
const struct rb_option *rb_options_find_secret_file(const struct rb_option_spec *spec, const char *name, size_t length)
{
    const size_t suffix = strlen("_file");

    if (length <= suffix || (strncmp(name + length - suffix, "_file", suffix) != 0 &&
                             strncmp(name + length - suffix, "-file", suffix) != 0))
        return NULL;

    const struct rb_option *row = rb_options_find(spec, name, length - suffix);

    return row != NULL && row->type == RB_OPTION_SECRET ? row : NULL;
}

int rb_options_fail_unknown(struct rb_options_reader *reader, const char *name, const char *where)
{
    const struct rb_option *nearest = rb_options_nearest(reader->spec, name);

    if (nearest == NULL)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "unknown option '%s' (from %s); see --help", name, where);
    return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "unknown option '%s' (from %s); did you mean '%s'?", name, where,
                   nearest->name);
}

int rb_options_set_by_name(struct rb_options_reader *reader, const char *name, const char *text, const char *where,
                           enum rb_option_source source)
{
    const struct rb_option *row = rb_options_find(reader->spec, name, strlen(name));

    if (row != NULL && row->commands != NULL && source != RB_FROM_FLAG)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "option '%s' (from %s) can only be given as a flag", name,
                       where);
    if (row != NULL)
        return rb_options_set_from(reader, row, text, where, source);
    row = rb_options_find_secret_file(reader->spec, name, strlen(name));
    if (row != NULL)
        return set_from_secret_file(reader, row, text, where, source);
    return rb_options_fail_unknown(reader, name, where);
}

const char *rb_options_variable(char **environment, const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t more = strlen(suffix);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && strncmp(*environment + length, suffix, more) == 0 &&
            (*environment)[length + more] == '=')
            return *environment + length + more + 1;
    return NULL;
}

void rb_options_variable_name(const struct rb_option *row, char *ret_name, size_t room)
{
    int used = snprintf(ret_name, room, "REELBUS_");

    for (const char *in = row->name; *in != '\0' && (size_t)used + 1 < room; in++)
        ret_name[used++] = (char)toupper((unsigned char)*in);
    ret_name[used] = '\0';
}

int rb_options_read_defaults(struct rb_options_reader *reader)
{
    for (size_t i = 0; i < reader->spec->count; i++) {
        const struct rb_option *row = &reader->spec->rows[i];

        if (row->type == RB_OPTION_PAIRS || ((row->type == RB_OPTION_TEXT || row->type == RB_OPTION_SECRET) &&
                                             row->fallback[0] == '\0')) /* empty may be the default of a longer text */
            set_text((char **)((char *)reader->options->values + row->offset), "");
        else
            RB_TRY(rb_options_set(row, reader->options->values, row->fallback, "default", reader->err));
    }
    return 0;
}

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static int read_config_line(struct rb_options_reader *reader, char *line, unsigned number)
{
    char where[160];
    char *text = trim(line);

    if (*text == '\0' || *text == '#')
        return 0;
    snprintf(where, sizeof(where), "%.120s line %u", reader->config_path, number);

    char *equals = strchr(text, '=');

    if (equals == NULL)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "%s: expected 'name = value'", where);
    *equals = '\0';
    return rb_options_set_by_name(reader, trim(text), trim(equals + 1), where, RB_FROM_FILE);
}

int rb_options_read_config(struct rb_options_reader *reader)
{
    RB_AUTO_TEXT *text = NULL;
    unsigned number = 0;

    if (reader->config_path == NULL)
        return 0;
    RB_TRY(rb_textfile_read(reader->config_path, CONFIG_FILE_MAX_BYTES, &text, reader->err));
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        RB_TRY(read_config_line(reader, line, ++number));
    }
    OPENSSL_cleanse(text, strlen(text));
    return 0;
}

static int read_variable(struct rb_options_reader *reader, const struct rb_option *row, const char *name)
{
    char where[96];
    const char *value = rb_options_variable(reader->environment, name, "");
    const char *path = row->type == RB_OPTION_SECRET ? rb_options_variable(reader->environment, name, "_FILE") : NULL;

    if (path != NULL) {
        snprintf(where, sizeof(where), "environment %s_FILE", name);
        return set_from_secret_file(reader, row, path, where, RB_FROM_ENVIRONMENT);
    }
    if (value == NULL || *value == '\0') /* an empty variable is how shells and compose files say "not set" */
        return 0;
    snprintf(where, sizeof(where), "environment %s", name);
    if (row->type != RB_OPTION_PAIRS)
        return rb_options_set_from(reader, row, value, where, RB_FROM_ENVIRONMENT);

    RB_AUTO_TEXT *pairs = rb_xstrdup(value);

    for (char *rest = pairs, *pair; (pair = strsep(&rest, ";")) != NULL;)
        RB_TRY(rb_options_set_from(reader, row, trim(pair), where, RB_FROM_ENVIRONMENT));
    return 0;
}

int rb_options_read_environment(struct rb_options_reader *reader)
{
    char name[80];

    for (size_t i = 0; i < reader->spec->count; i++) {
        const struct rb_option *row = &reader->spec->rows[i];

        if (row->commands != NULL)
            continue;
        if (row->also[0] != '\0')
            RB_TRY(read_variable(reader, row, row->also));
        rb_options_variable_name(row, name, sizeof(name));
        RB_TRY(read_variable(reader, row, name));
    }
    return 0;
}
