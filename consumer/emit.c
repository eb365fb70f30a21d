/*
 * emit.c — announces outcomes, and sets aside records that cannot be read.
 *
 * Way:  record -> [emit] -> Kafka
 */
#include "consumer/emit.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/outgoing.h"
#include "consumer/dead_letter.h"
#include "consumer/redrive_header.h"

enum { TOPIC_STORED, TOPIC_FAILED, TOPIC_DELETED, TOPIC_RETRY, TOPIC_DEAD_LETTER, TOPIC_COUNT };

struct rb_emit {
    struct rb_commit *commit;
    struct rb_codec *codec;        /* borrowed */
    const char *group;             /* borrowed */
    char *topics[TOPIC_COUNT + 1]; /* owned; NULL at the end */
};

int rb_emit_new(struct rb_loop *loop, const struct rb_emit_config *config, struct rb_emit **ret_emit,
                struct rb_error *err)
{
    struct rb_emit *emit = rb_xalloc(sizeof(*emit));
    const char *prefix = config->topic_prefix;

    emit->codec = config->codec;
    emit->group = config->group;
    emit->topics[TOPIC_STORED] = rb_xprintf("%s%s", prefix, rb_event_info(RB_EVENT_VIDEO_STORED)->topic);
    emit->topics[TOPIC_FAILED] = rb_xprintf("%s%s", prefix, rb_event_info(RB_EVENT_VIDEO_STORE_FAILED)->topic);
    emit->topics[TOPIC_DELETED] = rb_xprintf("%s%s", prefix, rb_event_info(RB_EVENT_VIDEO_DELETED)->topic);
    emit->topics[TOPIC_RETRY] = rb_xprintf("%s%s", prefix, rb_event_info(RB_EVENT_VIDEO_STORE_RETRY)->topic);
    emit->topics[TOPIC_DEAD_LETTER] = rb_xprintf("%s%s", prefix, RB_DEAD_LETTER_TOPIC);

    struct rb_commit_config commit = config->commit;

    commit.txn.topics = (const char *const *)emit->topics;
    if (rb_commit_new(loop, &commit, &emit->commit, err) < 0) {
        (void)rb_emit_free(emit);
        return -1;
    }
    *ret_emit = emit;
    return 0;
}

bool rb_emit_free(struct rb_emit *emit)
{
    if (emit == NULL)
        return true;
    if (!rb_commit_free(emit->commit))
        return false;
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        free(emit->topics[i]);
    free(emit);
    return true;
}

struct rb_commit *rb_emit_commit(const struct rb_emit *emit)
{
    return emit->commit;
}

static char *event_id(enum rb_event event, const struct rb_row *row)
{
    RB_AUTO_TEXT *name = rb_xprintf("%s/%s/%" PRId64, rb_event_info(event)->topic, row->video_id, row->attempt);
    char *id = rb_xalloc(RB_UUID_TEXT_BYTES);

    return rb_uuid_of_name(name, id);
}

static void fill_variants(struct rb_video_stored *event, const struct rb_variants *variants)
{
    const struct rb_variant_object *thumbnail = &variants->list[RB_VARIANT_THUMBNAIL];
    const struct rb_variant_object *spritesheet = &variants->list[RB_VARIANT_SPRITESHEET];

    event->thumbnail_url = rb_xstrdup(thumbnail->url);
    event->thumbnail_object_key = rb_xstrdup(thumbnail->object_key);
    event->thumbnail_bytes = thumbnail->url != NULL ? thumbnail->bytes : RB_NO_LONG;
    event->thumbnail_sha256 = rb_xstrdup(thumbnail->sha256);
    event->thumbnail_content_type = rb_xstrdup(thumbnail->content_type);
    event->spritesheet_url = rb_xstrdup(spritesheet->url);
    event->spritesheet_object_key = rb_xstrdup(spritesheet->object_key);
    event->spritesheet_bytes = spritesheet->url != NULL ? spritesheet->bytes : RB_NO_LONG;
    event->spritesheet_sha256 = rb_xstrdup(spritesheet->sha256);
    event->spritesheet_content_type = rb_xstrdup(spritesheet->content_type);
}

static void fill_stored(struct rb_video_stored *event, const struct rb_row *row, const struct rb_origin *origin)
{
    *event = (struct rb_video_stored){
        .event_id = event_id(RB_EVENT_VIDEO_STORED, row),
        .video_id = rb_xstrdup(row->video_id),
        .user_id = rb_xstrdup(row->user_id),
        .attempt = row->attempt,
        .tries = row->tries,
        .video_url = rb_xstrdup(row->stored_url),
        .source_url = rb_xstrdup(row->source_url),
        .store = rb_xstrdup(row->store),
        .bucket = rb_xstrdup(row->bucket),
        .object_key = rb_xstrdup(row->object_key),
        .bytes = row->bytes,
        .sha256 = rb_xstrdup(row->sha256),
        .content_type = rb_xstrdup(row->content_type),
        .provider = rb_xstrdup(row->provider),
        .provider_video_id = rb_xstrdup(row->provider_video_id),
        .received_at = row->received_at,
        .stored_at = row->stored_at,
        .source_topic = rb_xstrdup(origin->topic),
        .source_partition = origin->partition,
        .source_offset = origin->offset,
    };
    fill_variants(event, &row->variants);
}

static void fill_failed(struct rb_video_store_failed *event, const struct rb_row *row, const struct rb_origin *origin)
{
    *event = (struct rb_video_store_failed){
        .event_id = event_id(RB_EVENT_VIDEO_STORE_FAILED, row),
        .video_id = rb_xstrdup(row->video_id),
        .user_id = rb_xstrdup(row->user_id),
        .attempt = row->attempt,
        .tries = row->tries,
        .class = rb_xstrdup(row->error_class),
        .code = rb_xstrdup(row->error_code),
        .message = rb_xstrdup(row->error_message),
        .source_url = rb_xstrdup(row->source_url),
        .provider = rb_xstrdup(row->provider),
        .provider_video_id = rb_xstrdup(row->provider_video_id),
        .received_at = row->received_at,
        .first_try_at = row->first_try_at,
        .last_try_at = row->last_try_at,
        .failed_at = row->failed_at,
        .source_topic = rb_xstrdup(origin->topic),
        .source_partition = origin->partition,
        .source_offset = origin->offset,
    };
}

/* origin is the record that is settled by this one, or NULL. How often that was sent once more is said on, through retries too. */
static int send_outgoing(struct rb_emit *emit, struct rb_outgoing outgoing, const struct rb_origin *origin,
                         int64_t redrives, struct rb_receipt *receipt, struct rb_error *err)
{
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;

    outgoing.source = "reelbus-consumer";
    RB_TRY(rb_outgoing_record(emit->codec, &outgoing, &value, &record, err));
    if (redrives > 0)
        rb_redrive_add(record.headers, RB_REDRIVE_COUNT, redrives);
    return rb_commit_send(emit->commit, &record, origin, receipt, err);
}

/* An event that a message has led to. */
static int send_event(struct rb_emit *emit, struct rb_outgoing outgoing, const struct rb_message *message,
                      struct rb_receipt *receipt, struct rb_error *err)
{
    outgoing.trace = &message->trace;
    outgoing.tracestate = message->tracestate;
    return send_outgoing(emit, outgoing, &message->origin, rb_redrive_number(message->headers, RB_REDRIVE_COUNT, 0),
                         receipt, err);
}

static int emit_stored(struct rb_emit *emit, const struct rb_emit_case *about, struct rb_receipt *receipt,
                       struct rb_error *err)
{
    struct rb_video_stored event;

    fill_stored(&event, about->row, about->origin);

    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_STORED,
        .values = &event,
        .topic = emit->topics[TOPIC_STORED],
        .id = event.event_id,
        .video_id = about->row->video_id,
        .time_unix_ms = about->row->stored_at,
    };
    int result = send_event(emit, outgoing, about->message, receipt, err);

    rb_event_clear(RB_EVENT_VIDEO_STORED, &event);
    return result;
}

static int emit_failed(struct rb_emit *emit, const struct rb_emit_case *about, struct rb_receipt *receipt,
                       struct rb_error *err)
{
    struct rb_video_store_failed event;

    fill_failed(&event, about->row, about->origin);

    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_STORE_FAILED,
        .values = &event,
        .topic = emit->topics[TOPIC_FAILED],
        .id = event.event_id,
        .video_id = about->row->video_id,
        .time_unix_ms = about->row->failed_at,
    };
    int result = send_event(emit, outgoing, about->message, receipt, err);

    rb_event_clear(RB_EVENT_VIDEO_STORE_FAILED, &event);
    return result;
}

int rb_emit_outcome(struct rb_emit *emit, const struct rb_emit_case *about, struct rb_receipt *receipt,
                    struct rb_error *err)
{
    if (about->row->state == RB_ROW_STORED)
        return emit_stored(emit, about, receipt, err);
    RB_ASSERT(about->row->state == RB_ROW_FAILED);
    return emit_failed(emit, about, receipt, err);
}

int rb_emit_deleted(struct rb_emit *emit, const struct rb_video_deleted *event, struct rb_receipt *receipt,
                    struct rb_error *err)
{
    struct rb_trace trace;
    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_DELETED,
        .values = event,
        .topic = emit->topics[TOPIC_DELETED],
        .id = event->event_id,
        .video_id = event->video_id,
        .time_unix_ms = event->deleted_at,
        .trace = &trace,
    };

    rb_trace_continue(NULL, &trace);
    return send_outgoing(emit, outgoing, NULL, 0, receipt, err);
}

bool rb_emit_is_up(const struct rb_emit *emit)
{
    return rb_commit_is_up(emit->commit);
}

/* The same try of the same record has the same id, however often it is written. */
static char *retry_id(const struct rb_video_store_retry *event)
{
    RB_AUTO_TEXT *name = rb_xprintf("retry %s %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, event->video_id,
                                    event->origin_topic, event->origin_partition, event->origin_offset, event->tries,
                                    event->renewals != RB_NO_LONG ? event->renewals : 0);
    char *id = rb_xalloc(RB_UUID_TEXT_BYTES);

    return rb_uuid_of_name(name, id);
}

int rb_emit_retry(struct rb_emit *emit, struct rb_video_store_retry *event, const struct rb_message *message,
                  struct rb_receipt *receipt, struct rb_error *err)
{
    free(event->event_id);
    event->event_id = retry_id(event);

    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_STORE_RETRY,
        .values = event,
        .topic = emit->topics[TOPIC_RETRY],
        .id = event->event_id,
        .video_id = event->video_id,
        .time_unix_ms = rb_clock_unix_ms(),
    };

    return send_event(emit, outgoing, message, receipt, err);
}

const char *rb_emit_topic(const struct rb_emit *emit, enum rb_row_state state)
{
    return emit->topics[state == RB_ROW_STORED ? TOPIC_STORED : TOPIC_FAILED];
}

int rb_emit_dead_letter(struct rb_emit *emit, const struct rb_dead_letter *letter, struct rb_receipt *receipt,
                        struct rb_error *err)
{
    const struct rb_message *message = letter->message;
    const struct rb_record record = {
        .topic = emit->topics[TOPIC_DEAD_LETTER],
        .key = letter->bare ? NULL : message->key,
        .key_bytes = letter->bare ? 0 : message->key_bytes,
        .value = letter->bare ? NULL : message->value,
        .value_bytes = letter->bare ? 0 : message->value_bytes,
        .headers = rb_dead_letter_headers(letter, emit->group),
    };

    return rb_commit_send(emit->commit, &record, &message->origin, receipt, err);
}
