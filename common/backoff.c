/*
 * backoff.c — when to try again.
 *
 * Way:  common
 */
#include "common/backoff.h"

int64_t rb_backoff_bound_ms(const struct rb_backoff *backoff)
{
    int64_t low_ms = RB_MAX(backoff->first_ms / 2, 1);
    int64_t high_ms = RB_MAX(backoff->first_ms, 1);

    for (unsigned i = 0; i < backoff->tries && high_ms < backoff->max_ms; i++)
        high_ms *= 2;
    return RB_MAX(RB_MIN(high_ms, backoff->max_ms), low_ms);
}

int64_t rb_backoff_next_ms(struct rb_backoff *backoff, uint64_t random)
{
    int64_t low_ms = RB_MAX(backoff->first_ms / 2, 1);
    int64_t high_ms = rb_backoff_bound_ms(backoff);

    backoff->tries++;
    return low_ms + (int64_t)(random % (uint64_t)(high_ms - low_ms + 1));
}

void rb_backoff_reset(struct rb_backoff *backoff)
{
    backoff->tries = 0;
}
