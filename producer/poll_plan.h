/*
 * poll_plan.h — what to make of a provider's answer, or of the lack of one; pure.
 *
 * Way:  poll -> adapter -> [poll_plan] -> publish
 */
#pragma once

#include "common/adapter.h"
#include "common/random.h"

/* What the operator wants; rb_poll_policy_of the options. */
struct rb_poll_policy {
    int64_t interval_ms;     /* between two polls of a video */
    int64_t grace_ms;        /* the same while its provider's webhooks work, and before the first */
    int64_t trust_ms;        /* webhooks work when one came within this time; 0: they are not expected */
    int64_t deadline_ms;     /* for a video to be finished */
    int64_t missing_ms;      /* how long a provider may not know a video before we believe it */
    int64_t announce_ms;     /* after an end was published, for the consumer to take it; then it is published again */
    int64_t progress_points; /* publish when so many percent points were made */
};

/*
 * The policy for one provider, which may have an interval and a deadline of its own.
 *
 * Loop:   pure, any thread.
 */
struct rb_poll_policy rb_poll_plan_policy(const struct rb_poll_policy *policy, const struct rb_provider_api *api);

/* A video as the lease gave it. All text is owned. Times are milliseconds since 1970 on the database's clock. */
struct rb_poll_row {
    char video_id[RB_UUID_TEXT_BYTES];
    char *user_id; /* may be NULL */
    char *provider_video_id;
    int64_t lease;            /* proves that it is still ours, when the row is written */
    char *status;             /* what was published last; NULL for nothing */
    int64_t progress;         /* as status; RB_NO_LONG for nothing */
    int64_t polls;            /* with this one */
    int64_t announced;        /* how often an end was published */
    int64_t now_ms;           /* when it was leased */
    int64_t waiting_since_ms; /* when it began to wait */
    int64_t missing_since_ms; /* since when the provider does not know it; RB_NO_LONG when it does */
};

enum rb_poll_verdict {
    RB_PLAN_QUIET,   /* nothing new */
    RB_PLAN_NEWS,    /* publish: it goes on */
    RB_PLAN_END,     /* publish: the provider has finished with it, one way or another */
    RB_PLAN_GIVE_UP, /* publish: we have, and the answer says why */
};

/*
 * Decide what to do with an answer.
 *
 * Takes:  answer, NULL when there was none; then err says why. Giving up fills the answer that is to be published into
 *         ret_given_up; rb_adapter_answer_done it.
 * Loop:   pure, any thread.
 */
enum rb_poll_verdict rb_poll_plan(const struct rb_poll_row *row, const struct rb_poll_policy *policy,
                                  const struct rb_adapter_answer *answer, const struct rb_error *err,
                                  struct rb_adapter_answer *ret_given_up);

/*
 * How long to rest after an end was published: longer each time, with jitter.
 *
 * Takes:  announced, how often it was published before; random, any 64 random bits.
 * Gives:  milliseconds, at least 1.
 * Loop:   pure, any thread.
 */
int64_t rb_poll_plan_rest_ms(const struct rb_poll_policy *policy, int64_t announced, uint64_t random);

/*
 * A duration and up to a fifth more or less.
 *
 * Takes:  random, any 64 random bits.
 * Gives:  at least 1.
 * Loop:   pure, any thread.
 */
int64_t rb_poll_plan_jitter_ms(int64_t ms, uint64_t random);

/*
 * Free what is in a row; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_poll_row_done(struct rb_poll_row *row);
