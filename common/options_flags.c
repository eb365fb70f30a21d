/*
 * options_flags.c — flags and commands: options out of the arguments of a program.
 *
 * Way:  common
 */
#include "common/options_inside.h"

const struct rb_option_command *rb_options_find_command(const struct rb_option_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->command_count; i++)
        if (strcmp(spec->commands[i].name, name) == 0)
            return &spec->commands[i];
    return NULL;
}

/* The first word is the command, the others are what it is about. */
static int read_word(struct rb_options_reader *reader, const char *word)
{
    struct rb_options *options = reader->options;

    if (!reader->named) {
        const struct rb_option_command *command = rb_options_find_command(reader->spec, word);

        if (command == NULL)
            return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "unknown command '%.60s'; see --help", word);
        options->command = command;
        reader->named = true;
        return 0;
    }
    if (options->operand_count == options->command->operands_max)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "'%.60s' is too much; see %s --help", word,
                       options->command->name);
    options->operands[options->operand_count++] = word;
    return 0;
}

/* Flags of one command are no use to another, and some need a word or two. */
static int check_command(struct rb_options_reader *reader)
{
    const struct rb_option_command *command = reader->options->command;

    for (size_t i = 0; i < reader->spec->count; i++)
        if (reader->options->sources[i] == RB_FROM_FLAG && !rb_option_is_of(&reader->spec->rows[i], command))
            return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "option '%s' is not of the command '%s' but of: %s",
                           reader->spec->rows[i].name, command->name, reader->spec->rows[i].commands);
    if (command != NULL && reader->options->operand_count < command->operands_min)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "the command needs %s; see %s --help", command->operands,
                       command->name);
    return 0;
}

/* One flag, at argv[0]. Gives how many arguments it took, or -1. */
static int read_flag(struct rb_options_reader *reader, char **argv)
{
    const char *name = argv[0] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    RB_AUTO_TEXT *word = rb_xstrndup(name, length);
    const struct rb_option *row = rb_options_find(reader->spec, name, length);
    char where[96];

    snprintf(where, sizeof(where), "flag --%.80s", word);
    if (row != NULL && row->type == RB_OPTION_BOOL && value == NULL)
        return rb_options_set_from(reader, row, "true", where, RB_FROM_FLAG) < 0 ? -1 : 1;
    if (row == NULL && value == NULL && strncmp(word, "no-", 3) == 0) {
        row = rb_options_find(reader->spec, word + 3, length - 3);
        if (row != NULL && row->type == RB_OPTION_BOOL)
            return rb_options_set_from(reader, row, "false", where, RB_FROM_FLAG) < 0 ? -1 : 1;
    }
    if (rb_options_find(reader->spec, name, length) == NULL &&
        rb_options_find_secret_file(reader->spec, name, length) == NULL)
        return rb_options_fail_unknown(reader, word, where);
    if (value == NULL && argv[1] == NULL)
        return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "option '--%s' needs a value; see --help", word);
    RB_TRY(rb_options_set_by_name(reader, word, value != NULL ? value : argv[1], where, RB_FROM_FLAG));
    return value != NULL ? 1 : 2;
}

int rb_options_read_flags(struct rb_options_reader *reader, int argc, char **argv)
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
            RB_TRY(read_word(reader, argv[i]));
            i++;
        }
    }
    return check_command(reader);
}

/* The config file is named by a flag or the environment, and read before both of them count. */
int rb_options_find_config(struct rb_options_reader *reader, int argc, char **argv)
{
    reader->config_path = rb_options_variable(reader->environment, "REELBUS_CONFIG", "");
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
