/*
 * events.h — the events of the bus as C structs, and which topic and schema each belongs to.
 *
 * Way:  common
 *
 * What the fields mean stands in schemas/, and a test compares both. Times are milliseconds since 1970.
 */
#pragma once

#include "common/avro.h"

#define RB_VIDEO_WEBHOOK_RECEIVED_FIELDS(X)                                                                            \
    X(TEXT, event_id)                                                                                                  \
    X(TEXT, video_id)                                                                                                  \
    X(TEXT_OR_NULL, user_id)                                                                                           \
    X(TEXT, status)                                                                                                    \
    X(TEXT_OR_NULL, video_url)                                                                                         \
    X(TEXT, scheme)                                                                                                    \
    X(TEXT_OR_NULL, provider)                                                                                          \
    X(TEXT_OR_NULL, provider_video_id)                                                                                 \
    X(TEXT_OR_NULL, webhook_id)                                                                                        \
    X(TEXT_OR_NULL, error_code)                                                                                        \
    X(TEXT_OR_NULL, error_message)                                                                                     \
    X(LONG_OR_NULL, expires_at)                                                                                        \
    X(BOOL, checked)                                                                                                   \
    X(LONG, received_at)

#define RB_VIDEO_POLL_RESULT_FIELDS(X)                                                                                 \
    X(TEXT, event_id)                                                                                                  \
    X(TEXT, video_id)                                                                                                  \
    X(TEXT_OR_NULL, user_id)                                                                                           \
    X(TEXT, status)                                                                                                    \
    X(LONG_OR_NULL, progress)                                                                                          \
    X(TEXT_OR_NULL, video_url)                                                                                         \
    X(TEXT, provider)                                                                                                  \
    X(TEXT, provider_video_id)                                                                                         \
    X(TEXT_OR_NULL, error_code)                                                                                        \
    X(TEXT_OR_NULL, error_message)                                                                                     \
    X(LONG_OR_NULL, expires_at)                                                                                        \
    X(LONG, polled_at)

#define RB_VIDEO_STORED_FIELDS(X)                                                                                      \
    X(TEXT, event_id)                                                                                                  \
    X(TEXT, video_id)                                                                                                  \
    X(TEXT_OR_NULL, user_id)                                                                                           \
    X(LONG, attempt)                                                                                                   \
    X(LONG, tries)                                                                                                     \
    X(TEXT, video_url)                                                                                                 \
    X(TEXT, source_url)                                                                                                \
    X(TEXT, store)                                                                                                     \
    X(TEXT, bucket)                                                                                                    \
    X(TEXT, object_key)                                                                                                \
    X(LONG, bytes)                                                                                                     \
    X(TEXT, sha256)                                                                                                    \
    X(TEXT, content_type)                                                                                              \
    X(TEXT_OR_NULL, provider)                                                                                          \
    X(TEXT_OR_NULL, provider_video_id)                                                                                 \
    X(LONG, received_at)                                                                                               \
    X(LONG, stored_at)                                                                                                 \
    X(TEXT, source_topic)                                                                                              \
    X(LONG, source_partition)                                                                                          \
    X(LONG, source_offset)                                                                                             \
    X(TEXT_OR_NULL, thumbnail_url)                                                                                     \
    X(TEXT_OR_NULL, thumbnail_object_key)                                                                              \
    X(LONG_OR_NULL, thumbnail_bytes)                                                                                   \
    X(TEXT_OR_NULL, thumbnail_sha256)                                                                                  \
    X(TEXT_OR_NULL, thumbnail_content_type)                                                                            \
    X(TEXT_OR_NULL, spritesheet_url)                                                                                   \
    X(TEXT_OR_NULL, spritesheet_object_key)                                                                            \
    X(LONG_OR_NULL, spritesheet_bytes)                                                                                 \
    X(TEXT_OR_NULL, spritesheet_sha256)                                                                                \
    X(TEXT_OR_NULL, spritesheet_content_type)

#define RB_VIDEO_STORE_FAILED_FIELDS(X)                                                                                \
    X(TEXT, event_id)                                                                                                  \
    X(TEXT, video_id)                                                                                                  \
    X(TEXT_OR_NULL, user_id)                                                                                           \
    X(LONG, attempt)                                                                                                   \
    X(LONG, tries)                                                                                                     \
    X(TEXT, class)                                                                                                     \
    X(TEXT, code)                                                                                                      \
    X(TEXT, message)                                                                                                   \
    X(TEXT_OR_NULL, source_url)                                                                                        \
    X(TEXT_OR_NULL, provider)                                                                                          \
    X(TEXT_OR_NULL, provider_video_id)                                                                                 \
    X(LONG, received_at)                                                                                               \
    X(LONG_OR_NULL, first_try_at)                                                                                      \
    X(LONG_OR_NULL, last_try_at)                                                                                       \
    X(LONG, failed_at)                                                                                                 \
    X(TEXT, source_topic)                                                                                              \
    X(LONG, source_partition)                                                                                          \
    X(LONG, source_offset)

#define RB_VIDEO_DELETED_FIELDS(X)                                                                                     \
    X(TEXT, event_id)                                                                                                  \
    X(TEXT, video_id)                                                                                                  \
    X(TEXT_OR_NULL, user_id)                                                                                           \
    X(TEXT, reason)                                                                                                    \
    X(TEXT, store)                                                                                                     \
    X(TEXT, bucket)                                                                                                    \
    X(TEXT, object_key)                                                                                                \
    X(LONG, bytes)                                                                                                     \
    X(LONG, deleted_at)

#define RB_VIDEO_STORE_RETRY_FIELDS(X)                                                                                 \
    X(TEXT, event_id)                                                                                                  \
    X(TEXT, video_id)                                                                                                  \
    X(TEXT_OR_NULL, user_id)                                                                                           \
    X(TEXT, status)                                                                                                    \
    X(TEXT_OR_NULL, video_url)                                                                                         \
    X(TEXT_OR_NULL, provider)                                                                                          \
    X(TEXT_OR_NULL, provider_video_id)                                                                                 \
    X(LONG_OR_NULL, expires_at)                                                                                        \
    X(LONG, received_at)                                                                                               \
    X(LONG, tries)                                                                                                     \
    X(LONG_OR_NULL, first_try_at)                                                                                      \
    X(LONG, not_before)                                                                                                \
    X(TEXT_OR_NULL, last_code)                                                                                         \
    X(TEXT_OR_NULL, last_message)                                                                                      \
    X(TEXT, origin_topic)                                                                                              \
    X(LONG, origin_partition)                                                                                          \
    X(LONG, origin_offset)                                                                                             \
    X(LONG_OR_NULL, url_since)                                                                                         \
    X(LONG_OR_NULL, renewals)

/* One row per event: the name in capitals, the struct, the topic. The schema file is the struct's name. */
#define RB_EVENTS(X)                                                                                                   \
    X(VIDEO_WEBHOOK_RECEIVED, video_webhook_received, "video.webhook.received")                                        \
    X(VIDEO_POLL_RESULT, video_poll_result, "video.poll.result")                                                       \
    X(VIDEO_STORED, video_stored, "video.stored")                                                                      \
    X(VIDEO_STORE_FAILED, video_store_failed, "video.store_failed")                                                    \
    X(VIDEO_DELETED, video_deleted, "video.deleted")                                                                   \
    X(VIDEO_STORE_RETRY, video_store_retry, "video.store.retry")

/* Dead letters have no schema of ours: they are the bytes as they came. */
#define RB_DEAD_LETTER_TOPIC   "video.store.dlq"

#define RB_MEMBER_TEXT         char *
#define RB_MEMBER_TEXT_OR_NULL char *
#define RB_MEMBER_LONG         int64_t
#define RB_MEMBER_LONG_OR_NULL int64_t
#define RB_MEMBER_BOOL         bool
#define RB_MEMBER(kind, name)  RB_MEMBER_##kind name;

/* All text is owned by the struct. */
#define RB_EVENT_STRUCT(NAME, name, topic)                                                                             \
    struct rb_##name {                                                                                                 \
        RB_##NAME##_FIELDS(RB_MEMBER)                                                                                  \
    };
RB_EVENTS(RB_EVENT_STRUCT)
#undef RB_EVENT_STRUCT

enum rb_event {
#define ROW(NAME, name, topic) RB_EVENT_##NAME,
    RB_EVENTS(ROW)
#undef ROW
        RB_EVENT_COUNT
};

struct rb_event_info {
    const char *topic;  /* without the prefix */
    const char *schema; /* the text of the .avsc file */
    const struct rb_field *fields;
    size_t field_count;
    size_t struct_bytes;
};

/*
 * What there is to know about an event.
 *
 * Gives:  static, never NULL.
 * Loop:   pure, any thread.
 */
const struct rb_event_info *rb_event_info(enum rb_event event);

/*
 * Make an event struct empty.
 *
 * Loop:   pure, any thread.
 */
void rb_event_init(enum rb_event event, void *values);

/*
 * Free the text in an event struct and make it empty.
 *
 * Loop:   pure, any thread.
 */
void rb_event_clear(enum rb_event event, void *values);
