/*
 * commands.h — what an operator does with reelbus-consumer beside running it.
 *
 * Way:  consumer setup, consumer cleanup
 */
#pragma once

#include "common/options.h"

/*
 * Do what options->command says: setup or cleanup. Both look after both stores, and do all that they can.
 *
 * Takes:  options, borrowed for the call.
 * Gives:  the program's status; what failed was said on standard error.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_commands_run(const struct rb_options *options);
