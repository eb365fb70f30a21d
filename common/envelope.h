/*
 * envelope.h — the headers of a record: CloudEvents in binary mode, and the trace.
 *
 * Way:  common
 *
 * Source: CloudEvents 1.0.2, Kafka protocol binding, section 3.2: each attribute as a header ce_NAME in UTF-8, the data's
 * media type as the header content-type.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/trace.h"

struct rb_envelope {
    const char *id;      /* ce_id: the event's UUID */
    const char *source;  /* ce_source: which program */
    const char *type;    /* ce_type: the topic's name without the prefix */
    const char *subject; /* ce_subject: the video id */
    int64_t time_unix_ms;
    const struct rb_trace *trace; /* NULL: it begins with whoever reads the record */
    const char *tracestate;       /* as it came; NULL for none */
};

/*
 * Make the headers.
 *
 * Takes:  envelope, borrowed for the call.
 * Gives:  owned by the caller; rb_producer_send takes them over.
 * Loop:   any thread.
 */
rd_kafka_headers_t *rb_envelope_headers(const struct rb_envelope *envelope);

/*
 * The last header of a record with this name, as text.
 *
 * Takes:  ret_text, filled up to room bytes and ended with a NUL.
 * Gives:  ret_text, or NULL when there is no such header or it does not fit.
 * Loop:   any thread.
 */
char *rb_envelope_find(const rd_kafka_message_t *message, const char *name, char *ret_text, size_t room);
