/*
 * resend.c — put records on the bus from a command.
 *
 * Way:  consumer verify, backfill -> [resend] -> Kafka
 */
#include "consumer/resend.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/outgoing.h"

#define ON_THEIR_WAY_MAX 500
#define DELIVERY_MS      60000
#define PATIENCE_MS      30000 /* for the first connection, for the registry, for room in the queue */

struct rb_resend {
    struct rb_command *command; /* borrowed */
    char *topic;
    char *source;
    struct rb_codec *codec;
    struct rb_producer *producer;
    size_t on_their_way;
    struct rb_error error; /* the first one */
};

static const enum rb_event written_event = RB_EVENT_VIDEO_WEBHOOK_RECEIVED;

static const char *name_of(const struct rb_command *command)
{
    return command->all_options->command->name;
}

int rb_resend_new(struct rb_command *command, struct rb_resend **ret_resend, struct rb_error *err)
{
    const struct rb_common_options *options = &command->options->common;
    const struct rb_codec_config codec = rb_codec_config_of(options, &written_event, 1);
    RB_AUTO_TEXT *client = rb_xprintf("reelbus-%s", name_of(command));
    const struct rb_kafka_config kafka = {options->kafka_brokers, client, options->kafka};
    struct rb_resend *resend = rb_xalloc(sizeof(*resend));

    resend->command = command;
    resend->topic = rb_xprintf("%s%s", options->topic_prefix, rb_event_info(written_event)->topic);
    resend->source = rb_xprintf("reelbus-consumer %s", name_of(command));
    resend->codec = rb_codec_new(command->loop, &codec, rb_command_wake, command);
    if (rb_producer_new(command->loop, &kafka, (const char *const[]){resend->topic, NULL}, DELIVERY_MS,
                        &resend->producer, err) < 0) {
        rb_resend_free(resend);
        return -1;
    }
    *ret_resend = resend;
    return 0;
}

void rb_resend_free(struct rb_resend *resend)
{
    if (resend == NULL)
        return;
    rb_producer_free(resend->producer);
    rb_codec_free(resend->codec);
    free(resend->topic);
    free(resend->source);
    free(resend);
}

/* -- a record ------------------------------------------------------------------------------------------------------ */

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct rb_resend *resend = arg;

    (void)delivery;
    if (err != NULL && resend->error.code == RB_E_NONE)
        resend->error = *err;
    resend->on_their_way--;
    rb_command_wake(resend->command);
}

/* Whether it is worth it to try once more, after a pause. */
static bool be_patient(struct rb_resend *resend, struct rb_backoff *pause, int64_t until_ms, const struct rb_error *err)
{
    return err->class == RB_OUTAGE && rb_clock_ms() < until_ms &&
           rb_command_pause(resend->command, rb_backoff_next_ms(pause, rb_random()));
}

static int send_once(struct rb_resend *resend, const struct rb_record *record, struct rb_error *err)
{
    struct rb_record copy = *record;

    if (record->headers != NULL)
        copy.headers = rd_kafka_headers_copy(record->headers);
    RB_TRY(rb_producer_send(resend->producer, &copy, on_delivered, resend, err));
    resend->on_their_way++;
    return 0;
}

/* After one that was lost no other goes. */
static int send_patiently(struct rb_resend *resend, const struct rb_record *record, struct rb_error *err)
{
    struct rb_backoff pause = {.first_ms = 20, .max_ms = 1000};
    int64_t until_ms = rb_clock_ms() + PATIENCE_MS;
    int result;

    while (resend->on_their_way >= ON_THEIR_WAY_MAX && rb_command_wait(resend->command))
        continue;
    if (resend->error.code != RB_E_NONE) {
        *err = resend->error;
        return -1;
    }
    while ((result = send_once(resend, record, err)) < 0 && be_patient(resend, &pause, until_ms, err))
        continue;
    return result;
}

int rb_resend_record(struct rb_resend *resend, const struct rb_record *record, struct rb_error *err)
{
    int result = send_patiently(resend, record, err);

    if (record->headers != NULL)
        rd_kafka_headers_destroy(record->headers);
    return result;
}

/* -- a video ------------------------------------------------------------------------------------------------------- */

static char *as_text(const char *text)
{
    return (char *)(uintptr_t)text; /* borrowed: the event is not cleared */
}

static int encode(struct rb_resend *resend, const struct rb_resend_video *video, struct rb_buffer *value,
                  struct rb_record *ret_record, struct rb_error *err)
{
    char event_id[RB_UUID_TEXT_BYTES];
    const struct rb_video_webhook_received event = {
        .event_id = video->event_id != NULL ? as_text(video->event_id) : rb_uuid_new(event_id),
        .video_id = as_text(video->video_id),
        .user_id = as_text(video->user_id),
        .status = (char[]){"completed"},
        .video_url = as_text(video->url),
        .scheme = as_text(name_of(resend->command)),
        .provider = as_text(video->provider),
        .provider_video_id = as_text(video->provider_video_id),
        .expires_at = video->expires_at,
        .checked = true,
        .received_at = rb_clock_unix_ms(),
    };
    const struct rb_outgoing outgoing = {
        .event = written_event,
        .values = &event,
        .topic = resend->topic,
        .source = resend->source,
        .id = event.event_id,
        .video_id = video->video_id,
        .time_unix_ms = event.received_at,
    };

    return rb_outgoing_record(resend->codec, &outgoing, value, ret_record, err);
}

int rb_resend_video(struct rb_resend *resend, const struct rb_resend_video *video, struct rb_error *err)
{
    struct rb_backoff pause = {.first_ms = 20, .max_ms = 1000};
    int64_t until_ms = rb_clock_ms() + PATIENCE_MS;
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;
    int result;

    while ((result = encode(resend, video, &value, &record, err)) < 0 && be_patient(resend, &pause, until_ms, err))
        value.used = 0;
    RB_TRY(result);
    return rb_resend_record(resend, &record, err);
}

int rb_resend_finish(struct rb_resend *resend, struct rb_error *err)
{
    while (resend->on_their_way > 0 && rb_command_wait(resend->command))
        continue;
    if (resend->on_their_way > 0)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "ended before all records were acknowledged");
    if (resend->error.code == RB_E_NONE)
        return 0;
    *err = resend->error;
    return -1;
}
