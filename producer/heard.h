/*
 * heard.h — which videos webhooks have told of: so that polling can be thin while they work, and so that it is known how
 * many were missed.
 *
 * Way:  receive -> [heard] <- poll
 *
 * An end that polling published counts as a missed webhook when, a grace period later, the video's row still says that
 * none has come. One that was under way at the same time, or that reached another producer, is therefore no missed one.
 */
#pragma once

#include "common/metrics.h"
#include "common/pg.h"

struct rb_heard;

/*
 * Make one.
 *
 * Takes:  pg, metrics, borrowed for as long as it lives; grace_ms, for a webhook to come after polling had the end.
 * Gives:  owned by the caller; rb_heard_free it.
 * Loop:   loop thread.
 */
struct rb_heard *rb_heard_new(struct rb_loop *loop, struct rb_pg *pg, struct rb_metrics *metrics, int64_t grace_ms);

/*
 * Say whether there are both webhooks and polls. At first there are not: ends are counted, the database is not asked.
 *
 * Loop:   loop thread.
 */
void rb_heard_both_ways(struct rb_heard *heard, bool both_ways);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread; after rb_pg_free.
 */
void rb_heard_free(struct rb_heard *heard);

/*
 * A webhook has told of the end of a video, and Kafka has the event. Written to the database about once a second, in one
 * statement; what is more than that can hold, or comes while the database is away, is not: it costs some polls.
 *
 * Takes:  video_id, borrowed for the call; completed_at_ms, when the provider had finished, RB_NO_LONG when it does not
 *         tell.
 * Loop:   loop thread.
 */
void rb_heard_webhook(struct rb_heard *heard, const char *video_id, int64_t completed_at_ms);

/*
 * A webhook has told of the end of a video that needs no event any more: no completion is counted, but it was not missed.
 *
 * Takes:  video_id, borrowed for the call.
 * Loop:   loop thread.
 */
void rb_heard_late_webhook(struct rb_heard *heard, const char *video_id);

/*
 * Polling has published the end of a video for the first time.
 *
 * Takes:  as rb_heard_webhook.
 * Loop:   loop thread.
 */
void rb_heard_poll(struct rb_heard *heard, const char *video_id, int64_t completed_at_ms);
