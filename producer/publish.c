/*
 * publish.c — puts what was received on Kafka.
 *
 * Way:  receive -> verify -> notice -> lookup -> [publish] -> outbox -> Kafka
 */
#include "producer/publish.h"

#include <inttypes.h>

#include "common/failpoint.h"
#include "common/outgoing.h"

struct rb_publish {
    struct rb_producer *producer; /* NULL after rb_publish_stop */
    struct rb_outbox *outbox;
    struct rb_codec *codec; /* borrowed */
    char *webhook_topic;
    char *poll_topic;
};

static int open_outbox(struct rb_publish *publish, struct rb_loop *loop, const struct rb_publish_config *config,
                       struct rb_error *err)
{
    const struct rb_outbox_config outbox = {
        .producer = publish->producer,
        .spool = config->spool,
        .spool_max_bytes = config->spool_max_bytes,
        .metrics = config->metrics,
    };

    return rb_outbox_new(loop, &outbox, &publish->outbox, err);
}

int rb_publish_new(struct rb_loop *loop, const struct rb_publish_config *config, struct rb_publish **ret_publish,
                   struct rb_error *err)
{
    struct rb_publish *publish = rb_xalloc(sizeof(*publish));

    publish->codec = config->codec;
    publish->webhook_topic =
        rb_xprintf("%s%s", config->topic_prefix, rb_event_info(RB_EVENT_VIDEO_WEBHOOK_RECEIVED)->topic);
    publish->poll_topic = rb_xprintf("%s%s", config->topic_prefix, rb_event_info(RB_EVENT_VIDEO_POLL_RESULT)->topic);
    if (rb_producer_new(loop, &config->kafka, (const char *const[]){publish->webhook_topic, publish->poll_topic, NULL},
                        config->timeout_ms, &publish->producer, err) < 0 ||
        open_outbox(publish, loop, config, err) < 0) {
        rb_publish_free(publish);
        return -1;
    }
    *ret_publish = publish;
    return 0;
}

void rb_publish_stop(struct rb_publish *publish)
{
    struct rb_producer *producer = RB_STEAL(publish->producer);

    if (publish->outbox != NULL)
        rb_outbox_stop(publish->outbox);
    rb_producer_free(producer);
}

void rb_publish_free(struct rb_publish *publish)
{
    if (publish == NULL)
        return;
    rb_publish_stop(publish);
    rb_outbox_free(publish->outbox);
    free(publish->webhook_topic);
    free(publish->poll_topic);
    free(publish);
}

static int send_outgoing(struct rb_publish *publish, const struct rb_outgoing *outgoing, rb_producer_fn fn, void *arg,
                         struct rb_error *err)
{
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;

    RB_TRY(rb_publish_check(publish, err));
    RB_TRY(rb_outgoing_record(publish->codec, outgoing, &value, &record, err));
    return rb_outbox_send(publish->outbox, &record, fn, arg, err);
}

int rb_publish_webhook(struct rb_publish *publish, const struct rb_video_webhook_received *event,
                       const struct rb_trace *trace, const char *tracestate, rb_producer_fn fn, void *arg,
                       struct rb_error *err)
{
    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_WEBHOOK_RECEIVED,
        .values = event,
        .topic = publish->webhook_topic,
        .source = "reelbus-producer",
        .id = event->event_id,
        .video_id = event->video_id,
        .time_unix_ms = event->received_at,
        .trace = trace,
        .tracestate = tracestate,
    };

    RB_TRY(RB_FAIL_AS(webhook_publish, KAFKA_AWAY, err));
    RB_TRY(send_outgoing(publish, &outgoing, fn, arg, err));
    RB_FAIL_HERE(webhook_handed_over);
    return 0;
}

int rb_publish_poll(struct rb_publish *publish, const struct rb_video_poll_result *event, const struct rb_trace *trace,
                    rb_producer_fn fn, void *arg, struct rb_error *err)
{
    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_POLL_RESULT,
        .values = event,
        .topic = publish->poll_topic,
        .source = "reelbus-producer",
        .id = event->event_id,
        .video_id = event->video_id,
        .time_unix_ms = event->polled_at,
        .trace = trace,
    };

    RB_TRY(RB_FAIL_AS(poll_publish, KAFKA_AWAY, err));
    return send_outgoing(publish, &outgoing, fn, arg, err);
}

const char *rb_publish_topic(const struct rb_publish *publish)
{
    return publish->webhook_topic;
}

const char *rb_publish_poll_topic(const struct rb_publish *publish)
{
    return publish->poll_topic;
}

int rb_publish_check(const struct rb_publish *publish, struct rb_error *err)
{
    RB_TRY(rb_outbox_check(publish->outbox, err));
    if (!rb_codec_is_ready(publish->codec))
        return rb_fail(err, RB_E_REGISTRY_AWAY, 0, "the schema registry has not told the ids of our schemas yet");
    return 0;
}

bool rb_publish_is_up(const struct rb_publish *publish)
{
    return publish->producer != NULL && rb_producer_is_up(publish->producer);
}

struct rb_producer_errors rb_publish_errors(const struct rb_publish *publish)
{
    return publish->producer != NULL ? rb_producer_errors(publish->producer) : (struct rb_producer_errors){0};
}

int rb_publish_check_direct(const struct rb_publish *publish, struct rb_error *err)
{
    uint64_t spooled = rb_outbox_spooled(publish->outbox);

    if (!rb_publish_is_up(publish))
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "no Kafka broker is connected");
    if (spooled > 0)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "%" PRIu64 " records of the spool go to Kafka first", spooled);
    return 0;
}
