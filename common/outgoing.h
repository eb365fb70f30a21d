/*
 * outgoing.h — an event on its way into a record: encoded, with its video as the key, in its envelope.
 *
 * Way:  common
 */
#pragma once

#include "common/codec.h"
#include "common/kafka_producer.h"
#include "common/trace.h"

/* All borrowed. */
struct rb_outgoing {
    enum rb_event event;
    const void *values; /* the struct of this event */
    const char *topic;
    const char *source; /* which program */
    const char *id;     /* the event's UUID */
    const char *video_id;
    int64_t time_unix_ms;
    const struct rb_trace *trace; /* NULL: it begins with whoever reads the record */
    const char *tracestate;       /* as it came; NULL for none */
};

/*
 * Make the record of an event.
 *
 * Takes:  value, empty, owned by the caller; the record points into it and into outgoing.
 * Gives:  ret_record, whose headers rb_producer_send takes over.
 * Fails:  BAD_EVENT, REGISTRY_AWAY.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_outgoing_record(const struct rb_codec *codec, const struct rb_outgoing *outgoing,
                                     struct rb_buffer *value, struct rb_record *ret_record, struct rb_error *err);
