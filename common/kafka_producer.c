/*
 * kafka_producer.c — records into Kafka, each with a call when the brokers have it or when they will not.
 *
 * Way:  common
 */
#include "common/kafka_producer.h"

#include <inttypes.h>

#include "common/errmap.h"
#include "common/kafka_sender.h"
#include "common/log.h"
#include "common/watchdog.h"

#define PRODUCER_MAGIC 0x50524f44u
#define SENDING_MAGIC  0x53454e44u

struct rb_producer {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    struct rb_kafka *kafka;
    struct rb_kafka_sender sender;
    char timeout_text[24];
    struct rb_task restart;
    size_t pending;
    int64_t finished;
    struct rb_front front;            /* each record is acknowledged or given up within the timeout */
    struct rb_producer_errors errors; /* but for those of the client that is open */
};

struct sending {
    uint32_t magic;
    rb_producer_fn fn;
    void *arg; /* borrowed */
};

static void finish_message(struct rb_producer *producer, const rd_kafka_message_t *message)
{
    struct sending *sending = RB_CAST(sending, message->_private, SENDING_MAGIC);
    struct rb_delivery delivery = {.partition = message->partition, .offset = message->offset};
    struct rb_error err = {0};

    producer->pending--;
    producer->finished++;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        sending->fn(&delivery, NULL, sending->arg);
    } else {
        producer->errors.records++;
        rb_fail(&err, rb_errmap_kafka(message->err), message->err, "Kafka did not take the record: %s",
                rd_kafka_err2str(message->err));
        sending->fn(NULL, &err, sending->arg);
    }
    sending->magic = 0;
    free(sending);
}

static void on_event(rd_kafka_event_t *event, void *arg)
{
    struct rb_producer *producer = RB_CAST(rb_producer, arg, PRODUCER_MAGIC);
    const rd_kafka_message_t *message;
    struct rb_error err = {0};

    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR)
        return;
    while ((message = rd_kafka_event_message_next(event)) != NULL)
        finish_message(producer, message);
    if (rb_kafka_check_fatal(producer->kafka, &err) < 0)
        rb_task_queue(&producer->restart);
}

static int64_t deliveries(void *arg)
{
    const struct rb_producer *producer = RB_CAST(rb_producer, arg, PRODUCER_MAGIC);

    return producer->pending > 0 ? producer->finished : RB_FRONT_IDLE;
}

static int producer_open(struct rb_producer *producer, struct rb_error *err)
{
    const char *const settings[] = {
        "acks",
        "all",
        "enable.idempotence",
        "true",
        "delivery.timeout.ms",
        producer->timeout_text,
        "linger.ms",
        "1", /* what comes together leaves together */
        "max.in.flight.requests.per.connection",
        "2", /* a broker answers one after the other: one that it is at, one at hand. More make smaller batches */
        "retry.backoff.ms",
        "50",
        "compression.codec",
        "lz4",
        NULL,
    };

    return rb_kafka_sender_open(&producer->sender, producer->loop, settings, on_event, producer, &producer->kafka, err);
}

/* Everything that is on its way comes back as not delivered before the client goes. */
static void producer_close(struct rb_producer *producer)
{
    if (producer->kafka == NULL)
        return;
    rd_kafka_purge(rb_kafka_handle(producer->kafka), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (unsigned i = 0; producer->pending > 0 && i < 1000; i++)
        (void)rb_kafka_serve(producer->kafka, 10);
    producer->errors.client += rb_kafka_error_count(producer->kafka);
    rb_kafka_close(producer->kafka);
    producer->kafka = NULL;
}

/* A fresh client with a fresh producer id goes on where the broken one stopped. */
static void producer_restart(void *arg)
{
    struct rb_producer *producer = RB_CAST(rb_producer, arg, PRODUCER_MAGIC);
    struct rb_error err = {0};

    if (rb_kafka_check_fatal(producer->kafka, &err) == 0)
        return;
    rb_log_error(NULL, RB_EV_KAFKA_TROUBLE, &err, "action=restart_producer pending=%zu", producer->pending);
    producer_close(producer);
    if (producer_open(producer, &err) < 0)
        RB_BUG("librdkafka refuses settings that it has taken before");
    rb_task_done(&producer->restart);
}

int rb_producer_new(struct rb_loop *loop, const struct rb_kafka_config *config, const char *const *topics,
                    int64_t delivery_timeout_ms, struct rb_producer **ret_producer, struct rb_error *err)
{
    struct rb_producer *producer = rb_xalloc(sizeof(*producer));

    *producer = (struct rb_producer){
        .magic = PRODUCER_MAGIC,
        .loop = loop,
        .sender = rb_kafka_sender(config, topics),
    };
    snprintf(producer->timeout_text, sizeof(producer->timeout_text), "%" PRId64, delivery_timeout_ms);
    rb_task_init(&producer->restart, loop, producer_restart, producer);
    if (producer_open(producer, err) < 0) {
        rb_producer_free(producer);
        return -1;
    }
    producer->front = (struct rb_front){
        .name = "deliveries", .more_ms = delivery_timeout_ms, .progress = deliveries, .arg = producer};
    rb_front_enter(loop, &producer->front);
    *ret_producer = producer;
    return 0;
}

void rb_producer_free(struct rb_producer *producer)
{
    if (producer == NULL)
        return;
    rb_front_leave(&producer->front);
    producer_close(producer);
    rb_task_done(&producer->restart);
    rb_kafka_sender_done(&producer->sender);
    producer->magic = 0;
    free(producer);
}

int rb_producer_send(struct rb_producer *producer, const struct rb_record *record, rb_producer_fn fn, void *arg,
                     struct rb_error *err)
{
    rd_kafka_headers_t *headers = record->headers;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    struct sending *sending = rb_xalloc(sizeof(*sending));

    *sending = (struct sending){.magic = SENDING_MAGIC, .fn = fn, .arg = arg};
    if (headers == NULL)
        headers = rd_kafka_headers_new(0);
    if (rb_kafka_is_up(producer->kafka))
        code =
            rd_kafka_producev(rb_kafka_handle(producer->kafka), RD_KAFKA_V_TOPIC(record->topic),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(record->key, record->key_bytes),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->value_bytes),
                              RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(sending), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->pending++;
        return 0;
    }
    producer->errors.records++;
    rd_kafka_headers_destroy(headers);
    free(sending);
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        rb_task_queue(&producer->restart);
    return rb_fail(err, rb_errmap_kafka(code), code, "cannot send to '%s': %s", record->topic, rd_kafka_err2str(code));
}

struct rb_producer_errors rb_producer_errors(const struct rb_producer *producer)
{
    struct rb_producer_errors errors = producer->errors;

    if (producer->kafka != NULL)
        errors.client += rb_kafka_error_count(producer->kafka);
    return errors;
}

bool rb_producer_is_up(const struct rb_producer *producer)
{
    return rb_kafka_is_up(producer->kafka);
}
