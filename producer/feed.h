/*
 * feed.h — GET /api/video/events: videos as they change, by Server-Sent Events.
 *
 * Way:  live -> [feed]
 */
#pragma once

#include "common/httpd.h"
#include "producer/live.h"

struct rb_feed;

/*
 * Make one.
 *
 * Takes:  live and metrics, borrowed for as long as it lives.
 * Gives:  owned by the caller; rb_feed_free it after the HTTP server and before live.
 * Loop:   loop thread.
 */
struct rb_feed *rb_feed_new(struct rb_loop *loop, struct rb_live *live, struct rb_metrics *metrics);

/*
 * Free it. The HTTP server must have closed its streams. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_feed_free(struct rb_feed *feed);

/*
 * GET /api/video/events?videoId=a[,b...][&until=terminal]
 *
 *   event: status    the video as view.h has it; at first as it is, then after each change
 *   event: progress  {videoId, storedPercent, bytes, bytesTotal}, while it is being stored
 *   event: unknown   {videoId}: the application has no such video
 *   event: end       with until=terminal: none of them is expected to change any more, and the stream ends
 *
 * The id of an event is the time of the change in microseconds. With Last-Event-ID only what is newer is sent at once, and
 * what still waits; of several videos perhaps some that are a little older. A stream to a client that reads too slowly is closed; it comes
 * back with its Last-Event-ID.
 *
 * Takes:  arg, a struct rb_feed.
 * Gives:  200, 400, 503 when there are too many already. With the database away: 200, and the states when it is back.
 * Loop:   loop thread.
 */
void rb_feed_serve(struct rb_exchange *exchange, void *arg);
