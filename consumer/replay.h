/*
 * replay.h — read the input topics once more, and store whatever is not stored.
 *
 * Way:  consumer replay -> [replay] -> replay_read -> replay_ask -> replay_video -> job
 *
 * Beside running consumers and without them: it is in a group of its own, used only to keep how far it is. What is stored is
 * passed over, thousands with one question to the database; the rest goes through the same jobs as everything else.
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer replay` is asked for.
 *
 * Gives:  the status to end with.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_replay(struct rb_command *command);
