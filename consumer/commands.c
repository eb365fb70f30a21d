/*
 * commands.c — the commands of an operator: which there are, and what each is started with.
 *
 * Way:  consumer setup, tail, ...
 */
#include "consumer/commands.h"

#include "consumer/backfill.h"
#include "consumer/cleanup.h"
#include "consumer/command.h"
#include "consumer/command_table.h"
#include "consumer/drain.h"
#include "consumer/inspect.h"
#include "consumer/pause.h"
#include "consumer/redrive.h"
#include "consumer/replay.h"
#include "consumer/say.h"
#include "consumer/setup.h"
#include "consumer/tail.h"
#include "consumer/usage_report.h"
#include "consumer/verify.h"

/* Does all that it can, names each failure, and ends with 1 when there was one; also when the fallback store is unknown. */
static int run_setup(struct rb_command *command)
{
    const struct consumer_options *fallback = NULL;
    struct rb_error err = {0};
    bool failed = rb_command_fallback(command, &fallback, &err) < 0;
    int status;

    if (failed)
        (void)rb_command_fail(command, &err);
    status = rb_setup(command->options, fallback);
    return failed ? RB_EXIT_FAILED : status;
}

static const struct {
    const char *name;
    int (*run)(struct rb_command *command);
} command_rows[] = {
#define ROW(name, function, operands, min, max, unneeded, help, description, examples) {#name, function},
    RB_COMMANDS(ROW)
#undef ROW
};

int rb_commands_run(const struct rb_options *options)
{
    struct rb_command command;
    struct rb_error err = {0};
    int status = RB_EXIT_USAGE;

    if (rb_command_open(&command, options, &err) < 0)
        return rb_command_fail(&command, &err);
    rb_say_as_json(command.options->command.json);
    for (size_t i = 0; i < RB_COUNT(command_rows); i++)
        if (strcmp(command_rows[i].name, options->command->name) == 0)
            status = command_rows[i].run(&command);
    return rb_command_close(&command, status);
}
