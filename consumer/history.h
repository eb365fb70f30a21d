/*
 * history.h — notes in reelbus.history where on Kafka outcomes were announced.
 *
 * Way:  emit -> [history] -> Postgres
 *
 * All else that happens to a video is noted by the statement that makes it happen (record_sql.h). This comes after: it is
 * collected and sent in batches, nothing waits for it, and it is dropped while the database is away.
 */
#pragma once

#include "common/pg.h"

struct rb_history;

/* Of a row v of reelbus.video that is stored: is it noted that this was announced? The note comes after the transaction. */
#define RB_HISTORY_SAYS_STORED                                                                                         \
    "EXISTS (SELECT FROM reelbus.history a WHERE a.video_id = v.video_id AND a.what = 'announced'"                     \
    " AND a.at >= v.stored_at AND right(a.topic, 12) = 'video.stored')"

/* The same, as far as it matters to whoever wants another attempt: after a day nobody comes to announce it any more. */
#define RB_HISTORY_STORED_IS_OVER "(v.stored_at < now() - interval '1 day' OR " RB_HISTORY_SAYS_STORED ")"

/* All borrowed for the call. */
struct rb_history_announced {
    const char *video_id;
    const char *topic;
    int32_t partition;
    int64_t offset;
};

/*
 * Make one.
 *
 * Takes:  pg, borrowed for as long as it lives.
 * Gives:  owned by the caller; rb_history_free it.
 * Loop:   loop thread.
 */
struct rb_history *rb_history_new(struct rb_loop *loop, struct rb_pg *pg);

/*
 * Free it; what was not sent is dropped. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_history_free(struct rb_history *history);

/*
 * Note an announcement, soon.
 *
 * Loop:   loop thread.
 */
void rb_history_add(struct rb_history *history, const struct rb_history_announced *announced);

/*
 * Send now what is there.
 *
 * Loop:   loop thread.
 */
void rb_history_flush(struct rb_history *history);

/*
 * Is everything sent and answered?
 *
 * Loop:   loop thread.
 */
bool rb_history_is_idle(const struct rb_history *history);
