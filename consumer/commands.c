/*
 * commands.c — what an operator does with reelbus-consumer beside running it.
 *
 * Way:  consumer setup, consumer cleanup
 */
#include "consumer/commands.h"

#include <stdio.h>

#include "consumer/cleanup.h"
#include "consumer/setup.h"
#include "consumer/stores.h"

static int run(const struct rb_options *all_options, bool setup, struct rb_error *err)
{
    const struct consumer_options *options = all_options->values;
    struct rb_options fallback = {0};
    int result;

    RB_TRY(setup ? rb_setup(options, err) : rb_cleanup(options, err));
    RB_TRY(rb_stores_read_fallback(all_options, &fallback, err));
    if (fallback.values == NULL)
        return 0;
    result = setup ? rb_setup_store(fallback.values, err) : rb_cleanup(fallback.values, err);
    rb_options_done(&fallback);
    return result;
}

int rb_commands_run(const struct rb_options *options)
{
    struct rb_error err = {0};

    if (run(options, strcmp(options->command, "setup") == 0, &err) == 0)
        return 0;
    fprintf(stderr, "reelbus-consumer %s: %s\n", options->command, err.message);
    return 1;
}
