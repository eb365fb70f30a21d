/*
 * events.c — the tables of events.h as data, and the schemas as part of the program.
 *
 * Way:  common
 */
#include "common/events.h"

#include "common/embed.h"

RB_EMBED(schema_video_webhook_received, "schemas/video_webhook_received.avsc");
RB_EMBED(schema_video_poll_result, "schemas/video_poll_result.avsc");
RB_EMBED(schema_video_stored, "schemas/video_stored.avsc");
RB_EMBED(schema_video_store_failed, "schemas/video_store_failed.avsc");
RB_EMBED(schema_video_deleted, "schemas/video_deleted.avsc");
RB_EMBED(schema_video_store_retry, "schemas/video_store_retry.avsc");

#define VIDEO_WEBHOOK_RECEIVED(kind, field)                                                                            \
    {#field, RB_FIELD_##kind, offsetof(struct rb_video_webhook_received, field)},
#define VIDEO_POLL_RESULT(kind, field)  {#field, RB_FIELD_##kind, offsetof(struct rb_video_poll_result, field)},
#define VIDEO_STORED(kind, field)       {#field, RB_FIELD_##kind, offsetof(struct rb_video_stored, field)},
#define VIDEO_STORE_FAILED(kind, field) {#field, RB_FIELD_##kind, offsetof(struct rb_video_store_failed, field)},
#define VIDEO_DELETED(kind, field)      {#field, RB_FIELD_##kind, offsetof(struct rb_video_deleted, field)},
#define VIDEO_STORE_RETRY(kind, field)  {#field, RB_FIELD_##kind, offsetof(struct rb_video_store_retry, field)},

#define FIELDS(NAME, name, topic)       static const struct rb_field name##_fields[] = {RB_##NAME##_FIELDS(NAME)};
RB_EVENTS(FIELDS)
#undef FIELDS

const struct rb_event_info *rb_event_info(enum rb_event event)
{
    static const struct rb_event_info infos[] = {
#define INFO(NAME, name, topic)                                                                                        \
    [RB_EVENT_##NAME] = {topic, schema_##name, name##_fields, RB_COUNT(name##_fields), sizeof(struct rb_##name)},
        RB_EVENTS(INFO)
#undef INFO
    };

    RB_ASSERT((unsigned)event < RB_EVENT_COUNT);
    return &infos[event];
}

void rb_event_init(enum rb_event event, void *values)
{
    const struct rb_event_info *info = rb_event_info(event);

    rb_avro_init(info->fields, info->field_count, values);
}

void rb_event_clear(enum rb_event event, void *values)
{
    const struct rb_event_info *info = rb_event_info(event);

    rb_avro_clear(info->fields, info->field_count, values);
}
