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

/* Keys of all formats, as {video_id}.mp4, or {video_id}.thumbnail.webp of a variant. */
static int pick_keys(struct rb_plan *plan, const struct rb_row *row, const struct rb_plan_policy *policy,
                     const char *before, struct rb_error *err)
{
    for (unsigned format = RB_FORMAT_UNKNOWN + 1; format < RB_FORMAT_COUNT; format++) {
        RB_AUTO_TEXT *extension = rb_xprintf("%s%s", before, rb_format_info(format)->extension);

        if ((plan->formats & 1u << format) != 0)
            RB_TRY(rb_key_make(policy->key_template, row->user_id, row->video_id, extension, &plan->keys[format], err));
    }
    return 0;
}

int rb_plan_new(const struct rb_row *row, const struct rb_plan_source *source, const struct rb_plan_policy *policy,
                struct rb_plan **ret_plan, struct rb_error *err)
{
    RB_AUTO(rb_plan) *plan = rb_xalloc(sizeof(*plan));

    plan->formats = policy->formats;
    plan->anew = row->object_key != NULL;
    plan->likely = RB_FORMAT_MP4;
    plan->accept = "Accept: video/mp4, video/*, application/octet-stream";
    RB_TRY(pick_source(plan, source, policy, err));
    RB_TRY(pick_keys(plan, row, policy, "", err));
    *ret_plan = RB_STEAL(plan);
    return 0;
}

int rb_plan_variant_new(const struct rb_row *row, const struct rb_plan_source *source,
                        const struct rb_plan_policy *policy, enum rb_variant variant, struct rb_plan **ret_plan,
                        struct rb_error *err)
{
    RB_AUTO(rb_plan) *plan = rb_xalloc(sizeof(*plan));
    RB_AUTO_TEXT *before = rb_xprintf("%s.", rb_variant_name(variant));

    plan->formats = RB_FORMATS_OF_IMAGES;
    plan->anew = row->object_key != NULL;
    plan->likely = variant == RB_VARIANT_SPRITESHEET ? RB_FORMAT_JPEG : RB_FORMAT_WEBP;
    plan->accept = "Accept: image/webp, image/jpeg, image/png";
    RB_TRY(pick_source(plan, source, policy, err));
    RB_TRY(pick_keys(plan, row, policy, before, err));
    *ret_plan = RB_STEAL(plan);
    return 0;
}

void rb_plan_free(struct rb_plan *plan)
{
    if (plan == NULL)
        return;
    rb_url_done(&plan->url);
    free(plan->source);
    free(plan->traceparent);
    for (size_t i = 0; i < RB_COUNT(plan->keys); i++)
        free(plan->keys[i]);
    free(plan);
}
