/*
 * cleanup.h — removes what nobody needs any more from the store.
 *
 * Way:  consumer cleanup
 */
#pragma once

#include "consumer/options.h"

/*
 * Remove uploads that killed processes have left unfinished, and say on standard output how many they were, on standard error
 * what failed.
 *
 * Takes:  options, and those of the fallback store, NULL when there is none; borrowed for the call.
 * Gives:  the status to end with: FAILED when it failed in one of them.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_cleanup(const struct consumer_options *options, const struct consumer_options *fallback);
