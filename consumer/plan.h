/*
 * plan.h — what to fetch, until when, and where to keep it.
 *
 * Way:  consume -> job -> [plan] -> guard -> download
 */
#pragma once

#include "common/adapter.h"
#include "consumer/container.h"
#include "consumer/guard.h"
#include "consumer/row.h"

struct rb_plan_policy {
    struct rb_guard guard;
    unsigned formats;         /* of videos that are stored */
    const char *key_template; /* checked; borrowed for as long as the policy is used */
};

/* What is fetched. */
struct rb_plan_source {
    const char *url; /* NULL when there is none; borrowed for the call */
    int64_t until;   /* failures after this are final; milliseconds since 1970 */
};

struct rb_plan {
    char *source;                /* owned */
    struct rb_url url;           /* the same, parsed */
    unsigned formats;            /* that it may have */
    enum rb_format likely;       /* and most have */
    const char *accept;          /* the header that says so; static */
    char *keys[RB_FORMAT_COUNT]; /* owned; by the template, for each of them */
    int64_t deadline_unix_ms;    /* after this, failures are final */
    char *traceparent;           /* of the transfer, for requests to the store; owned; NULL for none */
    bool anew;                   /* what the store has is not what it says: it was stored before, and is set back */
};

/*
 * Make a plan for a claimed video.
 *
 * Takes:  row, source and policy, borrowed for the call.
 * Gives:  ret_plan, owned by the caller; rb_plan_free it.
 * Fails:  URL_INVALID, URL_REFUSED; BAD_EVENT when an id cannot be part of a key.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_plan_new(const struct rb_row *row, const struct rb_plan_source *source,
                              const struct rb_plan_policy *policy, struct rb_plan **ret_plan, struct rb_error *err);

/*
 * The same for a variant of the video, which is kept next to it.
 *
 * Takes:  as rb_plan_new.
 * Gives:  as rb_plan_new.
 * Fails:  as rb_plan_new.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_plan_variant_new(const struct rb_row *row, const struct rb_plan_source *source,
                                      const struct rb_plan_policy *policy, enum rb_variant variant,
                                      struct rb_plan **ret_plan, struct rb_error *err);

/*
 * Free it. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_plan_free(struct rb_plan *plan);

RB_DEFINE_AUTO(rb_plan);
