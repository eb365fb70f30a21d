/*
 * budget.c — how long a video is worth trying.
 *
 * Way:  job -> [budget] -> outcome
 */
#include "consumer/budget.h"

struct rb_budget rb_budget_make(const struct rb_budget_policy *policy, int64_t since, int64_t expires_at,
                                int64_t learnt_ms)
{
    int64_t until = since + (learnt_ms != RB_NO_LONG ? learnt_ms : policy->unknown_ms);

    if (expires_at != RB_NO_LONG)
        until = expires_at;
    return (struct rb_budget){
        .since = since,
        .until = RB_MIN(until, since + policy->longest_ms),
        .keep_ms = policy->keep_ms,
    };
}

int64_t rb_budget_last_try(const struct rb_budget *budget)
{
    int64_t whole_ms = RB_MAX(budget->until - budget->since, 0);

    return budget->until - RB_MIN(budget->keep_ms, whole_ms / 10);
}

int64_t rb_budget_next(const struct rb_budget *budget, int64_t now, int64_t tried_at, int64_t pause_ms)
{
    int64_t last = rb_budget_last_try(budget);

    if (now >= budget->until || tried_at >= last)
        return RB_NO_LONG;
    return RB_MAX(RB_MIN(now + pause_ms, last), now);
}

int64_t rb_budget_wait_ms(int64_t not_before, int64_t written_at, int64_t now)
{
    int64_t wait_ms = not_before - now;

    return written_at >= 0 ? RB_MIN(wait_ms, not_before - written_at) : wait_ms;
}
