/*
 * backoff.h — when to try again: exponential, capped, with full jitter.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

struct rb_backoff {
    int64_t first_ms; /* the longest first wait */
    int64_t max_ms;   /* no wait is longer */
    unsigned tries;   /* failures since the last success */
};

/*
 * The next wait: a random point between half of first_ms and first_ms * 2^tries, at most max_ms. The lower bound keeps a
 * loop from spinning; the randomness keeps a crowd from coming back together.
 *
 * Takes:  backoff, its tries are counted up; random, any 64 random bits.
 * Gives:  milliseconds, at least 1.
 * Loop:   pure, any thread.
 */
int64_t rb_backoff_next_ms(struct rb_backoff *backoff, uint64_t random);

/*
 * The longest that the next wait could be.
 *
 * Loop:   pure, any thread.
 */
int64_t rb_backoff_bound_ms(const struct rb_backoff *backoff);

/*
 * Begin again after a success.
 *
 * Loop:   pure, any thread.
 */
void rb_backoff_reset(struct rb_backoff *backoff);
