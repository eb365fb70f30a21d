/*
 * setup.h — makes what reelbus needs: the tables, the topics, the schemas, the buckets. Safe to run again.
 *
 * Way:  consumer setup
 */
#pragma once

#include "consumer/options.h"

/*
 * Do all of it that can be done, step by step, and say on standard output what was done, on standard error what was not.
 *
 * Takes:  options, and those of the fallback store, NULL when there is none; borrowed for the call.
 * Gives:  how many steps failed. The others are done and stay.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_setup(const struct consumer_options *options, const struct consumer_options *fallback);
