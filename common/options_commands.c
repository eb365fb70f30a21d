/*
 * options_commands.c — the commands of a program as people read about them: --help of one, the manual of all.
 *
 * Way:  common
 */
#include "common/exit_codes.h"
#include "common/options_inside.h"

static const struct {
    int status;
    const char *when;
} exit_rows[] = {
#define ROW(name, status, when) {(status), when},
    RB_EXIT_CODES(ROW)
#undef ROW
};

/* Is it one of the words of a list? */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

bool rb_option_is_of(const struct rb_option *row, const struct rb_option_command *command)
{
    return row->commands == NULL || (command != NULL && is_listed(row->commands, command->name));
}

/* The flags that it alone, or with a few others, has. */
static bool is_own(const struct rb_option *row, const struct rb_option_command *command)
{
    return row->commands != NULL && rb_option_is_of(row, command);
}

static bool has_own(const struct rb_option_spec *spec, const struct rb_option_command *command)
{
    for (size_t i = 0; i < spec->count; i++)
        if (is_own(&spec->rows[i], command))
            return true;
    return false;
}

static void print_usage(const struct rb_option_spec *spec, const struct rb_option_command *command, FILE *file)
{
    fprintf(file, "%s %s [OPTION]...%s%s\n", spec->program, command->name, command->operands != NULL ? " " : "",
            command->operands != NULL ? command->operands : "");
}

void rb_options_print_command(const struct rb_option_spec *spec, const struct rb_option_command *command, FILE *file)
{
    fputs("Usage: ", file);
    print_usage(spec, command, file);
    fprintf(file, "\n%s: %s\n%s%s", command->name, command->help, command->description != NULL ? "\n" : "",
            command->description != NULL ? command->description : "");
    if (has_own(spec, command))
        fputs("\nFlags of this command:\n", file);
    for (size_t i = 0; i < spec->count; i++)
        if (is_own(&spec->rows[i], command))
            rb_options_print_row(&spec->rows[i], file);
    fprintf(file, "\nAll other options are those of `%s --help`.\n\nIt ends with:\n", spec->program);
    for (size_t i = 0; i < RB_COUNT(exit_rows); i++)
        fprintf(file, "  %-4d %s\n", exit_rows[i].status, exit_rows[i].when);
    if (command->examples != NULL)
        fprintf(file, "\nExamples:\n%s", command->examples);
}

static void print_flags(const struct rb_option_spec *spec, const struct rb_option_command *command, FILE *file)
{
    char range[128];

    if (!has_own(spec, command))
        return;
    fputs("\n| flag | accepts | default | what it does |\n| --- | --- | --- | --- |\n", file);
    for (size_t i = 0; i < spec->count; i++) {
        const struct rb_option *row = &spec->rows[i];
        const char *tick = row->fallback[0] != '\0' ? "`" : "";

        if (!is_own(row, command))
            continue;
        fputs("| `--", file);
        for (const char *in = row->name; *in != '\0'; in++)
            fputc(*in == '_' ? '-' : *in, file);
        fprintf(file, "` | %s | %s%s%s | %s |\n", rb_options_range(row, range), tick, row->fallback, tick, row->help);
    }
}

void rb_options_print_commands(const struct rb_option_spec *spec, FILE *file)
{
    for (size_t i = 0; i < spec->command_count; i++) {
        const struct rb_option_command *command = &spec->commands[i];

        fprintf(file, "## %s\n\n    ", command->name);
        print_usage(spec, command, file);
        fprintf(file, "\n%s.\n%s%s", command->help, command->description != NULL ? "\n" : "",
                command->description != NULL ? command->description : "");
        print_flags(spec, command, file);
        if (command->examples != NULL)
            fprintf(file, "\n```\n%s```\n", command->examples);
        fputc('\n', file);
    }
    fputs("## What they end with\n\n| status | when |\n| --- | --- |\n", file);
    for (size_t i = 0; i < RB_COUNT(exit_rows); i++)
        fprintf(file, "| %d | %s |\n", exit_rows[i].status, exit_rows[i].when);
}
