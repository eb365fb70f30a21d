/*
 * redrive.h — dead letters and final failures once more.
 *
 * Way:  consumer redrive -> [redrive] -> Kafka -> consume
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer redrive` is asked for.
 *
 * Gives:  the status to end with: FOUND when something that was wanted was left.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_redrive(struct rb_command *command);
