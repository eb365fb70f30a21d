/*
 * options.c — reads options from defaults, file, environment and flags, by one table.
 *
 * Way:  common
 */
#include <openssl/crypto.h>

#include "common/log.h"
#include "common/options_inside.h"
#include "common/textfile.h"
#include "common/version.h"

static bool is_unneeded(const struct rb_options *options, const struct rb_option *row)
{
    return options->command != NULL && options->command->unneeded != NULL &&
           strcmp(options->command->unneeded, row->name) == 0;
}

/* A text that must not be empty and has no default has to be given by somebody. */
static int check_needed(struct rb_options_reader *reader)
{
    char name[80];

    for (size_t i = 0; i < reader->spec->count; i++) {
        const struct rb_option *row = &reader->spec->rows[i];

        if ((row->type != RB_OPTION_TEXT && row->type != RB_OPTION_SECRET) || row->min == 0 ||
            **(char **)((char *)reader->options->values + row->offset) != '\0' || is_unneeded(reader->options, row))
            continue;
        rb_options_variable_name(row, name, sizeof(name));
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0,
                       "option '%s' is needed (%s): set it with a flag, in %s%s%s or in the config file", row->name,
                       row->help, name, row->also[0] != '\0' ? " or " : "", row->also);
    }
    return 0;
}

static int read_all(struct rb_options_reader *reader, int argc, char **argv)
{
    RB_TRY(rb_options_find_config(reader, argc, argv));
    RB_TRY(rb_options_read_defaults(reader));
    RB_TRY(rb_options_read_config(reader));
    RB_TRY(rb_options_read_environment(reader));
    RB_TRY(rb_options_read_flags(reader, argc, argv));
    return check_needed(reader);
}

/* Of the command that is named before, or of all. */
static void answer_help(const struct rb_option_spec *spec, int count, char **argv)
{
    for (int i = 1; i < count; i++) {
        const struct rb_option_command *command = rb_options_find_command(spec, argv[i]);

        if (command != NULL) {
            rb_options_print_command(spec, command, stdout);
            return;
        }
    }
    rb_options_print_help(spec, stdout);
}

/* Questions that need no valid options. Gives true when one was asked and answered. */
static bool answer_question(const struct rb_option_spec *spec, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            answer_help(spec, argc, argv);
        else if (strcmp(argv[i], "--version") == 0)
            printf("%s %s\n", spec->program, RB_VERSION);
        else if (strcmp(argv[i], "--show-options=markdown") == 0)
            rb_options_print_manual(spec, stdout);
        else if (strcmp(argv[i], "--show-commands=markdown") == 0)
            rb_options_print_commands(spec, stdout);
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
        .command = spec->command_count > 0 ? &spec->commands[0] : NULL,
    };
    struct rb_options_reader reader = {.spec = spec, .options = &options, .environment = environment, .err = &err};
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
