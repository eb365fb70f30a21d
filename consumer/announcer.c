/*
 * announcer.c — video.deleted from commands.
 *
 * Way:  consumer cleanup -> [announcer] -> Kafka
 */
#include "consumer/announcer.h"

#include "common/outgoing.h"

#define ANNOUNCER_MAGIC 0x414e4e4fu
#define ANNOUNCE_MAGIC  0x414e4e43u
#define DELIVERY_MS     60000
#define OPEN_MS         30000 /* for the first connection, and for the registry */
#define LOOK_MS         50

static const enum rb_event written_event = RB_EVENT_VIDEO_DELETED;

struct rb_announcer {
    uint32_t magic;
    struct rb_command *command; /* borrowed */
    char *topic;
    struct rb_codec *codec;
    struct rb_producer *producer;
    bool closing;
};

/* An event on its way. */
struct announce {
    uint32_t magic;
    struct rb_announcer *announcer; /* borrowed, as is the receipt */
    struct rb_receipt *receipt;
};

int rb_announcer_new(struct rb_command *command, struct rb_announcer **ret_announcer, struct rb_error *err)
{
    const struct rb_common_options *options = &command->options->common;
    const struct rb_kafka_config kafka = {options->kafka_brokers, "reelbus-cleanup", options->kafka};
    const struct rb_codec_config codec = rb_codec_config_of(options, &written_event, 1);
    struct rb_announcer *announcer = rb_xalloc(sizeof(*announcer));

    announcer->magic = ANNOUNCER_MAGIC;
    announcer->command = command;
    announcer->topic = rb_xprintf("%s%s", options->topic_prefix, rb_event_info(written_event)->topic);
    announcer->codec = rb_codec_new(command->loop, &codec, rb_command_wake, command);
    if (rb_producer_new(command->loop, &kafka, (const char *const[]){announcer->topic, NULL}, DELIVERY_MS,
                        &announcer->producer, err) < 0) {
        rb_announcer_free(announcer);
        return -1;
    }
    *ret_announcer = announcer;
    return 0;
}

void rb_announcer_free(struct rb_announcer *announcer)
{
    if (announcer == NULL)
        return;
    announcer->closing = true;
    rb_producer_free(announcer->producer);
    rb_codec_free(announcer->codec);
    free(announcer->topic);
    announcer->magic = 0;
    free(announcer);
}

static bool is_up(const void *arg)
{
    const struct rb_announcer *announcer = arg;

    return rb_codec_is_ready(announcer->codec) && rb_producer_is_up(announcer->producer);
}

int rb_announcer_wait(struct rb_announcer *announcer, struct rb_error *err)
{
    struct rb_command *command = announcer->command;
    struct rb_timer *timer = rb_timer_new(command->loop, rb_command_wake, command);

    for (int64_t waited_ms = 0; !is_up(announcer) && waited_ms < OPEN_MS; waited_ms += LOOK_MS) {
        rb_timer_start(timer, LOOK_MS);
        if (!rb_command_wait(command))
            break;
    }
    rb_timer_free(timer);
    if (is_up(announcer))
        return 0;
    if (!rb_codec_is_ready(announcer->codec))
        return rb_fail(err, RB_E_REGISTRY_AWAY, 0, "the schema registry does not answer");
    return rb_fail(err, RB_E_KAFKA_AWAY, 0, "no broker of '%.100s' answers", command->options->common.kafka_brokers);
}

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct announce *announce = RB_CAST(announce, arg, ANNOUNCE_MAGIC);
    struct rb_receipt *receipt = announce->receipt;
    bool closing = announce->announcer->closing;

    announce->magic = 0;
    free(announce);
    if (!closing)
        receipt->fn(delivery, err, receipt->arg);
}

static int send_deleted(void *arg, const struct rb_video_deleted *event, struct rb_receipt *receipt,
                        struct rb_error *err)
{
    struct rb_announcer *announcer = RB_CAST(rb_announcer, arg, ANNOUNCER_MAGIC);
    struct announce *announce;
    struct rb_trace trace;
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;
    const struct rb_outgoing outgoing = {
        .event = written_event,
        .values = event,
        .topic = announcer->topic,
        .source = "reelbus-consumer cleanup",
        .id = event->event_id,
        .video_id = event->video_id,
        .time_unix_ms = event->deleted_at,
        .trace = &trace,
    };

    rb_trace_continue(NULL, &trace);
    RB_TRY(rb_outgoing_record(announcer->codec, &outgoing, &value, &record, err));
    announce = rb_xalloc(sizeof(*announce));
    *announce = (struct announce){ANNOUNCE_MAGIC, announcer, receipt};
    if (rb_producer_send(announcer->producer, &record, on_delivered, announce, err) == 0)
        return 0;
    free(announce);
    return -1;
}

struct rb_remove_announcer rb_announcer_of(struct rb_announcer *announcer)
{
    return (struct rb_remove_announcer){is_up, send_deleted, announcer};
}
