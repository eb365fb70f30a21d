/*
 * options_print.c — the option table as people read it: --help, --show-options, the manual.
 *
 * Way:  common
 */
#include <ctype.h>

#include "common/options_inside.h"
#include "common/units.h"

static const char *type_word(enum rb_option_type type)
{
    static const char *const words[] = {"TEXT", "SECRET", "BYTES", "TIME", "NUMBER", "", "KEY=VALUE"};

    return words[type];
}

static void print_flag(const struct rb_option *row, FILE *file)
{
    fputs("  --", file);
    for (const char *in = row->name; *in != '\0'; in++)
        fputc(*in == '_' ? '-' : *in, file);
    if (row->type != RB_OPTION_BOOL)
        fprintf(file, " %s", type_word(row->type));
    fputc('\n', file);
}

static void print_variable(const struct rb_option *row, FILE *file)
{
    fputs("REELBUS_", file);
    for (const char *in = row->name; *in != '\0'; in++)
        fputc(toupper((unsigned char)*in), file);
}

/* Wrap text at 78 columns, each line indented by 10. */
static void print_wrapped(const char *text, FILE *file)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > 78) {
            fputc('\n', file);
            column = 0;
        }
        column += (size_t)fprintf(file, "%*s%.*s", column == 0 ? 10 : 1, "", (int)word, text);
        text += word + (text[word] == ' ' ? 1 : 0);
    }
    fputc('\n', file);
}

static void print_commands(const struct rb_option_spec *spec, FILE *file)
{
    if (spec->command_count == 0)
        return;
    fputs("\nCommands (the first is the default; --help behind one tells more):\n", file);
    for (size_t i = 0; i < spec->command_count; i++)
        fprintf(file, "  %-10s %s\n", spec->commands[i].name, spec->commands[i].help);
}

void rb_options_print_row(const struct rb_option *row, FILE *file)
{
    char range[128];

    print_flag(row, file);
    print_wrapped(row->help, file);
    fprintf(file, "          %s", rb_options_range(row, range));
    if (row->fallback[0] != '\0')
        fprintf(file, "; default %s", row->fallback);
    if (row->also[0] != '\0')
        fprintf(file, "; also %s", row->also);
    fputc('\n', file);
}

void rb_options_print_help(const struct rb_option_spec *spec, FILE *file)
{
    fprintf(file, "Usage: %s %s[OPTION]...\n\n%s\n", spec->program, spec->command_count > 0 ? "[COMMAND] " : "",
            spec->summary);
    print_commands(spec, file);
    fputs("\nEach option is a flag, an environment variable (REELBUS_ and the name in capitals)\n"
          "and a line 'name = value' of the config file. A flag beats the environment, the\n"
          "environment beats the file. Secrets may also be given as a file: --NAME-file PATH.\n\n"
          "Options:\n"
          "  --help, --version, --show-options (effective values and where they come from)\n"
          "  --config PATH\n"
          "          file with 'name = value' lines\n",
          file);
    for (size_t i = 0; i < spec->count; i++)
        if (spec->rows[i].commands == NULL)
            rb_options_print_row(&spec->rows[i], file);
    fprintf(file, "\n%s", spec->examples);
}

static void print_value(const struct rb_option *row, const void *values, FILE *file)
{
    const void *field = (const char *)values + row->offset;
    const char *text = row->type == RB_OPTION_TEXT || row->type == RB_OPTION_SECRET || row->type == RB_OPTION_PAIRS
                           ? *(char *const *)field
                           : "";
    char amount[RB_UNITS_TEXT_BYTES];

    switch (row->type) {
    case RB_OPTION_TEXT:
        fputs(text, file);
        break;
    case RB_OPTION_SECRET:
    case RB_OPTION_PAIRS: /* may hold a password */
        fputs(*text != '\0' ? "(set)" : "(not set)", file);
        break;
    case RB_OPTION_BYTES:
        fputs(rb_units_bytes_text(*(const int64_t *)field, amount), file);
        break;
    case RB_OPTION_MS:
        fputs(rb_units_ms_text(*(const int64_t *)field, amount), file);
        break;
    case RB_OPTION_NUMBER:
        fprintf(file, "%lld", (long long)*(const int64_t *)field);
        break;
    case RB_OPTION_BOOL:
        fputs(*(const bool *)field ? "true" : "false", file);
        break;
    }
}

void rb_options_print_values(const struct rb_options *options, FILE *file)
{
    static const char *const sources[] = {"default", "file", "environment", "flag"};

    for (size_t i = 0; i < options->spec->count; i++) {
        const struct rb_option *row = &options->spec->rows[i];

        if (row->commands != NULL)
            continue;
        fprintf(file, "%s = ", row->name);
        print_value(row, options->values, file);
        fprintf(file, "  # %s\n", sources[options->sources[i]]);
    }
}

void rb_options_print_manual(const struct rb_option_spec *spec, FILE *file)
{
    char range[128];

    fprintf(
        file,
        "## %s\n\n%s\n\n| option | variable | accepts | default | what it does |\n| --- | --- | --- | --- | --- |\n",
        spec->program, spec->summary);
    for (size_t i = 0; i < spec->count; i++) {
        const struct rb_option *row = &spec->rows[i];

        if (row->commands != NULL)
            continue;
        fprintf(file, "| `%s` | `", row->name);
        print_variable(row, file);
        fprintf(file, "`%s%s%s | %s | %s%s%s | %s |\n", row->also[0] != '\0' ? " `" : "", row->also,
                row->also[0] != '\0' ? "`" : "", rb_options_range(row, range), row->fallback[0] != '\0' ? "`" : "",
                row->fallback, row->fallback[0] != '\0' ? "`" : "", row->help);
    }
    fputc('\n', file);
}
