/*
 * body_answer.c — for bodies that are the object that the provider's API gives.
 *
 * Way:  receive -> verify -> notice -> [body_answer]
 */
#include "producer/body_answer.h"

static enum rb_notice_status notice_status(enum rb_adapter_status status)
{
    if (!rb_adapter_is_final(status))
        return RB_NOTICE_OTHER;
    return status == RB_ADAPTER_COMPLETED ? RB_NOTICE_COMPLETED : RB_NOTICE_FAILED;
}

int rb_body_take_answer(const struct adapter_kind *kind, const struct rb_provider *provider, json_t *object,
                        struct rb_notice *notice, struct rb_error *err)
{
    RB_AUTO_ADAPTER_ANSWER answer = {.expires_at_ms = RB_NO_LONG, .completed_at_ms = RB_NO_LONG};
    struct rb_error trouble = {0};

    if (kind->read(provider, "", object, &answer, &trouble) < 0)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "there is no status where it should be");
    notice->status = notice_status(answer.status);
    notice->video_url = RB_STEAL(answer.video_url);
    notice->error_code = RB_STEAL(answer.error_code);
    notice->error_message = RB_STEAL(answer.error_message);
    notice->expires_at = answer.expires_at_ms;
    notice->completed_at = answer.completed_at_ms;
    if (answer.status == RB_ADAPTER_EXPIRED && notice->error_code == NULL)
        notice->error_code = rb_xstrdup("expired");
    return 0;
}
