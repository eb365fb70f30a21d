/*
 * redrive_event.h — the record that has a final failure tried once more.
 *
 * Way:  redrive -> [redrive_event] -> Kafka -> consume
 */
#pragma once

#include "common/codec.h"
#include "common/kafka_producer.h"
#include "common/pg.h"

/* What it is made of, of a row `v` of reelbus.video. */
#define RB_REDRIVE_COLUMNS                                                                                             \
    " v.video_id::text AS video_id, v.attempt, v.redrives, v.error_class, v.error_code, v.user_id, v.source_url,"      \
    " v.provider, v.provider_video_id, (extract(epoch FROM v.expires_at) * 1000)::bigint AS expires_at"

/* Its record is on its way. Whoever has not taken it within a day never will. */
#define RB_REDRIVE_SENT                                                                                                \
    "(v.redriven_attempt IS NOT DISTINCT FROM v.attempt AND coalesce(v.redriven_at, now()) > now() - interval '1 day')"

/*
 * Make the record. The same attempt has the same event, however often it is sent.
 *
 * Takes:  topic, that webhooks come by; source, which program; rows, with RB_REDRIVE_COLUMNS; redrives, how often it was sent
 *         once more, this time included; value, empty.
 * Gives:  ret_record, whose headers are the caller's; it points into rows, value and topic.
 * Fails:  REGISTRY_AWAY, BAD_EVENT.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_redrive_event(const struct rb_codec *codec, const char *topic, const char *source,
                                   const PGresult *rows, int row, int64_t redrives, struct rb_buffer *value,
                                   struct rb_record *ret_record, struct rb_error *err);
