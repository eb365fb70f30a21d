/*
 * body_openai.c — OpenAI's event: {type, data: {id}}, which says no more than that. Gateways that say more are believed.
 *
 * Way:  receive -> verify -> notice -> [body_openai]
 */
#include "common/adapter_kinds.h"
#include "producer/body.h"

int rb_body_openai(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                   struct rb_error *err)
{
    const char *type = rb_json_text(object, "type");
    const json_t *data = json_object_get(object, "data");

    (void)webhook;
    if (type == NULL)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "type must be the type of an event");
    if (strcmp(type, "video.completed") == 0)
        notice->status = RB_NOTICE_COMPLETED;
    else if (strcmp(type, "video.failed") == 0)
        notice->status = RB_NOTICE_FAILED;
    else
        return 0; /* one endpoint gets all events of a project */
    RB_TRY(rb_body_take_id(notice, json_object_get(data, "id"), "data.id", err));
    if (notice->status == RB_NOTICE_COMPLETED)
        notice->video_url = adapter_find_url(json_object_get(data, "url"));
    else
        rb_body_take_error(notice, json_object_get(data, "error"), NULL);
    notice->expires_at = adapter_time(json_object_get(data, "expires_at"));
    rb_body_take_completed(notice, object, data);
    return 0;
}
