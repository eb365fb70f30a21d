/*
 * notice.c — what a provider told us about a video.
 *
 * Way:  receive -> verify -> [notice] -> lookup -> resolve -> publish
 */
#include "producer/notice.h"

#include "common/adapter_kinds.h"
#include "producer/body.h"

static const rb_body_fn readers[] = {
    [RB_BODY_PLAIN] = rb_body_plain,
    [RB_BODY_OPENAI] = rb_body_openai,
    [RB_BODY_REPLICATE] = rb_body_replicate,
    [RB_BODY_OPENROUTER] = rb_body_openrouter,
    [RB_BODY_FAL] = rb_body_fal,
    [RB_BODY_GENERIC] = rb_body_generic,
};

int rb_notice_parse(const struct rb_provider_webhook *webhook, const char *body, size_t bytes,
                    struct rb_notice *ret_notice, struct rb_error *err)
{
    RB_AUTO_NOTICE notice = {.expires_at = RB_NO_LONG, .completed_at = RB_NO_LONG};
    RB_AUTO_JSON *object = NULL;

    RB_ASSERT(webhook->body != RB_BODY_NONE);
    if (webhook->body == RB_BODY_PLAIN)
        RB_TRY(rb_json_parse(body, bytes, &object, err));
    else
        RB_TRY(rb_json_parse_long(body, bytes, &object, err));
    RB_TRY(readers[webhook->body](webhook, object, &notice, err));
    *ret_notice = notice;
    notice = (struct rb_notice){0};
    return 0;
}

void rb_notice_done(struct rb_notice *notice)
{
    free(notice->provider_video_id);
    free(notice->video_url);
    free(notice->error_code);
    free(notice->error_message);
    *notice = (struct rb_notice){0};
}

const char *rb_notice_status_name(enum rb_notice_status status)
{
    static const char *const names[] = {"other", "completed", "failed"};

    return names[status];
}

int rb_body_take_id(struct rb_notice *notice, const json_t *value, const char *name, struct rb_error *err)
{
    const char *id = json_string_value(value);

    if (!rb_provider_id_valid(id))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "%s must be the provider's id of the video", name);
    notice->provider_video_id = rb_xstrdup(id);
    return 0;
}

void rb_body_take_completed(struct rb_notice *notice, const json_t *event, const json_t *data)
{
    notice->completed_at = adapter_time(json_object_get(data, "completed_at"));
    if (notice->completed_at == RB_NO_LONG)
        notice->completed_at = adapter_time(json_object_get(event, "created_at"));
}

void rb_body_take_error(struct rb_notice *notice, const json_t *value, const char *code)
{
    struct rb_adapter_answer answer = {0};

    adapter_take_error(value, &answer);
    notice->error_code = answer.error_code != NULL ? answer.error_code : rb_xstrdup(code);
    notice->error_message = answer.error_message;
}
