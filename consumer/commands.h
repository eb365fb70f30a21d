/*
 * commands.h — the commands of an operator: which there are, and what each is started with.
 *
 * Way:  consumer setup, tail, ...
 */
#pragma once

#include "common/options.h"

/*
 * Do what options->command says. Ctrl-C and SIGTERM end it in order, a second one at once.
 *
 * Takes:  options, borrowed for the call; the command is another one than run.
 * Gives:  the program's status, one of common/exit_codes.h; what failed was said on standard error.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_commands_run(const struct rb_options *options);
