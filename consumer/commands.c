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

int rb_commands_run(const struct rb_options *options)
{
    struct rb_options fallback = {0};
    struct rb_error err = {0};
    int failures = 0;

    if (rb_stores_read_fallback(options, &fallback, &err) < 0) {
        fprintf(stderr, "reelbus-consumer %s: %s\n", options->command, err.message);
        failures++;
    }
    failures += strcmp(options->command, "setup") == 0 ? rb_setup(options->values, fallback.values)
                                                       : rb_cleanup(options->values, fallback.values);
    if (fallback.values != NULL)
        rb_options_done(&fallback);
    return failures == 0 ? 0 : 1;
}
