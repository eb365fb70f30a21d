/*
 * command_stores.h — the stores, for commands: which of them has an object, and what it says about it.
 *
 * Way:  consumer inspect, verify -> [command_stores] -> store
 */
#pragma once

#include "consumer/command.h"
#include "consumer/stores.h"

/*
 * Which store do rows with this kind and bucket speak of?
 *
 * Takes:  store and bucket, as in the row; NULL is none.
 * Gives:  borrowed from stores; NULL when it is none of them.
 * Loop:   pure, any thread.
 */
const struct rb_target *rb_command_target(const struct rb_stores *stores, const char *store, const char *bucket);

/*
 * Ask a store for an object, and wait for the answer while the loop runs.
 *
 * Takes:  target, key, borrowed for the call.
 * Gives:  ret_answer.
 * Fails:  STORE_*, also when the command was ended meanwhile.
 * Loop:   outside of a running loop.
 */
RB_MUST_CHECK int rb_command_find(struct rb_command *command, const struct rb_target *target, const char *key,
                                  struct rb_store_answer *ret_answer, struct rb_error *err);

/*
 * Wait for the answer to an ask while the loop runs.
 *
 * Takes:  ask, whose on_change is rb_command_wake with the command; whoever has it forgets it.
 * Gives:  ret_answer.
 * Fails:  as above.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_command_answer(struct rb_command *command, const struct rb_target *target,
                                    const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err);
