/*
 * store_stop.h — stops everything that goes to a store when it says that nobody may write: over quota, or unknown to it.
 *
 * Way:  store_supabase -> [store_stop]
 *
 * One refusal is enough: what comes after it is refused here, without a request. After a pause one is let through, to see.
 */
#pragma once

#include "common/backoff.h"
#include "common/error.h"

struct rb_store_stop {
    struct rb_error why; /* code NONE while nothing is stopped */
    int64_t until_ms;    /* then one is let through */
    bool trying;         /* one was let through, and has not been answered */
    struct rb_backoff backoff;
};

enum rb_store_stop_change { RB_STORE_STOP_SAME, RB_STORE_STOP_BEGINS, RB_STORE_STOP_ENDS };

/*
 * Begin with nothing stopped.
 *
 * Takes:  first_ms, max_ms, of the pause before one is let through.
 * Loop:   pure, any thread.
 */
void rb_store_stop_init(struct rb_store_stop *stop, int64_t first_ms, int64_t max_ms);

/*
 * Would something be let through now?
 *
 * Fails:  STORE_FULL or STORE_DENIED, as the store had said it.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_store_stop_look(const struct rb_store_stop *stop, int64_t now_ms, struct rb_error *err);

/*
 * Let something through that will write. When the pause is over, one is.
 *
 * Fails:  as rb_store_stop_look.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_store_stop_pass(struct rb_store_stop *stop, int64_t now_ms, struct rb_error *err);

/*
 * The store has answered something that was to be written, or has been asked whether it is well.
 *
 * Takes:  error, code NONE when it went well; random, any 64 random bits.
 * Gives:  whether this begins or ends a stop.
 * Loop:   pure, any thread.
 */
enum rb_store_stop_change rb_store_stop_note(struct rb_store_stop *stop, const struct rb_error *error, int64_t now_ms,
                                             uint64_t random);
