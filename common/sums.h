/*
 * sums.h — how much is stored, by store, day and user; how it grows, and how long the room will last.
 *
 * Way:  common
 *
 * The database counts (deploy/sql/006_usage.sql) and knows the quota that consumers have noted (014_quota.sql).
 */
#pragma once

#include <libpq-fe.h>

#include "common/json.h"
#include "common/marks.h"

#define RB_SUMS_VALUES 4

/*
 * The question to the database. Its values: the user, NULL for all; how many days; how many users at most; up to how many users
 * of a store are counted, NULL for all of them.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_sums_sql(void);

/*
 * Read the answer.
 *
 *   {user_id, stores: [{store, bucket, bytes, videos, users, held_bytes, grown_bytes, over_ms, daily_bytes,
 *     days: [{day, bytes, videos}...], quota: {quota_bytes, warn_bytes, stop_bytes, level, days_left}}...],
 *    users: [{store, bucket, user_id, bytes, videos}...]}
 *
 * A store without a quota has no quota there; users is null for one user, daily_bytes while less than a day is known.
 *
 * Takes:  result, borrowed for the call.
 * Gives:  ret_report, owned by the caller; json_decref it.
 * Fails:  DB_REFUSED: it is not such an answer.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_sums_read(const PGresult *result, json_t **ret_report, struct rb_error *err);

/*
 * Give a store another quota than the one that was noted.
 *
 * Takes:  store, of a report; marks, with a quota.
 * Loop:   pure, any thread.
 */
void rb_sums_set_quota(json_t *store, const struct rb_marks *marks);

/*
 * Where is this store?
 *
 * Gives:  WELL also without a quota.
 * Loop:   pure, any thread.
 */
enum rb_marks_level rb_sums_level(const json_t *store);
