/*
 * options.c — reads options from defaults, file, environment and flags, by one table.
 *
 * Way:  common
 */
#include "common/options.h"

#include <ctype.h>
#include <openssl/crypto.h>

#include "common/log.h"
#include "common/textfile.h"
#include "common/version.h"

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

/* Everything that reading needs at hand. */
struct reader {
    const struct rb_option_spec *spec;
    struct rb_options *options;
    char **environment;
    const char *config_path; /* borrowed from the arguments or the environment */
    struct rb_error *err;
};

static int reader_set(struct reader *reader, const struct rb_option *row, const char *text, const char *where,
                      enum rb_option_source source)
{
    enum rb_option_source *from = &reader->options->sources[row - reader->spec->rows];

    if (row->type == RB_OPTION_PAIRS && *from != source) /* a stronger source replaces the pairs of a weaker one */
        set_text((char **)((char *)reader->options->values + row->offset), "");
    RB_TRY(rb_options_set(row, reader->options->values, text, where, reader->err));
    *from = source;
    set_path(&reader->options->secret_files[row - reader->spec->rows], NULL);
    return 0;
}

static int set_from_secret_file(struct reader *reader, const struct rb_option *row, const char *path, const char *where,
                                enum rb_option_source source)
{
    RB_AUTO_TEXT *text = NULL;

    RB_TRY(rb_textfile_read_secret(path, &text, reader->err));

    int result = reader_set(reader, row, text, where, source);

    OPENSSL_cleanse(text, strlen(text));
    if (result == 0)
        set_path(&reader->options->secret_files[row - reader->spec->rows], path);
    return result;
}

/* A name that is not in the table may still be a secret's name with "_file" behind it. */
static const struct rb_option *find_secret_file(const struct rb_option_spec *spec, const char *name, size_t length)
{
    const size_t suffix = strlen("_file");

    if (length <= suffix || (strncmp(name + length - suffix, "_file", suffix) != 0 &&
                             strncmp(name + length - suffix, "-file", suffix) != 0))
        return NULL;

    const struct rb_option *row = rb_options_find(spec, name, length - suffix);

    return row != NULL && row->type == RB_OPTION_SECRET ? row : NULL;
}

static int fail_unknown(struct reader *reader, const char *name, const char *where)
{
    const struct rb_option *nearest = rb_options_nearest(reader->spec, name);

    if (nearest == NULL)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "unknown option '%s' (from %s); see --help", name, where);
    return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "unknown option '%s' (from %s); did you mean '%s'?", name, where,
                   nearest->name);
}

static int reader_set_by_name(struct reader *reader, const char *name, const char *text, const char *where,
                              enum rb_option_source source)
{
    const struct rb_option *row = rb_options_find(reader->spec, name, strlen(name));

    if (row != NULL)
        return reader_set(reader, row, text, where, source);
    row = find_secret_file(reader->spec, name, strlen(name));
    if (row != NULL)
        return set_from_secret_file(reader, row, text, where, source);
    return fail_unknown(reader, name, where);
}

static int read_defaults(struct reader *reader)
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

static int read_config_line(struct reader *reader, char *line, unsigned number)
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
    return reader_set_by_name(reader, trim(text), trim(equals + 1), where, RB_FROM_FILE);
}

static int read_config(struct reader *reader)
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

static const char *find_variable(char **environment, const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t more = strlen(suffix);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && strncmp(*environment + length, suffix, more) == 0 &&
            (*environment)[length + more] == '=')
            return *environment + length + more + 1;
    return NULL;
}

static int read_variable(struct reader *reader, const struct rb_option *row, const char *name)
{
    char where[96];
    const char *value = find_variable(reader->environment, name, "");
    const char *path = row->type == RB_OPTION_SECRET ? find_variable(reader->environment, name, "_FILE") : NULL;

    if (path != NULL) {
        snprintf(where, sizeof(where), "environment %s_FILE", name);
        return set_from_secret_file(reader, row, path, where, RB_FROM_ENVIRONMENT);
    }
    if (value == NULL || *value == '\0') /* an empty variable is how shells and compose files say "not set" */
        return 0;
    snprintf(where, sizeof(where), "environment %s", name);
    if (row->type != RB_OPTION_PAIRS)
        return reader_set(reader, row, value, where, RB_FROM_ENVIRONMENT);

    RB_AUTO_TEXT *pairs = rb_xstrdup(value);

    for (char *rest = pairs, *pair; (pair = strsep(&rest, ";")) != NULL;)
        RB_TRY(reader_set(reader, row, trim(pair), where, RB_FROM_ENVIRONMENT));
    return 0;
}

static void variable_name(const struct rb_option *row, char *ret_name, size_t room)
{
    int used = snprintf(ret_name, room, "REELBUS_");

    for (const char *in = row->name; *in != '\0' && (size_t)used + 1 < room; in++)
        ret_name[used++] = (char)toupper((unsigned char)*in);
    ret_name[used] = '\0';
}

static int read_environment(struct reader *reader)
{
    char name[80];

    for (size_t i = 0; i < reader->spec->count; i++) {
        const struct rb_option *row = &reader->spec->rows[i];

        if (row->also[0] != '\0')
            RB_TRY(read_variable(reader, row, row->also));
        variable_name(row, name, sizeof(name));
        RB_TRY(read_variable(reader, row, name));
    }
    return 0;
}

static int read_command(struct reader *reader, const char *word)
{
    for (size_t i = 0; i < reader->spec->command_count; i++) {
        if (strcmp(reader->spec->commands[i].name, word) == 0) {
            reader->options->command = reader->spec->commands[i].name;
            return 0;
        }
    }
    return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "unknown command '%.60s'; see --help", word);
}

/* One flag, at argv[0]. Gives how many arguments it took, or -1. */
static int read_flag(struct reader *reader, char **argv)
{
    const char *name = argv[0] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    RB_AUTO_TEXT *word = rb_xstrndup(name, length);
    const struct rb_option *row = rb_options_find(reader->spec, name, length);
    char where[96];

    snprintf(where, sizeof(where), "flag --%.80s", word);
    if (row != NULL && row->type == RB_OPTION_BOOL && value == NULL)
        return reader_set(reader, row, "true", where, RB_FROM_FLAG) < 0 ? -1 : 1;
    if (row == NULL && value == NULL && strncmp(word, "no-", 3) == 0) {
        row = rb_options_find(reader->spec, word + 3, length - 3);
        if (row != NULL && row->type == RB_OPTION_BOOL)
            return reader_set(reader, row, "false", where, RB_FROM_FLAG) < 0 ? -1 : 1;
    }
    if (rb_options_find(reader->spec, name, length) == NULL && find_secret_file(reader->spec, name, length) == NULL)
        return fail_unknown(reader, word, where);
    if (value == NULL && argv[1] == NULL)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "option '--%s' needs a value; see --help", word);
    RB_TRY(reader_set_by_name(reader, word, value != NULL ? value : argv[1], where, RB_FROM_FLAG));
    return value != NULL ? 1 : 2;
}

static int read_flags(struct reader *reader, int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        if (strcmp(argv[i], "--show-options") == 0) {
            i++;
        } else if (strcmp(argv[i], "--config") == 0) {
            i += 2;
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            i++;
        } else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0') {
            int took = read_flag(reader, argv + i);

            RB_TRY(took);
            i += took;
        } else {
            RB_TRY(read_command(reader, argv[i]));
            i++;
        }
    }
    return 0;
}

/* The config file is named by a flag or the environment, and read before both of them count. */
static int find_config(struct reader *reader, int argc, char **argv)
{
    reader->config_path = find_variable(reader->environment, "REELBUS_CONFIG", "");
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            reader->config_path = argv[i] + 9;
        if (strcmp(argv[i], "--config") == 0) {
            if (argv[i + 1] == NULL)
                return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "option '--config' needs a path");
            reader->config_path = argv[i + 1];
        }
    }
    return 0;
}

/* A text that must not be empty and has no default has to be given by somebody. */
static int check_needed(struct reader *reader)
{
    char name[80];

    for (size_t i = 0; i < reader->spec->count; i++) {
        const struct rb_option *row = &reader->spec->rows[i];

        if ((row->type != RB_OPTION_TEXT && row->type != RB_OPTION_SECRET) || row->min == 0 ||
            **(char **)((char *)reader->options->values + row->offset) != '\0')
            continue;
        variable_name(row, name, sizeof(name));
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0,
                       "option '%s' is needed (%s): set it with a flag, in %s%s%s or in the config file", row->name,
                       row->help, name, row->also[0] != '\0' ? " or " : "", row->also);
    }
    return 0;
}

static int read_all(struct reader *reader, int argc, char **argv)
{
    RB_TRY(find_config(reader, argc, argv));
    RB_TRY(read_defaults(reader));
    RB_TRY(read_config(reader));
    RB_TRY(read_environment(reader));
    RB_TRY(read_flags(reader, argc, argv));
    return check_needed(reader);
}

/* Questions that need no valid options. Gives true when one was asked and answered. */
static bool answer_question(const struct rb_option_spec *spec, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            rb_options_print_help(spec, stdout);
        else if (strcmp(argv[i], "--version") == 0)
            printf("%s %s\n", spec->program, RB_VERSION);
        else if (strcmp(argv[i], "--show-options=markdown") == 0)
            rb_options_print_manual(spec, stdout);
        else if (strcmp(argv[i], "--show-log-events") == 0)
            rb_log_print_table(stdout);
        else
            continue;
        return true;
    }
    return false;
}

static bool asked_to_show(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--show-options") == 0)
            return true;
    return false;
}

int rb_options_read(const struct rb_option_spec *spec, int argc, char **argv, char **environment,
                    struct rb_options *ret_options)
{
    struct rb_error err = {0};
    struct rb_options options = {
        .spec = spec,
        .values = rb_xalloc(spec->values_bytes),
        .sources = rb_xalloc(spec->count * sizeof(*options.sources)),
        .secret_files = rb_xalloc(spec->count * sizeof(*options.secret_files)),
        .command = spec->command_count > 0 ? spec->commands[0].name : NULL,
    };
    struct reader reader = {.spec = spec, .options = &options, .environment = environment, .err = &err};
    int status = -1;

    if (answer_question(spec, argc, argv)) {
        status = 0;
    } else if (read_all(&reader, argc, argv) < 0) {
        fprintf(stderr, "%s: %s\n", spec->program, err.message);
        status = 2;
    } else if (asked_to_show(argc, argv)) {
        rb_options_print_values(&options, stdout);
        status = 0;
    }
    if (status >= 0)
        rb_options_done(&options);
    else
        *ret_options = options;
    return status;
}

int rb_options_read_secret(const struct rb_options *options, const char *name, char **ret_text, struct rb_error *err)
{
    const struct rb_option *row = rb_options_find(options->spec, name, strlen(name));
    char *text = NULL;

    RB_ASSERT(row != NULL && row->type == RB_OPTION_SECRET);

    const char *path = options->secret_files[row - options->spec->rows];

    if (path == NULL) {
        *ret_text = rb_xstrdup(*(char **)((char *)options->values + row->offset));
        return 0;
    }
    RB_TRY(rb_textfile_read_secret(path, &text, err));
    if ((int64_t)strlen(text) < row->min || (int64_t)strlen(text) > row->max) {
        OPENSSL_cleanse(text, strlen(text));
        free(text);
        return rb_fail(err, RB_E_BAD_OPTION, 0, "the secret in the file '%s' must have %lld to %lld bytes", path,
                       (long long)row->min, (long long)row->max);
    }
    *ret_text = text;
    return 0;
}

void rb_options_done(struct rb_options *options)
{
    if (options->spec == NULL)
        return;
    for (size_t i = 0; i < options->spec->count; i++) {
        const struct rb_option *row = &options->spec->rows[i];
        char **field = (char **)((char *)options->values + row->offset);

        free(options->secret_files[i]);
        if (row->type != RB_OPTION_TEXT && row->type != RB_OPTION_SECRET && row->type != RB_OPTION_PAIRS)
            continue;
        if (*field != NULL)
            OPENSSL_cleanse(*field, strlen(*field));
        free(*field);
    }
    free(options->values);
    free(options->sources);
    free(options->secret_files);
    *options = (struct rb_options){0};
}
