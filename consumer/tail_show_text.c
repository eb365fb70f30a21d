/*
 * tail_show_text.c — a record for people and scripts: as a line, as JSON.
 *
 * Way:  tail -> [tail_show]
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/show.h"
#include "common/url.h"
#include "consumer/command.h"
#include "consumer/tail_show_inside.h"

#define PREVIEW_BYTES 48

/* What a line shows of an event; JSON shows all. */
static const char *const shown_fields[RB_EVENT_COUNT] = {
    [RB_EVENT_VIDEO_WEBHOOK_RECEIVED] =
        "status video_url expires_at scheme provider provider_video_id error_code error_message",
    [RB_EVENT_VIDEO_POLL_RESULT] =
        "status progress video_url expires_at provider provider_video_id error_code error_message",
    [RB_EVENT_VIDEO_STORED] = "bytes store bucket object_key attempt tries source_topic source_partition source_offset",
    [RB_EVENT_VIDEO_STORE_FAILED] =
        "class code message attempt tries source_url source_topic source_partition source_offset",
    [RB_EVENT_VIDEO_DELETED] = "reason bytes store bucket object_key",
    [RB_EVENT_VIDEO_STORE_RETRY] = "status tries not_before last_code last_message expires_at video_url",
};

/* -- a line -------------------------------------------------------------------------------------------------------- */

static bool is_time(const char *name)
{
    size_t length = strlen(name);

    return strcmp(name, "not_before") == 0 || (length > 3 && strcmp(name + length - 3, "_at") == 0);
}

static void add_value(struct rb_buffer *line, const char *name, const char *text)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(text);

    rb_url_hide(copy);
    rb_buffer_print(line, " %s=", name);
    rb_show_value(line, copy, strlen(copy));
}

static void add_field(struct rb_buffer *line, const struct rb_field *field, const void *values)
{
    const void *at = (const char *)values + field->offset;
    char time[RB_TIME_TEXT_BYTES];

    switch (field->kind) {
    case RB_FIELD_TEXT:
    case RB_FIELD_TEXT_OR_NULL:
        if (*(char *const *)at != NULL)
            add_value(line, field->name, *(char *const *)at);
        break;
    case RB_FIELD_LONG:
    case RB_FIELD_LONG_OR_NULL:
        if (*(const int64_t *)at == RB_NO_LONG)
            break;
        if (is_time(field->name))
            rb_buffer_print(line, " %s=%s", field->name, rb_clock_text(*(const int64_t *)at, time));
        else
            rb_buffer_print(line, " %s=%" PRId64, field->name, *(const int64_t *)at);
        break;
    case RB_FIELD_BOOL:
        rb_buffer_print(line, " %s=%s", field->name, *(const bool *)at ? "true" : "false");
        break;
    }
}

static const struct rb_field *find_field(const struct rb_event_info *info, const char *name, size_t length)
{
    for (size_t i = 0; i < info->field_count; i++)
        if (strncmp(info->fields[i].name, name, length) == 0 && info->fields[i].name[length] == '\0')
            return &info->fields[i];
    RB_BUG("a line is to show a field that the event does not have");
}

static void add_event(struct rb_buffer *line, const struct rb_tail_view *view)
{
    const struct rb_event_info *info = rb_event_info(view->event);

    if (rb_tail_field(view, "user_id") != NULL)
        add_value(line, "user", rb_tail_field(view, "user_id"));
    for (const char *name = shown_fields[view->event]; *name != '\0'; name += strspn(name, " ")) {
        size_t length = strcspn(name, " ");

        add_field(line, find_field(info, name, length), view->values);
        name += length;
    }
}

static void add_cause(struct rb_buffer *line, const struct rb_tail_view *view)
{
    static const char *const names[][2] = {
        {"cause", "reelbus.error.code"},
        {"message", "reelbus.error.message"},
        {"from", "__connect.errors.topic"},
        {"from_partition", "__connect.errors.partition"},
        {"from_offset", "__connect.errors.offset"},
    };
    char text[RB_TAIL_HEADER_BYTES];

    for (size_t i = 0; i < RB_COUNT(names); i++)
        if (rb_tail_header(view->message, names[i][1], text)[0] != '\0')
            add_value(line, names[i][0], text);
}

static void add_bytes(struct rb_buffer *line, const struct rb_tail_view *view)
{
    const struct rb_message *message = view->message;

    if (message->value == NULL) {
        rb_buffer_print(line, " without a value");
        return;
    }
    rb_buffer_print(line, " unreadable: ");
    rb_show_text(line, view->error.message, strlen(view->error.message));
    rb_buffer_print(line, ", %zu bytes ", message->value_bytes);
    rb_show_quoted(line, (const char *)message->value, RB_MIN(message->value_bytes, (size_t)PREVIEW_BYTES));
    rb_buffer_print(line, message->value_bytes > PREVIEW_BYTES ? "..." : "");
}

void rb_tail_view_line(const struct rb_tail_view *view, struct rb_buffer *line)
{
    const struct rb_message *message = view->message;
    const char *video_id = rb_tail_field(view, "video_id");
    char time[RB_TIME_TEXT_BYTES];

    rb_buffer_print(line, "%s %s[%" PRId32 "]@%" PRId64 " ", rb_clock_text(RB_MAX(message->timestamp_ms, 0), time),
                    message->origin.topic, message->origin.partition, message->origin.offset);
    if (video_id != NULL)
        rb_show_value(line, video_id, strlen(video_id));
    else if (message->key != NULL && message->key_bytes > 0)
        rb_show_value(line, message->key, message->key_bytes);
    else
        rb_buffer_print(line, "-");
    if (view->is_dead)
        add_cause(line, view);
    if (view->is_decoded)
        add_event(line, view);
    else
        add_bytes(line, view);
}

/* -- JSON ---------------------------------------------------------------------------------------------------------- */

static json_t *bytes_as_text(const void *bytes, size_t count)
{
    RB_AUTO_TEXT *text = bytes != NULL ? rb_xstrndup(bytes, count) : NULL;

    return rb_command_text(text);
}

static json_t *bytes_as_base64(const uint8_t *bytes, size_t count)
{
    RB_AUTO_TEXT *text = rb_xalloc(4 * (count / 3 + 1) + 1);

    EVP_EncodeBlock((unsigned char *)text, bytes, (int)count);
    return json_string(text);
}

static json_t *field_as_json(const struct rb_field *field, const void *values)
{
    const void *at = (const char *)values + field->offset;

    switch (field->kind) {
    case RB_FIELD_TEXT:
    case RB_FIELD_TEXT_OR_NULL:
        return rb_command_text(*(char *const *)at);
    case RB_FIELD_LONG:
    case RB_FIELD_LONG_OR_NULL:
        return *(const int64_t *)at == RB_NO_LONG ? json_null() : json_integer(*(const int64_t *)at);
    case RB_FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    }
    RB_BUG("unknown kind of field");
}

static json_t *event_as_json(const struct rb_tail_view *view)
{
    const struct rb_event_info *info = rb_event_info(view->event);
    json_t *event = json_object();

    for (size_t i = 0; i < info->field_count; i++)
        json_object_set_new(event, info->fields[i].name, field_as_json(&info->fields[i], view->values));
    return event;
}

/* Of several of one name the last one counts. */
static json_t *headers_as_json(const struct rb_message *message)
{
    json_t *headers = json_object();
    const char *name;
    const void *value;
    size_t bytes;

    for (size_t i = 0; message->headers != NULL && rd_kafka_header_get_all(message->headers, i, &name, &value,
                                                                           &bytes) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        json_object_set_new(headers, name, bytes_as_text(value, bytes)); /* a name that is no UTF-8 is left out */
    return headers;
}

json_t *rb_tail_view_json(const struct rb_tail_view *view)
{
    const struct rb_message *message = view->message;
    char time[RB_TIME_TEXT_BYTES];
    json_t *record =
        json_pack("{so sI sI ss so so so so}", "topic", rb_command_text(message->origin.topic), "partition",
                  (json_int_t)message->origin.partition, "offset", (json_int_t)message->origin.offset, "time",
                  rb_clock_text(RB_MAX(message->timestamp_ms, 0), time), "key",
                  bytes_as_text(message->key, message->key_bytes), "type", rb_command_text(view->type), "event",
                  view->is_decoded ? event_as_json(view) : json_null(), "headers", headers_as_json(message));

    if (!view->is_decoded && message->value != NULL) {
        json_object_set_new(record, "unreadable", rb_command_text(view->error.message));
        json_object_set_new(record, "value_base64", bytes_as_base64(message->value, message->value_bytes));
    }
    return record;
}
