/*
 * backfill.h — videos of the application that nobody has ever told of: they are put on the bus.
 *
 * Way:  consumer backfill -> [backfill] -> Kafka -> consume, or replay
 *
 * Each is published as if its webhook had just come, and noted down once the brokers have it. Killed in between, it is published
 * once more, as the same event.
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer backfill` is asked for.
 *
 * Gives:  the status to end with.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_backfill(struct rb_command *command);
