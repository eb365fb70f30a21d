/*
 * setup_schemas.h — what setup does in the schema registry: our schemas, and whether they fit to what is there.
 *
 * Way:  consumer setup -> [setup_schemas] -> registry
 */
#pragma once

#include "common/loop.h"
#include "consumer/options.h"

/*
 * Register what is missing. Before that, each schema must fit to the newest one of its subject, as the registry sees it.
 *
 * Takes:  loop, that does not run; options, borrowed for the call.
 * Fails:  REGISTRY_AWAY, REGISTRY_REFUSED: one does not fit; nothing is registered then.
 * Loop:   before any loop runs; blocks, as below.
 */
RB_MUST_CHECK int rb_setup_schemas(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err);

/*
 * Look and register nothing.
 *
 * Gives:  ret_lacks, counted up by schemas that are not there, or do not fit.
 * Fails:  REGISTRY_AWAY, REGISTRY_REFUSED.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_setup_schemas_check(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                                         struct rb_error *err);
