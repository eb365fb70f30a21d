/*
 * body_openrouter.c — OpenRouter's event: {type, data: {id, unsigned_urls, error}}.
 *
 * Way:  receive -> verify -> notice -> [body_openrouter]
 */
#include "common/adapter_kinds.h"
#include "producer/body.h"

int rb_body_openrouter(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                       struct rb_error *err)
{
    static const char prefix[] = "video.generation.";
    const char *type = rb_json_text(object, "type");
    const json_t *data = json_object_get(object, "data");
    const char *what;

    (void)webhook;
    if (type == NULL)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "type must be the type of an event");
    if (strncmp(type, prefix, strlen(prefix)) != 0)
        return 0;
    what = type + strlen(prefix);
    if (strcmp(what, "completed") == 0)
        notice->status = RB_NOTICE_COMPLETED;
    else if (strcmp(what, "failed") == 0 || strcmp(what, "cancelled") == 0 || strcmp(what, "expired") == 0)
        notice->status = RB_NOTICE_FAILED;
    else
        return 0;
    RB_TRY(rb_body_take_id(notice, json_object_get(data, "id"), "data.id", err));
    if (notice->status == RB_NOTICE_COMPLETED)
        notice->video_url = adapter_find_url(json_object_get(data, "unsigned_urls"));
    else
        rb_body_take_error(notice, json_object_get(data, "error"), strcmp(what, "failed") != 0 ? what : NULL);
    rb_body_take_completed(notice, object, data);
    return 0;
}
