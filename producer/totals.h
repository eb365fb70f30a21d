/*
 * totals.h — GET /api/usage: how much is stored, how it grows, and how long the room will last.
 *
 * Way:  Postgres -> [totals]
 */
#pragma once

#include "common/httpd.h"
#include "common/pg.h"

struct rb_totals;

/*
 * Make one.
 *
 * Takes:  pg, borrowed for as long as it lives; nobody else's, for a slow answer keeps others waiting and may cost the connection.
 * Gives:  owned by the caller; rb_totals_free it after the HTTP server and the database.
 * Loop:   loop thread.
 */
struct rb_totals *rb_totals_new(struct rb_pg *pg);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_totals_free(struct rb_totals *totals);

/*
 * GET /api/usage?days=N[&user=ID]
 *
 *   {"userId", "stores": [{store, bucket, bytes, videos, users, heldBytes, grownBytes, overMs, dailyBytes, days: [{day, bytes,
 *     videos}...], quota: {quotaBytes, warnBytes, stopBytes, level, daysLeft}}...], "users": [{store, bucket, userId, bytes,
 *     videos}...]}
 *
 * As rb_sums_read has it. The users with the most bytes come first, 20 at most; with a user, that one alone, and the quota is a
 * user's. users of a store is a count up to 10,000, and 10,001 when there are more.
 *
 * Takes:  arg, a struct rb_totals.
 * Gives:  200, 400, 503 with Retry-After when the database is away, or others are being answered.
 * Loop:   loop thread.
 */
void rb_totals_serve(struct rb_exchange *exchange, void *arg);
