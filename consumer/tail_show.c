/*
 * tail_show.c — a record for people and scripts: read, and compared with what is wanted.
 *
 * Way:  tail -> [tail_show]
 */
#include "consumer/tail_show.h"

#include "common/random.h"
#include "consumer/tail_show_inside.h"

/* The last header of this name; "" when there is none, or it is no short text. */
char *rb_tail_header(const struct rb_message *message, const char *name, char ret_text[static RB_TAIL_HEADER_BYTES])
{
    const void *value = NULL;
    size_t bytes = 0;

    ret_text[0] = '\0';
    if (message->headers == NULL ||
        rd_kafka_header_get_last(message->headers, name, &value, &bytes) != RD_KAFKA_RESP_ERR_NO_ERROR || value == NULL)
        return ret_text;
    bytes = RB_MIN(bytes, (size_t)RB_TAIL_HEADER_BYTES - 1);
    memcpy(ret_text, value, bytes);
    ret_text[bytes] = '\0';
    return ret_text;
}

static const char *without_prefix(const char *prefix, const char *topic)
{
    size_t length = strlen(prefix);

    return strncmp(topic, prefix, length) == 0 ? topic + length : topic;
}

static enum rb_event event_of(const char *type)
{
    size_t event = 0;

    while (event < RB_EVENT_COUNT && strcmp(rb_event_info(event)->topic, type) != 0)
        event++;
    return event;
}

static void find_type(const char *prefix, struct rb_tail_view *view)
{
    const char *type = without_prefix(prefix, view->message->origin.topic);
    char header[RB_TAIL_HEADER_BYTES];

    view->is_dead = strcmp(type, RB_DEAD_LETTER_TOPIC) == 0;
    if (view->is_dead && rb_tail_header(view->message, "__connect.errors.topic", header)[0] != '\0')
        type = without_prefix(prefix, header);
    view->type = rb_xstrdup(type);
    view->event = event_of(type);
}

static bool decode(struct rb_codec *codec, struct rb_tail_view *view)
{
    const struct rb_message *message = view->message;
    enum rb_poll answer;

    if (message->value == NULL)
        return true;
    if (view->event == RB_EVENT_COUNT) {
        rb_fail(&view->error, RB_E_BAD_EVENT, 0, "no event of ours belongs on this topic");
        return true;
    }
    view->values = rb_xalloc(rb_event_info(view->event)->struct_bytes);
    answer = rb_codec_decode(codec, view->event, message->value, message->value_bytes, message->schema_header,
                             message->schema_header_bytes, view->values, &view->error);
    view->is_decoded = answer == RB_POLL_DONE;
    return answer != RB_POLL_WAIT && !(answer == RB_POLL_FAILED && view->error.code == RB_E_REGISTRY_AWAY);
}

bool rb_tail_view_read(struct rb_codec *codec, const char *prefix, const struct rb_message *message,
                       struct rb_tail_view *ret_view)
{
    *ret_view = (struct rb_tail_view){.message = message};
    find_type(prefix, ret_view);
    if (decode(codec, ret_view))
        return true;
    rb_tail_view_done(ret_view);
    return false;
}

void rb_tail_view_done(struct rb_tail_view *view)
{
    if (view->is_decoded)
        rb_event_clear(view->event, view->values);
    free(view->values);
    free(view->type);
    *view = (struct rb_tail_view){0};
}

const char *rb_tail_field(const struct rb_tail_view *view, const char *name)
{
    const struct rb_event_info *info = view->is_decoded ? rb_event_info(view->event) : NULL;

    for (size_t i = 0; info != NULL && i < info->field_count; i++)
        if (strcmp(info->fields[i].name, name) == 0)
            return *(char *const *)((const char *)view->values + info->fields[i].offset);
    return NULL;
}

/* -- the filter ---------------------------------------------------------------------------------------------------- */

static bool is_key(const struct rb_message *message, const char *video)
{
    return message->key != NULL && message->key_bytes == strlen(video) &&
           strncasecmp(message->key, video, message->key_bytes) == 0;
}

static bool matches_video(const struct rb_tail_view *view, const char *video)
{
    const char *field = rb_tail_field(view, "video_id");

    return is_key(view->message, video) || (field != NULL && strcasecmp(field, video) == 0);
}

static bool matches_type(const char *types, const char *type)
{
    size_t length = strlen(type);

    for (const char *at = types; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, type, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

bool rb_tail_view_matches(const struct rb_tail_view *view, const struct rb_tail_filter *filter)
{
    const char *user = rb_tail_field(view, "user_id");

    return (filter->video[0] == '\0' || matches_video(view, filter->video)) &&
           (filter->user[0] == '\0' || (user != NULL && strcmp(user, filter->user) == 0)) &&
           (filter->types[0] == '\0' || matches_type(filter->types, view->type) ||
            (view->is_dead && matches_type(filter->types, RB_DEAD_LETTER_TOPIC)));
}
