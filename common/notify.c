/*
 * notify.c — the Postgres channel by which whoever changes a video tells whoever shows it.
 *
 * Way:  common
 */
#include "common/notify.h"

#include <inttypes.h>

#include "common/json.h"

int64_t rb_notify_percent(int64_t bytes, int64_t total)
{
    if (total <= 0 || bytes < 0)
        return RB_NOTIFY_UNKNOWN;
    return bytes >= total ? 100 : (int64_t)((double)bytes / (double)total * 100);
}

void rb_notify_print(const struct rb_notify *notify, struct rb_buffer *buffer)
{
    rb_buffer_print(buffer, "{\"id\":\"%s\",\"bytes\":%" PRId64, notify->video_id, notify->bytes);
    if (notify->total > 0)
        rb_buffer_print(buffer, ",\"total\":%" PRId64 ",\"percent\":%" PRId64, notify->total, notify->percent);
    rb_buffer_print(buffer, "}");
}

static int64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    int64_t result = json_is_integer(value) ? json_integer_value(value) : RB_NOTIFY_UNKNOWN;

    return result >= 0 ? result : RB_NOTIFY_UNKNOWN;
}

bool rb_notify_parse(const char *payload, struct rb_notify *ret_notify)
{
    struct rb_notify notify = {.total = RB_NOTIFY_UNKNOWN, .percent = RB_NOTIFY_UNKNOWN};
    RB_AUTO_JSON *object = NULL;
    struct rb_error ignored = {0};

    if (payload[0] != '{') {
        *ret_notify = notify;
        return rb_uuid_parse(payload, ret_notify->video_id);
    }
    if (rb_json_parse(payload, strlen(payload), &object, &ignored) < 0 ||
        !rb_uuid_parse(rb_json_text(object, "id"), notify.video_id))
        return false;
    notify.progress = true;
    notify.bytes = number(object, "bytes");
    notify.total = number(object, "total");
    notify.percent = rb_notify_percent(notify.bytes, notify.total);
    *ret_notify = notify;
    return notify.bytes != RB_NOTIFY_UNKNOWN;
}
