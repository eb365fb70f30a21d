/*
 * setup.h — makes what reelbus needs: the tables, the topics, the schemas, the buckets. Safe to run again.
 *
 * Way:  consumer setup
 */
#pragma once

#include "consumer/options.h"

/*
 * Do all of it that can be done, step by step, and say on standard output what was done, on standard error what was not. Or only
 * look what is missing, or print commands for rights, as the flags of the command say.
 *
 * Takes:  options, and those of the fallback store, NULL when there is none; borrowed for the call.
 * Gives:  the status to end with: FAILED when a step failed; the others are done and stay. FOUND when something is missing.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_setup(const struct consumer_options *options, const struct consumer_options *fallback);
