/*
 * outbox_record.c — records for Kafka to records of the spool, and back.
 *
 * Way:  publish -> [outbox] -> spool -> Kafka
 */
#include "common/clock.h"
#include "producer/outbox_inside.h"

int rb_outbox_pack(const struct rb_record *record, struct rb_buffer *bytes, struct rb_error *err)
{
    struct rb_spool_record spooled = {
        .spooled_unix_ms = rb_clock_unix_ms(),
        .topic = record->topic,
        .key = record->key,
        .key_bytes = record->key_bytes,
        .value = record->value,
        .value_bytes = record->value_bytes,
    };

    for (size_t i = 0; record->headers != NULL && i < RB_SPOOL_HEADERS_MAX; i++) {
        struct rb_spool_header *header = &spooled.headers[i];

        if (rd_kafka_header_get_all(record->headers, i, &header->name, &header->value, &header->value_bytes) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        spooled.header_count++;
    }
    return rb_spool_format_add(bytes, &spooled, err);
}

struct rb_record rb_outbox_unpack(const struct rb_spool_record *spooled)
{
    struct rb_record record = {
        .topic = spooled->topic,
        .key = spooled->key,
        .key_bytes = spooled->key_bytes,
        .value = spooled->value,
        .value_bytes = spooled->value_bytes,
        .headers = rd_kafka_headers_new(spooled->header_count),
    };

    for (size_t i = 0; i < spooled->header_count; i++)
        rd_kafka_header_add(record.headers, spooled->headers[i].name, -1, spooled->headers[i].value,
                            (ssize_t)spooled->headers[i].value_bytes);
    return record;
}
