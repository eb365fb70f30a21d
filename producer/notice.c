/*
 * notice.c — what a provider told us about a video.
 *
 * Way:  receive -> verify -> [notice] -> publish
 */
#include "producer/notice.h"

#include "common/json.h"
#include "common/url.h"

#define EXPIRES_MAX_S INT64_C(253402300799) /* the last second of the year 9999 */

static int read_id(const json_t *object, struct rb_notice *notice, struct rb_error *err)
{
    if (!rb_uuid_parse(rb_json_text(object, "videoId"), notice->video_id))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "videoId must be a UUID");
    return 0;
}

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

    notice->expires_at = RB_NO_LONG;
    if (expires == NULL || json_is_null(expires))
        return 0;
    if (!json_is_integer(expires) || json_integer_value(expires) < 0 || json_integer_value(expires) > EXPIRES_MAX_S)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "expiresAt must be whole seconds since 1970");
    notice->expires_at = json_integer_value(expires) * 1000;
    return 0;
}

static void read_error(const json_t *object, struct rb_notice *notice)
{
    const json_t *error = json_object_get(object, "error");
    const char *message = json_is_object(error) ? rb_json_text(error, "message") : json_string_value(error);

    notice->error_code = rb_xstrdup(rb_json_text(error, "code"));
    notice->error_message = rb_xstrdup(message);
}

int rb_notice_parse_plain(const char *body, size_t bytes, struct rb_notice *ret_notice, struct rb_error *err)
{
    RB_AUTO_JSON *object = NULL;
    RB_AUTO_NOTICE notice = {0};

    RB_TRY(rb_json_parse(body, bytes, &object, err));
    RB_TRY(read_id(object, &notice, err));
    RB_TRY(read_status(object, &notice, err));
    RB_TRY(read_url(object, &notice, err));
    RB_TRY(read_expiry(object, &notice, err));
    read_error(object, &notice);
    *ret_notice = notice;
    notice = (struct rb_notice){0};
    return 0;
}

void rb_notice_done(struct rb_notice *notice)
{
    free(notice->video_url);
    free(notice->error_code);
    free(notice->error_message);
    *notice = (struct rb_notice){0};
}

const char *rb_notice_status_name(enum rb_notice_status status)
{
    return status == RB_NOTICE_COMPLETED ? "completed" : "failed";
}
