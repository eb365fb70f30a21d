/*
 * body_fal.c — fal's result: {request_id, status, payload, error}. Models put their video in different places.
 *
 * Way:  receive -> verify -> notice -> [body_fal]
 */
#include "common/adapter_kinds.h"
#include "producer/body.h"

static const char *const url_places[] = {"/video", "/videos", "/video_url", "/output", "/url"};

int rb_body_fal(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                struct rb_error *err)
{
    const char *status = rb_json_text(object, "status");
    json_t *payload = json_object_get(object, "payload");

    (void)webhook;
    if (status != NULL && strcmp(status, "OK") == 0)
        notice->status = RB_NOTICE_COMPLETED;
    else if (status != NULL && strcmp(status, "ERROR") == 0)
        notice->status = RB_NOTICE_FAILED;
    else
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "status must be 'OK' or 'ERROR'");
    RB_TRY(rb_body_take_id(notice, json_object_get(object, "request_id"), "request_id", err));
    if (notice->status == RB_NOTICE_FAILED) {
        rb_body_take_error(notice, json_object_get(object, "error"), NULL);
        return 0;
    }
    for (size_t i = 0; i < RB_COUNT(url_places) && notice->video_url == NULL; i++)
        notice->video_url = adapter_find_url(rb_json_at(payload, url_places[i]));
    return 0;
}
