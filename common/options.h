/*
 * options.h — the engine of the option tables: one row is a flag, an environment variable, a line of the config file, a
 * field of a struct, a range check, a line of --help and a line of the manual.
 *
 * Way:  common
 *
 * A program writes its table as X(name, type, default, min, max, also, help) and makes from it, with the macros below,
 * the fields of its options struct and the rows of its specification. See producer/options.h.
 */
#pragma once

#include <stdio.h>

#include "common/error.h"

enum rb_option_type {
    RB_OPTION_TEXT,   /* char *;  min and max count bytes */
    RB_OPTION_SECRET, /* char *;  never printed; also read from the file that NAME_FILE names */
    RB_OPTION_BYTES,  /* int64_t; "4MiB" */
    RB_OPTION_MS,     /* int64_t; "20s" */
    RB_OPTION_NUMBER, /* int64_t */
    RB_OPTION_BOOL,   /* bool;    --name and --no-name, true and false */
    RB_OPTION_PAIRS,  /* char *;  "key=value" lines, one for each time the option is given */
};

#define RB_OPTION_CTYPE_TEXT   char *
#define RB_OPTION_CTYPE_SECRET char *
#define RB_OPTION_CTYPE_BYTES  int64_t
#define RB_OPTION_CTYPE_MS     int64_t
#define RB_OPTION_CTYPE_NUMBER int64_t
#define RB_OPTION_CTYPE_BOOL   bool
#define RB_OPTION_CTYPE_PAIRS  char *

/* A field of the options struct. Text is owned by the struct; rb_options_done frees it. */
#define RB_OPTION_FIELD(name, type, default_, min, max, also, help) RB_OPTION_CTYPE_##type name;

struct rb_option {
    const char *name; /* with underscores; the flag has dashes, the variable is REELBUS_NAME */
    enum rb_option_type type;
    const char *fallback; /* the default, as a person would write it */
    int64_t min, max;
    const char *also; /* a further environment variable that users already have; "" for none */
    const char *help;
    size_t offset;        /* of the field in the options struct */
    const char *commands; /* which have it, as in "tail verify": a flag of these alone, and no variable. NULL: all */
};

struct rb_option_command {
    const char *name;
    const char *help;        /* one line */
    const char *operands;    /* what may stand behind it, as in "[TOPIC]..."; NULL: nothing */
    size_t operands_min;     /* how many of these there must be ... */
    size_t operands_max;     /* ... and may be; at most RB_OPERANDS_MAX */
    const char *unneeded;    /* an option that all others need; NULL for none */
    const char *description; /* lines for its own page of --help; NULL for none */
    const char *examples;    /* likewise */
};

#define RB_OPERANDS_MAX 16

/* What a program tells the engine about itself. */
struct rb_option_spec {
    const char *program;
    const char *summary;
    const struct rb_option *rows;
    size_t count;
    size_t values_bytes;                      /* size of the options struct */
    const struct rb_option_command *commands; /* the first is the default; NULL when there are none */
    size_t command_count;
    const char *examples; /* lines for the end of --help */
};

enum rb_option_source { RB_FROM_DEFAULT, RB_FROM_FILE, RB_FROM_ENVIRONMENT, RB_FROM_FLAG };

/* The result of reading all sources. */
struct rb_options {
    const struct rb_option_spec *spec;
    void *values;                            /* owned; the program's options struct */
    enum rb_option_source *sources;          /* owned; per row */
    char **secret_files;                     /* owned; per row the file that its secret came from, or NULL */
    const struct rb_option_command *command; /* one of the spec's; NULL when there are none */
    const char *operands[RB_OPERANDS_MAX];   /* words behind it; borrowed from the arguments */
    size_t operand_count;
};

/*
 * Read the options of a program: default, then config file, then environment, then flags; the last one wins. Answers
 * --help, --version, --show-options, --show-commands and --show-log-events itself, on standard output. Complaints go to
 * standard error.
 *
 * Takes:  spec, borrowed for as long as options live.
 * Gives:  -1 when the program should go on, with ret_options filled (rb_options_done it); else the status with which
 *         it should exit: 0 after --help and the like, 2 when an option is wrong.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_options_read(const struct rb_option_spec *spec, int argc, char **argv, char **environment,
                                  struct rb_options *ret_options);

/*
 * A secret as it is now: read again from its file when it came from one. The values that were read first stay as they are.
 *
 * Takes:  name, of a row of type SECRET.
 * Gives:  ret_text, owned by the caller; wipe and free() it.
 * Fails:  BAD_OPTION, as at start.
 * Loop:   reads from the file system: when the operator asks for it.
 */
RB_MUST_CHECK int rb_options_read_secret(const struct rb_options *options, const char *name, char **ret_text,
                                         struct rb_error *err);

/*
 * Free what rb_options_read made; secrets are wiped first.
 *
 * Loop:   any thread.
 */
void rb_options_done(struct rb_options *options);

/*
 * Set one row from text, as any of the sources does. Pairs are added to those that are there.
 *
 * Takes:  where, words for the message, for example "environment REELBUS_LISTEN".
 * Fails:  BAD_OPTION; the message names the option, the source and the accepted range, never a secret.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_options_set(const struct rb_option *row, void *values, const char *text, const char *where,
                                 struct rb_error *err);

/*
 * Find a row by its name, with dashes or underscores.
 *
 * Takes:  length, bytes of name that count.
 * Gives:  NULL when there is none.
 * Loop:   pure, any thread.
 */
const struct rb_option *rb_options_find(const struct rb_option_spec *spec, const char *name, size_t length);

/*
 * The row whose name is most like a wrong one.
 *
 * Gives:  NULL when none is near.
 * Loop:   pure, any thread.
 */
const struct rb_option *rb_options_nearest(const struct rb_option_spec *spec, const char *name);

/*
 * Does a command have this row?
 *
 * Takes:  command, NULL for a program without any.
 * Loop:   pure, any thread.
 */
bool rb_option_is_of(const struct rb_option *row, const struct rb_option_command *command);

/*
 * The accepted range of a row, in words for people.
 *
 * Takes:  ret_text, at least 128 bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_options_range(const struct rb_option *row, char *ret_text);

/*
 * Print the page of --help.
 *
 * Loop:   before the loop runs.
 */
void rb_options_print_help(const struct rb_option_spec *spec, FILE *file);

/*
 * Print the page of --help of one command.
 *
 * Loop:   before the loop runs.
 */
void rb_options_print_command(const struct rb_option_spec *spec, const struct rb_option_command *command, FILE *file);

/*
 * Print the commands and what they end with as a page of the manual, in Markdown.
 *
 * Loop:   before the loop runs.
 */
void rb_options_print_commands(const struct rb_option_spec *spec, FILE *file);

/*
 * Print the effective values and where each comes from; secrets only as "(set)" or "(not set)".
 *
 * Loop:   before the loop runs.
 */
void rb_options_print_values(const struct rb_options *options, FILE *file);

/*
 * Print the table as a section of the manual, in Markdown.
 *
 * Loop:   before the loop runs.
 */
void rb_options_print_manual(const struct rb_option_spec *spec, FILE *file);
