/*
 * redrive_header.h — what the headers of a record say about how often it was sent once more, and why it was set aside.
 *
 * Way:  redrive -> Kafka -> consume -> job; job -> emit
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/base.h"

#define RB_REDRIVE_COUNT "reelbus-redrive-count" /* how often it was sent once more by redrive */
#define RB_REDRIVE_ATTEMPT                                                                                             \
    "reelbus-redrive-attempt" /* the attempt that has failed and is to be followed by another one */

/*
 * A header as text.
 *
 * Takes:  headers, NULL for none; ret_text, filled up to room bytes and ended with a NUL.
 * Gives:  ret_text, or NULL when there is no such header or it does not fit. Of several, the last.
 * Loop:   pure, any thread, as all below.
 */
char *rb_redrive_text(const rd_kafka_headers_t *headers, const char *name, char *ret_text, size_t room);

/*
 * A header as a number.
 *
 * Gives:  fallback when there is no such header, or it is no number from 0 on.
 * Loop:   as above.
 */
int64_t rb_redrive_number(const rd_kafka_headers_t *headers, const char *name, int64_t fallback);

/*
 * The headers that a dead letter had before it was one, and how often it was sent once more: count.
 *
 * Takes:  headers, of the dead letter, NULL for none.
 * Gives:  owned by the caller.
 * Loop:   as above.
 */
rd_kafka_headers_t *rb_redrive_headers(const rd_kafka_headers_t *headers, int64_t count);

/*
 * Say how often a record was sent once more.
 *
 * Loop:   as above.
 */
void rb_redrive_add(rd_kafka_headers_t *headers, const char *name, int64_t number);
