/*
 * state.h — GET /api/video/status: what one or many videos are now, or once they have changed.
 *
 * Way:  live -> [state]
 */
#pragma once

#include "common/httpd.h"
#include "producer/live.h"

struct rb_state;

/*
 * Make one.
 *
 * Takes:  live, borrowed for as long as it lives.
 * Gives:  owned by the caller; rb_state_free it after the HTTP server and before live.
 * Loop:   loop thread.
 */
struct rb_state *rb_state_new(struct rb_loop *loop, struct rb_live *live);

/*
 * Free it. Whoever waits must have been answered by the HTTP server. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_state_free(struct rb_state *state);

/*
 * Answer all who wait for a change with what is, and from now on let nobody wait.
 *
 * Loop:   loop thread.
 */
void rb_state_drain(struct rb_state *state);

/*
 * GET /api/video/status?videoId=a[,b...][&wait=SECONDS]
 *
 * With one id the answer is the video as view.h has it, or 404; with several {"videos": [...], "unknown": [...]}. It has
 * a strong ETag. With wait, 0 to 60, it comes when it differs from the one that If-None-Match names, in any way, or
 * without that header when the state of a video changes; at the latest after so many seconds.
 *
 * Takes:  arg, a struct rb_state.
 * Gives:  200, 304, 400, 404, 503 with Retry-After when the database is away.
 * Loop:   loop thread.
 */
void rb_state_serve(struct rb_exchange *exchange, void *arg);
