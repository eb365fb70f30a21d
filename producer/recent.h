/*
 * recent.h — GET /api/videos: which videos there are, page by page.
 *
 * Way:  Postgres -> [recent]
 */
#pragma once

#include "common/httpd.h"
#include "common/pg.h"
#include "common/tables.h"

struct rb_recent;

/*
 * Make one.
 *
 * Takes:  pg and options, borrowed for as long as it lives.
 * Gives:  owned by the caller; rb_recent_free it after the HTTP server and the database.
 * Loop:   loop thread.
 */
struct rb_recent *rb_recent_new(struct rb_pg *pg, const struct rb_common_options *options);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_recent_free(struct rb_recent *recent);

/*
 * GET /api/videos?limit=N[&state=...][&user=ID][&q=PREFIX OF AN ID][&before=CURSOR]
 *
 *   {"videos": [view...], "next": CURSOR or null}
 *
 * Those that changed last first; of those that nobody has told reelbus of, those that were made last. With q by their
 * ids. state is waiting, processing, stored or failed. A page may have fewer videos than the limit although there is a
 * next one: so much is looked at for one page and no more, and indexes lead there.
 *
 * Takes:  arg, a struct rb_recent.
 * Gives:  200, 400, 503 with Retry-After when the database is away.
 * Loop:   loop thread.
 */
void rb_recent_serve(struct rb_exchange *exchange, void *arg);
