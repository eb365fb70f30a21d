/*
 * inspect.h — one video's whole story: its rows, what happened to it, its object, and what comes next.
 *
 * Way:  consumer inspect -> [inspect] -> Postgres, store
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer inspect` is asked for.
 *
 * Gives:  the status to end with: FOUND when there is no such video, or its object is missing or another one.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_inspect(struct rb_command *command);
