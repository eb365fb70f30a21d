/*
 * kafka_producer.h — records into Kafka, each with a call when the brokers have it or when they will not.
 *
 * Way:  common
 */
#pragma once

#include "common/kafka.h"

struct rb_producer;

struct rb_record {
    const char *topic;
    const char *key; /* NULL for none */
    size_t key_bytes;
    const void *value;
    size_t value_bytes;
    rd_kafka_headers_t *headers; /* NULL for none; owned by rb_producer_send */
};

/* Where a record came to lie. */
struct rb_delivery {
    int32_t partition;
    int64_t offset;
};

/*
 * Called once for each record that was taken.
 *
 * Takes:  delivery, NULL with an error; err, NULL when all in-sync replicas have the record. With KAFKA_AWAY it may be in
 *         the topic all the same.
 */
typedef void (*rb_producer_fn)(const struct rb_delivery *delivery, const struct rb_error *err, void *arg);

/*
 * Start an idempotent producer with acks=all. It replaces its librdkafka client by itself when that reports a fatal
 * error, as librdkafka 2.0.2 does after some broker restarts.
 *
 * Takes:  config, borrowed for the call; topics, NULL at the end, borrowed for the call: what will be written, so that
 *         the first record of each does not wait for metadata; delivery_timeout_ms, after which a record is given up.
 * Gives:  ret_producer, owned by the caller; rb_producer_free it.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_producer_new(struct rb_loop *loop, const struct rb_kafka_config *config, const char *const *topics,
                                  int64_t delivery_timeout_ms, struct rb_producer **ret_producer, struct rb_error *err);

/*
 * Stop. Records that are still on their way are given up: their calls come, with an error, before this returns. NULL is
 * fine.
 *
 * Loop:   loop thread.
 */
void rb_producer_free(struct rb_producer *producer);

/*
 * Send a record.
 *
 * Takes:  record, borrowed for the call, its headers taken over in any case.
 * Fails:  KAFKA_AWAY at once when no broker is connected, KAFKA_FULL, KAFKA_REFUSED; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_producer_send(struct rb_producer *producer, const struct rb_record *record, rb_producer_fn fn,
                                   void *arg, struct rb_error *err);

/* What went wrong since the start. */
struct rb_producer_errors {
    int64_t client;  /* errors that librdkafka has reported */
    int64_t records; /* that it did not take, or that were not acknowledged */
};

/*
 * The errors that there were.
 *
 * Loop:   loop thread.
 */
struct rb_producer_errors rb_producer_errors(const struct rb_producer *producer);

/*
 * Is a broker connected?
 *
 * Loop:   loop thread.
 */
bool rb_producer_is_up(const struct rb_producer *producer);
