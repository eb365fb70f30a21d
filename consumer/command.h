/*
 * command.h — what every command of an operator has at hand: the options, a loop that Ctrl-C ends, and a way to end.
 *
 * Way:  consumer setup, tail, ...
 */
#pragma once

#include "common/bar.h"
#include "common/exit_codes.h"
#include "common/json.h"
#include "consumer/options.h"

struct rb_pg;

/* A command that runs. All that it borrows lives as long as it does. */
struct rb_command {
    uint32_t magic;
    const struct rb_options *all_options;   /* borrowed */
    const struct consumer_options *options; /* borrowed; the values of all_options */
    struct rb_loop *loop;
    struct rb_pg *pg;           /* NULL until command_sql.c is asked for the first time */
    struct rb_options fallback; /* of the second store; empty until it was asked for, and when there is none */
    struct rb_bar *bar;         /* NULL when none is shown */
    bool stopped;               /* by Ctrl-C or SIGTERM: come to an end */
    bool awake;                 /* rb_command_wait is to return */
    bool has_signals;
    bool runs;     /* the loop */
    int out_errno; /* why standard output takes no more; 0: it does */
};

/*
 * Begin.
 *
 * Takes:  options, borrowed until rb_command_close.
 * Fails:  BAD_OPTION. rb_command_close it all the same.
 * Loop:   before any loop runs.
 */
RB_MUST_CHECK int rb_command_open(struct rb_command *command, const struct rb_options *options, struct rb_error *err);

/*
 * End, and write what is still to be written.
 *
 * Takes:  status, one of common/exit_codes.h, as far as the command knows.
 * Gives:  the status to end with: another one when standard output could not be written.
 * Loop:   after the loop has run.
 */
int rb_command_close(struct rb_command *command, int status);

/*
 * The options of the second store.
 *
 * Gives:  ret_options, borrowed from the command; NULL when there is none.
 * Fails:  BAD_OPTION.
 * Loop:   before the loop runs; reads a file.
 */
RB_MUST_CHECK int rb_command_fallback(struct rb_command *command, const struct consumer_options **ret_options,
                                      struct rb_error *err);

/*
 * Run the loop until rb_command_wake, or until somebody ends the command.
 *
 * Gives:  false when somebody does: come to an end.
 * Loop:   outside of a running loop, as all below but rb_command_wake.
 */
bool rb_command_wait(struct rb_command *command);

/*
 * Let rb_command_wait return.
 *
 * Takes:  arg, the command: so it may be given as a callback.
 * Loop:   loop thread.
 */
void rb_command_wake(void *arg);

/*
 * Let some time go by, while the loop runs.
 *
 * Gives:  false when somebody ends the command before it has.
 * Loop:   as above.
 */
bool rb_command_pause(struct rb_command *command, int64_t ms);

/*
 * Make a call that blocks, on the pool, while the loop runs. A first Ctrl-C waits for it, a second one does not.
 *
 * Takes:  fn, run on another thread with arg; it has a deadline of its own.
 * Loop:   as above.
 */
void rb_command_block(struct rb_command *command, rb_loop_fn fn, void *arg);

/*
 * What a command ends with that this has ended.
 *
 * Loop:   pure, any thread.
 */
int rb_command_status(enum rb_code code);

/*
 * Say on standard error what failed. Nothing is said when it did so because somebody has ended the command.
 *
 * Gives:  the status to end with.
 * Loop:   as above; or loop thread.
 */
int rb_command_fail(struct rb_command *command, const struct rb_error *err);

/*
 * Say something on standard error that is no failure.
 *
 * Loop:   as above; or loop thread.
 */
void rb_command_note(struct rb_command *command, const char *format, ...) RB_PRINTF(2, 3);

/*
 * Print a value as one line of JSON.
 *
 * Takes:  value, owned by the callee from now on.
 * Loop:   as above; or loop thread.
 */
void rb_command_print(struct rb_command *command, json_t *value);

/*
 * Write what was printed.
 *
 * Gives:  false when nobody takes it any more: come to an end.
 * Loop:   as above; or loop thread; may wait for a reader.
 */
bool rb_command_flush(struct rb_command *command);

/*
 * A text as JSON, whatever its bytes are: what is no UTF-8 is replaced.
 *
 * Takes:  text, NULL for null.
 * Gives:  owned by the caller.
 * Loop:   pure, any thread.
 */
json_t *rb_command_text(const char *text);
