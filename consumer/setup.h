/*
 * setup.h — makes what reelbus needs: the tables, the topics, the schemas. Safe to run again.
 *
 * Way:  consumer setup
 */
#pragma once

#include "consumer/options.h"

/*
 * Do all of it, and say on standard output what was done.
 *
 * Takes:  options, borrowed for the call.
 * Fails:  DB_AWAY, DB_REFUSED, KAFKA_AWAY, BAD_OPTION, REGISTRY_AWAY, with the step that failed; the steps before it are
 *         done and stay.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_setup(const struct consumer_options *options, struct rb_error *err);

/*
 * The last step alone: look whether the store can be written, for a second one.
 *
 * Takes:  options, borrowed for the call.
 * Fails:  BAD_OPTION, STORE_*.
 * Loop:   as rb_setup.
 */
RB_MUST_CHECK int rb_setup_store(const struct consumer_options *options, struct rb_error *err);
