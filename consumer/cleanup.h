/*
 * cleanup.h — removes what is not to be kept: videos by rules of retention, and what killed processes have left unfinished.
 *
 * Way:  consumer cleanup
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer cleanup` is asked for, all that can be done of it.
 *
 * Gives:  the status to end with.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_cleanup(struct rb_command *command);
