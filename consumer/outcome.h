/*
 * outcome.h — what an error means for a video: try again, now or later, ask for a fresh URL, wait, or give up; and what
 * subscribers are told then.
 *
 * Way:  job -> [outcome]
 */
#pragma once

#include "common/error.h"
#include "consumer/budget.h"

enum rb_next {
    RB_NEXT_IN_PLACE,  /* after a pause, right here */
    RB_NEXT_LATER,     /* after a pause, through the topic of retries */
    RB_NEXT_ASK,       /* ask the provider for a fresh URL, now */
    RB_NEXT_ASK_LATER, /* the same, after a pause, through the topic of retries */
    RB_NEXT_WAIT,      /* after a pause, however long it takes: our own side is away */
    RB_NEXT_GIVE_UP,   /* write the failure down and announce it */
    RB_NEXT_STOP,      /* the program cannot go on */
};

/* What the decision depends on beside the error. Times are milliseconds since 1970. */
struct rb_situation {
    const struct rb_budget *budget; /* of the URL; borrowed */
    const struct rb_budget *asking; /* for asking the provider for a fresh one; NULL when nobody can be asked */
    bool asked;                     /* the provider was asked a moment ago */
    int64_t now;
    int64_t tried_at;    /* when the try that failed had begun */
    int64_t pause_ms;    /* by the backoff, with jitter */
    int64_t bound_ms;    /* the longest that this pause could have been: it grows with each failure */
    int64_t in_place_ms; /* pauses up to this are waited for in place */
};

/*
 * Decide.
 *
 * Takes:  err and situation, borrowed.
 * Gives:  with IN_PLACE, LATER, ASK_LATER and WAIT ret_pause_ms, how long to wait; what the other side asked for counts,
 *         and the last try is not missed.
 * Loop:   pure, any thread.
 */
enum rb_next rb_outcome_next(const struct rb_error *err, const struct rb_situation *situation, int64_t *ret_pause_ms);

/*
 * The class of a failure as video.store_failed has it: generation_failed, source, content, policy, quota, unknown_video,
 * storage. The last one is also what the row shows while a store is waited for.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_outcome_class(enum rb_code code);
