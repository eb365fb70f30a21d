/*
 * drain.h — have nothing stored any more, and wait until nothing runs: before a deploy.
 *
 * Way:  consumer drain -> [drain] -> pause
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer drain` is asked for.
 *
 * Gives:  the status to end with: FOUND when the time was up before all had ended.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_drain(struct rb_command *command);
