/*
 * redrive_event.c — the record that has a final failure tried once more.
 *
 * Way:  redrive -> [redrive_event] -> Kafka -> consume
 */
#include "consumer/redrive_event.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/outgoing.h"
#include "common/random.h"
#include "consumer/redrive_header.h"

static char *text_at(const PGresult *rows, int row, const char *column)
{
    return (char *)(uintptr_t)rb_pg_text(rows, row, column); /* borrowed: the event is not cleared */
}

int rb_redrive_event(const struct rb_codec *codec, const char *topic, const char *source, const PGresult *rows, int row,
                     int64_t redrives, struct rb_buffer *value, struct rb_record *ret_record, struct rb_error *err)
{
    char *video_id = text_at(rows, row, "video_id");
    int64_t attempt = rb_pg_number(rows, row, "attempt", 0);
    int64_t expires_at = rb_pg_number(rows, row, "expires_at", RB_NO_LONG);
    RB_AUTO_TEXT *name = rb_xprintf("redrive %s %" PRId64, video_id, attempt);
    char event_id[RB_UUID_TEXT_BYTES];
    const struct rb_video_webhook_received event = {
        .event_id = rb_uuid_of_name(name, event_id),
        .video_id = video_id,
        .user_id = text_at(rows, row, "user_id"),
        .status = (char[]){"completed"},
        .video_url = text_at(rows, row, "source_url"),
        .scheme = (char[]){"redrive"},
        .provider = text_at(rows, row, "provider"),
        .provider_video_id = text_at(rows, row, "provider_video_id"),
        .expires_at = expires_at > rb_clock_unix_ms() ? expires_at : RB_NO_LONG, /* else whoever tries finds out */
        .checked = true,
        .received_at = rb_clock_unix_ms(),
    };
    const struct rb_outgoing outgoing = {
        .event = RB_EVENT_VIDEO_WEBHOOK_RECEIVED,
        .values = &event,
        .topic = topic,
        .source = source,
        .id = event.event_id,
        .video_id = video_id,
        .time_unix_ms = event.received_at,
    };

    RB_TRY(rb_outgoing_record(codec, &outgoing, value, ret_record, err));
    rb_redrive_add(ret_record->headers, RB_REDRIVE_COUNT, redrives);
    rb_redrive_add(ret_record->headers, RB_REDRIVE_ATTEMPT, attempt);
    return 0;
}
