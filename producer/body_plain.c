/*
 * body_plain.c — the body of one's own sender: {videoId, videoUrl, status}.
 *
 * Way:  receive -> verify -> notice -> [body_plain]
 */
#include "common/url.h"
#include "producer/body.h"

#define EXPIRES_MAX_S INT64_C(253402300799) /* the last second of the year 9999 */

static int read_status(const json_t *object, struct rb_notice *notice, struct rb_error *err)
{
    const char *status = rb_json_text(object, "status");

    if (status != NULL && strcmp(status, "completed") == 0)
        notice->status = RB_NOTICE_COMPLETED;
    else if (status != NULL && strcmp(status, "failed") == 0)
        notice->status = RB_NOTICE_FAILED;
    else
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "status must be 'completed' or 'failed'");
    return 0;
}

/* A failed video may carry a URL, null or an empty text; there is nothing to fetch, so it does not matter. */
static int read_url(const json_t *object, struct rb_notice *notice, struct rb_error *err)
{
    const char *text = rb_json_text(object, "videoUrl");
    RB_AUTO_URL url = {0};
    struct rb_error trouble = {0};

    if (notice->status == RB_NOTICE_FAILED)
        return 0;
    if (text == NULL)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "videoUrl must be an http or https URL when status is 'completed'");
    if (rb_url_parse(text, &url, &trouble) < 0)
        return rb_fail(err, trouble.code, trouble.detail, "videoUrl is not accepted: %s", trouble.message);
    notice->video_url = rb_xstrdup(text);
    return 0;
}

static int read_expiry(const json_t *object, struct rb_notice *notice, struct rb_error *err)
{
    const json_t *expires = json_object_get(object, "expiresAt");

    if (expires == NULL || json_is_null(expires))
        return 0;
    if (!json_is_integer(expires) || json_integer_value(expires) < 0 || json_integer_value(expires) > EXPIRES_MAX_S)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "expiresAt must be whole seconds since 1970");
    notice->expires_at = json_integer_value(expires) * 1000;
    return 0;
}

int rb_body_plain(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                  struct rb_error *err)
{
    (void)webhook;
    if (!rb_uuid_parse(rb_json_text(object, "videoId"), notice->video_id))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "videoId must be a UUID");
    RB_TRY(read_status(object, notice, err));
    RB_TRY(read_url(object, notice, err));
    RB_TRY(read_expiry(object, notice, err));
    rb_body_take_error(notice, json_object_get(object, "error"), NULL);
    return 0;
}
