/*
 * verify_repair.c — have a video stored again.
 *
 * Way:  verify -> [verify_repair] -> Postgres, Kafka
 */
#include "consumer/verify_repair.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/notify.h"
#include "common/outgoing.h"
#include "common/tables.h"

#define ON_THEIR_WAY_MAX 500
#define DELIVERY_MS      60000
#define OPEN_MS          30000 /* for the first connection, and for the registry */

/* $1 video, $2 claim, $3 why. Whoever has claimed it meanwhile sees to it. The next claim counts the epoch up. */
static const char set_back_template[] =
    "WITH written AS (UPDATE reelbus.video v SET state = 'processing', next_try_at = NULL, put_off = 0, held_bytes = NULL,"
    " tries = 0, first_try_at = NULL, last_try_at = NULL,"
    " updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')"
    " WHERE v.video_id = $1::uuid AND v.claim_epoch = $2::bigint AND v.state = 'stored' RETURNING v.*),"
    " shown AS (UPDATE {table} h SET {video_url} = written.source_url FROM written WHERE h.{id} = written.video_id"
    " AND h.{video_url} = written.stored_url AND written.source_url IS NOT NULL),"
    " noted AS (INSERT INTO reelbus.history (video_id, at, what, detail) SELECT video_id, clock_timestamp(), 'expected',"
    " 'to be stored again: its object is ' || $3 FROM written),"
    " told AS (SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM written)"
    " SELECT (SELECT count(*) FROM told) AS told, EXISTS (SELECT FROM written) AS written";

struct rb_verify_repair {
    struct rb_command *command; /* borrowed */
    char *sql;
    char *topic;
    struct rb_codec *codec;
    struct rb_producer *producer;
    size_t on_their_way;
    struct rb_error error; /* the first one */
};

static const enum rb_event written_event = RB_EVENT_VIDEO_WEBHOOK_RECEIVED;

int rb_verify_repair_new(struct rb_command *command, struct rb_verify_repair **ret_repair, struct rb_error *err)
{
    const struct rb_common_options *options = &command->options->common;
    const struct rb_kafka_config kafka = {options->kafka_brokers, "reelbus-verify", options->kafka};
    const struct rb_codec_config codec = rb_codec_config_of(options, &written_event, 1);
    struct rb_verify_repair *repair = rb_xalloc(sizeof(*repair));

    repair->command = command;
    repair->sql = rb_tables_sql(options, set_back_template);
    repair->topic = rb_xprintf("%s%s", options->topic_prefix, rb_event_info(written_event)->topic);
    repair->codec = rb_codec_new(command->loop, &codec, rb_command_wake, command);
    if (rb_producer_new(command->loop, &kafka, (const char *const[]){repair->topic, NULL}, DELIVERY_MS,
                        &repair->producer, err) < 0) {
        rb_verify_repair_free(repair);
        return -1;
    }
    *ret_repair = repair;
    return 0;
}

void rb_verify_repair_free(struct rb_verify_repair *repair)
{
    if (repair == NULL)
        return;
    rb_producer_free(repair->producer);
    rb_codec_free(repair->codec);
    free(repair->topic);
    free(repair->sql);
    free(repair);
}

/* -- the row ------------------------------------------------------------------------------------------------------- */

static int set_back(struct rb_verify_repair *repair, const struct rb_verify_row *row, const char *why, bool *ret_done,
                    struct rb_error *err)
{
    char claim[24];
    const char *values[] = {row->video_id, claim, why};
    RB_AUTO_RESULT *result = NULL;

    snprintf(claim, sizeof(claim), "%" PRId64, row->claim_epoch);
    RB_TRY(rb_command_query(repair->command, repair->sql, RB_COUNT(values), values, &result, err));
    *ret_done = PQntuples(result) == 1 && rb_pg_is_true(result, 0, "written");
    return 0;
}

/* -- the record ---------------------------------------------------------------------------------------------------- */

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct rb_verify_repair *repair = arg;

    (void)delivery;
    if (err != NULL && repair->error.code == RB_E_NONE)
        repair->error = *err;
    repair->on_their_way--;
    rb_command_wake(repair->command);
}

static int send_record(struct rb_verify_repair *repair, const struct rb_verify_row *row, struct rb_error *err)
{
    char event_id[RB_UUID_TEXT_BYTES];
    struct rb_trace trace;
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;
    /* Texts are borrowed from the row: the event is not cleared. When the URL expires is left to those who try it. */
    const struct rb_video_webhook_received event = {
        .event_id = rb_uuid_new(event_id),
        .video_id = (char *)row->video_id,
        .user_id = row->user_id,
        .status = (char[]){"completed"},
        .video_url = row->source_url,
        .scheme = (char[]){"verify"},
        .provider = row->provider,
        .provider_video_id = row->provider_video_id,
        .expires_at = RB_NO_LONG,
        .checked = true,
        .received_at = rb_clock_unix_ms(),
    };
    const struct rb_outgoing outgoing = {
        .event = written_event,
        .values = &event,
        .topic = repair->topic,
        .source = "reelbus-consumer verify",
        .id = event.event_id,
        .video_id = row->video_id,
        .time_unix_ms = event.received_at,
        .trace = &trace,
    };

    rb_trace_continue(NULL, &trace);
    RB_TRY(rb_outgoing_record(repair->codec, &outgoing, &value, &record, err));
    RB_TRY(rb_producer_send(repair->producer, &record, on_delivered, repair, err));
    repair->on_their_way++;
    return 0;
}

/* Who has just begun is not connected yet. */
static int send_patiently(struct rb_verify_repair *repair, const struct rb_verify_row *row, struct rb_error *err)
{
    struct rb_command *command = repair->command;
    struct rb_timer *timer = rb_timer_new(command->loop, rb_command_wake, command);
    struct rb_backoff pause = {.first_ms = 20, .max_ms = 1000};
    int64_t until_ms = rb_clock_ms() + OPEN_MS;
    int result;

    while ((result = send_record(repair, row, err)) < 0 && err->class == RB_OUTAGE && rb_clock_ms() < until_ms) {
        rb_timer_start(timer, rb_backoff_next_ms(&pause, rb_random()));
        if (!rb_command_wait(command))
            break;
    }
    rb_timer_free(timer);
    return result;
}

int rb_verify_repair_send(struct rb_verify_repair *repair, const struct rb_verify_row *row, const char *why,
                          bool *ret_sent, struct rb_error *err)
{
    *ret_sent = row->is_set_back;
    if (row->source_url == NULL && row->provider_video_id == NULL)
        return 0;
    if (!row->is_set_back)
        RB_TRY(set_back(repair, row, why, ret_sent, err));
    while (repair->on_their_way >= ON_THEIR_WAY_MAX && rb_command_wait(repair->command))
        continue;
    return *ret_sent ? send_patiently(repair, row, err) : 0;
}

int rb_verify_repair_finish(struct rb_verify_repair *repair, struct rb_error *err)
{
    while (repair->on_their_way > 0 && rb_command_wait(repair->command))
        continue;
    if (repair->on_their_way > 0)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "ended before all records were acknowledged");
    if (repair->error.code == RB_E_NONE)
        return 0;
    *err = repair->error;
    return -1;
}
