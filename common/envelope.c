/*
 * envelope.c — the headers of a record.
 *
 * Way:  common
 */
#include "common/envelope.h"

#include "common/clock.h"

static void add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    if (value != NULL)
        rd_kafka_header_add(headers, name, -1, value, -1);
}

rd_kafka_headers_t *rb_envelope_headers(const struct rb_envelope *envelope)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(10);
    char time[RB_TIME_TEXT_BYTES];
    char traceparent[RB_TRACEPARENT_BYTES];

    add(headers, "ce_specversion", "1.0");
    add(headers, "ce_id", envelope->id);
    add(headers, "ce_source", envelope->source);
    add(headers, "ce_type", envelope->type);
    add(headers, "ce_subject", envelope->subject);
    add(headers, "ce_time", rb_clock_text(envelope->time_unix_ms, time));
    add(headers, "content-type", "application/avro");
    add(headers, "traceparent", envelope->trace != NULL ? rb_trace_text(envelope->trace, traceparent) : NULL);
    add(headers, "tracestate", envelope->tracestate);
    return headers;
}

char *rb_envelope_find(const rd_kafka_message_t *message, const char *name, char *ret_text, size_t room)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t bytes;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &value, &bytes) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return NULL;
    if (value == NULL || bytes >= room)
        return NULL;
    memcpy(ret_text, value, bytes);
    ret_text[bytes] = '\0';
    return ret_text;
}
