/*
 * plan.c — what to fetch, until when, and where to keep it.
 *
 * Way:  consume -> job -> [plan] -> guard -> download
 */
#include "consumer/plan.h"

#include <ctype.h>

/* Ids become parts of keys and paths: nothing in them may mean anything there. */
static int check_id(const char *name, const char *id, struct rb_error *err)
{
    size_t length = strnlen(id, RB_PLAN_ID_MAX_BYTES + 1);
    bool fits = length > 0 && length <= RB_PLAN_ID_MAX_BYTES;

    for (size_t i = 0; fits && i < length; i++)
        fits = isalnum((unsigned char)id[i]) || id[i] == '_' || id[i] == '-';
    if (!fits)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "%s cannot be part of a key: it must be 1 to %d of A-Z a-z 0-9 _ -",
                       name, RB_PLAN_ID_MAX_BYTES);
    return 0;
}

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
    const char *user_id = row->user_id != NULL ? row->user_id : "anonymous";

    RB_TRY(check_id("the user id", user_id, err));
    RB_TRY(check_id("the video id", row->video_id, err));
    plan->bucket = rb_xstrdup(policy->bucket);
    plan->key = rb_xprintf("%s/%s.mp4", user_id, row->video_id);
    plan->webm_key = rb_xprintf("%s/%s.webm", user_id, row->video_id);
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
    free(plan->bucket);
    free(plan->key);
    free(plan->webm_key);
    free(plan);
}
