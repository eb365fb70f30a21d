/*
 * cleanup.h — removes what nobody needs any more from the store.
 *
 * Way:  consumer cleanup
 */
#pragma once

#include "consumer/options.h"

/*
 * Remove uploads that killed processes have left unfinished, and say on standard output how many they were.
 *
 * Takes:  options, borrowed for the call.
 * Fails:  BAD_OPTION, STORE_*.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_cleanup(const struct consumer_options *options, struct rb_error *err);
