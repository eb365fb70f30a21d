/*
 * redrive_header.c — how often a record was sent once more, and why it was set aside.
 *
 * Way:  redrive -> Kafka -> consume -> job; job -> emit
 */
#include "consumer/redrive_header.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/units.h"

/* What dead_letter.c adds. */
static const char *const added[] = {"reelbus.error.", "__connect.errors.", "kafka_dlt-"};

char *rb_redrive_text(const rd_kafka_headers_t *headers, const char *name, char *ret_text, size_t room)
{
    const void *value;
    size_t bytes;

    if (headers == NULL || rd_kafka_header_get_last(headers, name, &value, &bytes) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        value == NULL || bytes >= room)
        return NULL;
    memcpy(ret_text, value, bytes);
    ret_text[bytes] = '\0';
    return ret_text;
}

int64_t rb_redrive_number(const rd_kafka_headers_t *headers, const char *name, int64_t fallback)
{
    char text[24];
    int64_t number;

    if (rb_redrive_text(headers, name, text, sizeof(text)) == NULL || rb_units_parse_number(text, &number) < 0)
        return fallback;
    return number >= 0 ? number : fallback;
}

void rb_redrive_add(rd_kafka_headers_t *headers, const char *name, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, number);
    rd_kafka_header_add(headers, name, -1, text, -1);
}

static bool was_added(const char *name)
{
    for (size_t i = 0; i < RB_COUNT(added); i++)
        if (strncmp(name, added[i], strlen(added[i])) == 0)
            return true;
    return strcmp(name, RB_REDRIVE_COUNT) == 0;
}

rd_kafka_headers_t *rb_redrive_headers(const rd_kafka_headers_t *headers, int64_t count)
{
    rd_kafka_headers_t *copy = rd_kafka_headers_new(16);
    const char *name;
    const void *value;
    size_t bytes;

    for (size_t i = 0;
         headers != NULL && rd_kafka_header_get_all(headers, i, &name, &value, &bytes) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        if (!was_added(name))
            rd_kafka_header_add(copy, name, -1, value, (ssize_t)bytes);
    rb_redrive_add(copy, RB_REDRIVE_COUNT, count);
    return copy;
}
