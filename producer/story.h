/*
 * story.h — GET /api/video/history: one video, and all that happened to it.
 *
 * Way:  Postgres -> [story]
 */
#pragma once

#include "common/httpd.h"
#include "common/pg.h"
#include "common/tables.h"

struct rb_story;

/*
 * Make one.
 *
 * Takes:  pg, borrowed for as long as it lives; options, borrowed for the call.
 * Gives:  owned by the caller; rb_story_free it after the HTTP server and the database.
 * Loop:   loop thread.
 */
struct rb_story *rb_story_new(struct rb_pg *pg, const struct rb_common_options *options);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_story_free(struct rb_story *story);

/*
 * GET /api/video/history?videoId=a
 *
 *   {"video": view, "history": [{at, what, detail, topic, partition, offset}...]}
 *
 * Oldest first, the newest 200. what is expected (the application made its row; with a detail: it told of a provider and
 * its id), received, polled (asking brought news), claimed, try_failed, stored, failed or announced; topic, partition and
 * offset name the record that came in or went out.
 *
 * Takes:  arg, a struct rb_story.
 * Gives:  200, 400, 404, 503 with Retry-After when the database is away.
 * Loop:   loop thread.
 */
void rb_story_serve(struct rb_exchange *exchange, void *arg);
