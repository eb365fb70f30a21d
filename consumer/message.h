/*
 * message.h — a record as it came from Kafka, kept until it is finished.
 *
 * Way:  consume -> [message] -> input -> job
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/trace.h"

/* Where a record lies; also the name of whoever may announce an outcome. */
struct rb_origin {
    const char *topic; /* borrowed: from the message or the subscription */
    int32_t partition;
    int64_t offset;
};

struct rb_message {
    struct rb_origin origin;
    int64_t timestamp_ms; /* as Kafka has it; -1 when it has none */
    void *key;            /* owned, as is everything below; NULL when the record has none */
    size_t key_bytes;
    uint8_t *value;
    size_t value_bytes;
    rd_kafka_headers_t *headers;
    uint8_t *schema_header; /* of the header __value_schema_id */
    size_t schema_header_bytes;
    struct rb_trace trace; /* goes on from the record's traceparent */
    char *tracestate;
};

/*
 * Copy a record.
 *
 * Takes:  from, borrowed for the call; topic, borrowed for as long as the message lives.
 * Gives:  owned by the caller; rb_message_free it.
 * Loop:   any thread.
 */
struct rb_message *rb_message_new(const rd_kafka_message_t *from, const char *topic);

/*
 * Free it. NULL is fine.
 *
 * Loop:   any thread.
 */
void rb_message_free(struct rb_message *message);
