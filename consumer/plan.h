/*
 * plan.h — what to fetch, until when, and where to keep it.
 *
 * Way:  consume -> job -> [plan] -> guard -> download
 */
#pragma once

#include "consumer/guard.h"
#include "consumer/row.h"

#define RB_PLAN_ID_MAX_BYTES 128

struct rb_plan_policy {
    struct rb_guard guard;
    const char *bucket;   /* borrowed for as long as the policy is used */
    int64_t retry_for_ms; /* the budget of a video whose URL has no known expiry */
};

struct rb_plan {
    char *source;             /* owned */
    struct rb_url url;        /* the same, parsed */
    char *bucket;             /* owned */
    char *key;                /* owned; {user_id}/{video_id}.mp4 */
    char *webm_key;           /* owned; the same for what turns out to be a WebM */
    int64_t deadline_unix_ms; /* after this, failures are final */
};

/*
 * Make a plan for a claimed video.
 *
 * Takes:  row and policy, borrowed for the call.
 * Gives:  ret_plan, owned by the caller; rb_plan_free it.
 * Fails:  URL_INVALID, URL_REFUSED; BAD_EVENT when an id cannot be part of a key.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_plan_new(const struct rb_row *row, const struct rb_plan_policy *policy, struct rb_plan **ret_plan,
                              struct rb_error *err);

/*
 * Free it. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_plan_free(struct rb_plan *plan);

/*
 * When failures about this video become final.
 *
 * Gives:  milliseconds since 1970: the URL's expiry when it is known, else some time after the event came in.
 * Loop:   pure, any thread.
 */
int64_t rb_plan_deadline(const struct rb_row *row, const struct rb_plan_policy *policy);

RB_DEFINE_AUTO(rb_plan);
