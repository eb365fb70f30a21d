/*
 * options_inside.h — what the files options*.c share and nobody else sees.
 *
 * Way:  common
 */
#pragma once

#include "common/options.h"

/* Everything that reading needs at hand. */
struct rb_options_reader {
    const struct rb_option_spec *spec;
    struct rb_options *options;
    char **environment;
    const char *config_path; /* borrowed from the arguments or the environment */
    bool named;              /* a command was */
    struct rb_error *err;
};

/*
 * Set a row from one of the sources, and note that it was that one.
 *
 * Takes:  where, words for the message.
 * Fails:  as rb_options_set, into reader->err, as all below.
 * Loop:   before the loop runs, as all below.
 */
RB_MUST_CHECK int rb_options_set_from(struct rb_options_reader *reader, const struct rb_option *row, const char *text,
                                      const char *where, enum rb_option_source source);

/*
 * The same of a row by its name, or by a secret's name with "_file" behind it.
 *
 * Fails:  BAD_OPTION when there is no such row.
 * Loop:   as above; may read a file.
 */
RB_MUST_CHECK int rb_options_set_by_name(struct rb_options_reader *reader, const char *name, const char *text,
                                         const char *where, enum rb_option_source source);

/*
 * Say that there is no such option, and which one may have been meant.
 *
 * Gives:  always -1.
 * Loop:   as above.
 */
int rb_options_fail_unknown(struct rb_options_reader *reader, const char *name, const char *where);

/*
 * Find the secret that a name with "_file" behind it is about.
 *
 * Takes:  length, bytes of name that count.
 * Gives:  NULL when there is none.
 * Loop:   pure, any thread.
 */
const struct rb_option *rb_options_find_secret_file(const struct rb_option_spec *spec, const char *name, size_t length);

/*
 * Find a variable of the environment, by a name and a suffix that is added to it.
 *
 * Gives:  its value, borrowed from the environment; NULL when there is none.
 * Loop:   pure, any thread.
 */
const char *rb_options_variable(char **environment, const char *name, const char *suffix);

/*
 * The name of the variable that a row is read from.
 *
 * Loop:   pure, any thread.
 */
void rb_options_variable_name(const struct rb_option *row, char *ret_name, size_t room);

/*
 * A command of the spec, by its name.
 *
 * Gives:  NULL when there is none.
 * Loop:   pure, any thread.
 */
const struct rb_option_command *rb_options_find_command(const struct rb_option_spec *spec, const char *name);

/*
 * Print a row as --help shows it.
 *
 * Loop:   before the loop runs.
 */
void rb_options_print_row(const struct rb_option *row, FILE *file);

/*
 * Find out which config file is meant, from arguments and environment.
 *
 * Fails:  BAD_OPTION.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_options_find_config(struct rb_options_reader *reader, int argc, char **argv);

/*
 * Read one of the sources, all rows of it. A later one goes before an earlier one.
 *
 * Fails:  BAD_OPTION; all four.
 * Loop:   as above; files are read.
 */
RB_MUST_CHECK int rb_options_read_defaults(struct rb_options_reader *reader);
/* Loop: as above. */
RB_MUST_CHECK int rb_options_read_config(struct rb_options_reader *reader);
/* Loop: as above. */
RB_MUST_CHECK int rb_options_read_environment(struct rb_options_reader *reader);
/* Loop: as above. */
RB_MUST_CHECK int rb_options_read_flags(struct rb_options_reader *reader, int argc, char **argv);
