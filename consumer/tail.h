/*
 * tail.h — follow topics: records as lines or JSON, decoded.
 *
 * Way:  consumer tail -> [tail] -> tail_range, tail_show
 *
 * In no group, with nothing committed: whoever reads along disturbs nobody.
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer tail` is asked for.
 *
 * Gives:  the status to end with.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_tail(struct rb_command *command);
