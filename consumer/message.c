/*
 * message.c — a record as it came from Kafka.
 *
 * Way:  consume -> [message] -> input -> job
 */
#include "consumer/message.h"

#include "common/envelope.h"
#include "common/wire.h"

static void *copy_bytes(const void *bytes, size_t count)
{
    void *copy = bytes != NULL ? rb_xalloc(count) : NULL;

    if (copy != NULL && count > 0)
        memcpy(copy, bytes, count);
    return copy;
}

static void copy_headers(struct rb_message *message, const rd_kafka_message_t *from)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t bytes;

    if (rd_kafka_message_headers(from, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    message->headers = rd_kafka_headers_copy(headers);
    if (rd_kafka_header_get_last(headers, RB_WIRE_ID_HEADER, &value, &bytes) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        message->schema_header = copy_bytes(value, bytes);
        message->schema_header_bytes = bytes;
    }
}

struct rb_message *rb_message_new(const rd_kafka_message_t *from, const char *topic)
{
    struct rb_message *message = rb_xalloc(sizeof(*message));
    char traceparent[128], tracestate[600];

    *message = (struct rb_message){
        .origin = {.topic = topic, .partition = from->partition, .offset = from->offset},
        .timestamp_ms = rd_kafka_message_timestamp(from, NULL),
        .key = copy_bytes(from->key, from->key_len),
        .key_bytes = from->key_len,
        .value = copy_bytes(from->payload, from->len),
        .value_bytes = from->len,
    };
    copy_headers(message, from);
    rb_trace_continue(rb_envelope_find(from, "traceparent", traceparent, sizeof(traceparent)), &message->trace);
    if (message->trace.parent_id[0] != '\0')
        message->tracestate = rb_xstrdup(rb_envelope_find(from, "tracestate", tracestate, sizeof(tracestate)));
    return message;
}

void rb_message_free(struct rb_message *message)
{
    if (message == NULL)
        return;
    if (message->headers != NULL)
        rd_kafka_headers_destroy(message->headers);
    free(message->key);
    free(message->value);
    free(message->schema_header);
    free(message->tracestate);
    free(message);
}
