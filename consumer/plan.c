/*
 * plan.c — what to fetch, until when, and where to keep it.
 *
 * Way:  consume -> job -> [plan] -> guard -> download
 */
#include "consumer/plan.h"

#include "consumer/key.h"

static int pick_source(struct rb_plan *plan, const struct rb_plan_source *source, const struct rb_plan_policy *policy,
                       struct rb_error *err)
{
    if (source->url == NULL)
        return rb_fail(err, RB_E_URL_INVALID, 0, "the event has no URL to fetch the video from");
    RB_TRY(rb_url_parse(source->url, &plan->url, err));
    RB_TRY(rb_guard_url(&policy->guard, &plan->url, err));
    plan->source = rb_xstrdup(source->url);
    plan->deadline_unix_ms = source->until;
    return 0;
}

static int pick_key(struct rb_plan *plan, const struct rb_row *row, const struct rb_plan_policy *policy,
                    struct rb_error *err)
{
    RB_TRY(rb_key_make(policy->key_template, row->user_id, row->video_id, "mp4", &plan->key, err));
    RB_TRY(rb_key_make(policy->key_template, row->user_id, row->video_id, "webm", &plan->webm_key, err));
    return 0;
}

int rb_plan_new(const struct rb_row *row, const struct rb_plan_source *source, const struct rb_plan_policy *policy,
                struct rb_plan **ret_plan, struct rb_error *err)
{
    RB_AUTO(rb_plan) *plan = rb_xalloc(sizeof(*plan));

    RB_TRY(pick_source(plan, source, policy, err));
    RB_TRY(pick_key(plan, row, policy, err));
    *ret_plan = RB_STEAL(plan);
    return 0;
}

void rb_plan_free(struct rb_plan *plan)
{
    if (plan == NULL)
        return;
    rb_url_done(&plan->url);
    free(plan->source);
    free(plan->key);
    free(plan->webm_key);
    free(plan);
}
