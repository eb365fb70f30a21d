/*
 * dead_letter.c — why a record cannot be worked on, in headers beside its own.
 *
 * Way:  record -> emit -> [dead_letter] -> Kafka
 */
#include "consumer/dead_letter.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"

RB_PRINTF(3, 4)
static void add_header(rd_kafka_headers_t *headers, const char *name, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rd_kafka_header_add(headers, name, -1, text, -1);
}

/* Numbers as Java writes them: the highest byte first. */
static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number, size_t bytes)
{
    uint8_t text[8];

    for (size_t i = 0; i < bytes; i++)
        text[i] = (uint8_t)((uint64_t)number >> 8 * (bytes - 1 - i));
    rd_kafka_header_add(headers, name, -1, text, (ssize_t)bytes);
}

/* As Kafka Connect's DeadLetterQueueReporter. */
static void add_connect_headers(rd_kafka_headers_t *headers, const struct rb_origin *origin,
                                const struct rb_error *cause)
{
    bool unreadable = cause->code == RB_E_BAD_EVENT || cause->code == RB_E_UNKNOWN_SCHEMA;

    add_header(headers, "__connect.errors.topic", "%s", origin->topic);
    add_header(headers, "__connect.errors.partition", "%" PRId32, origin->partition);
    add_header(headers, "__connect.errors.offset", "%" PRId64, origin->offset);
    add_header(headers, "__connect.errors.connector.name", "reelbus-consumer");
    add_header(headers, "__connect.errors.task.id", "0");
    add_header(headers, "__connect.errors.stage", "%s", unreadable ? "VALUE_CONVERTER" : "TASK_PUT");
    add_header(headers, "__connect.errors.class.name", "reelbus-consumer");
    add_header(headers, "__connect.errors.exception.class.name", "%s", rb_code_name(cause->code));
    add_header(headers, "__connect.errors.exception.message", "%s", cause->message);
    add_header(headers, "__connect.errors.exception.stacktrace", "%s: %s", rb_code_name(cause->code), cause->message);
}

/* As Spring's DeadLetterPublishingRecoverer. */
static void add_spring_headers(rd_kafka_headers_t *headers, const char *group, const struct rb_message *message,
                               const struct rb_error *cause)
{
    const struct rb_origin *origin = &message->origin;

    add_header(headers, "kafka_dlt-original-topic", "%s", origin->topic);
    add_number(headers, "kafka_dlt-original-partition", origin->partition, 4);
    add_number(headers, "kafka_dlt-original-offset", origin->offset, 8);
    add_number(headers, "kafka_dlt-original-timestamp", message->timestamp_ms, 8);
    add_header(headers, "kafka_dlt-original-consumer-group", "%s", group);
    add_header(headers, "kafka_dlt-exception-fqcn", "%s", rb_code_name(cause->code));
    add_header(headers, "kafka_dlt-exception-message", "%s", cause->message);
}

rd_kafka_headers_t *rb_dead_letter_headers(const struct rb_dead_letter *letter, const char *group)
{
    const struct rb_message *message = letter->message;
    const struct rb_error *cause = letter->cause;
    rd_kafka_headers_t *headers =
        message->headers != NULL && !letter->bare ? rd_kafka_headers_copy(message->headers) : rd_kafka_headers_new(24);
    char now[RB_TIME_TEXT_BYTES];

    add_header(headers, "reelbus.error.code", "%s", rb_code_name(cause->code));
    add_header(headers, "reelbus.error.message", "%s", cause->message);
    add_header(headers, "reelbus.error.time", "%s", rb_clock_text(rb_clock_unix_ms(), now));
    add_header(headers, "reelbus.error.group", "%s", group);
    if (letter->bare)
        add_header(headers, "reelbus.error.left_out_bytes", "%zu", message->value_bytes);
    add_connect_headers(headers, &message->origin, cause);
    add_spring_headers(headers, group, message, cause);
    return headers;
}
