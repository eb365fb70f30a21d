/*
 * outgoing.c — an event on its way into a record.
 *
 * Way:  common
 */
#include "common/outgoing.h"

#include "common/envelope.h"

int rb_outgoing_record(const struct rb_codec *codec, const struct rb_outgoing *outgoing, struct rb_buffer *value,
                       struct rb_record *ret_record, struct rb_error *err)
{
    const struct rb_envelope envelope = {
        .id = outgoing->id,
        .source = outgoing->source,
        .type = rb_event_info(outgoing->event)->topic,
        .subject = outgoing->video_id,
        .time_unix_ms = outgoing->time_unix_ms,
        .trace = outgoing->trace,
        .tracestate = outgoing->tracestate,
    };

    RB_TRY(rb_codec_encode(codec, outgoing->event, outgoing->values, value, err));
    *ret_record = (struct rb_record){
        .topic = outgoing->topic,
        .key = outgoing->video_id,
        .key_bytes = strlen(outgoing->video_id),
        .value = value->bytes,
        .value_bytes = value->used,
        .headers = rb_envelope_headers(&envelope),
    };
    return 0;
}
