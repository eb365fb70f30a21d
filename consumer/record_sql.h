/*
 * record_sql.h — the statements of record.c: each is one transaction.
 *
 * Way:  store -> [record] -> emit
 *
 * Each statement that changes a row also adds to reelbus.history and tells the channel reelbus_video, so that whoever
 * shows the video learns of it when, and only when, it has happened.
 */
#pragma once

#include "common/notify.h"

/* SQL reads best as SQL. */
/* clang-format off */

/* What all three end in: the row as it is now, whether the application knows the video, and whether this statement
 * wrote. `written` is the row that it wrote, if it did; `before` the row as it was when the statement began. */
#define MS(column) "(extract(epoch FROM r." column ") * 1000)::bigint AS " column
#define SHOW_ROW                                                                                                       \
    ", told AS (SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM written)"                               \
    " SELECT EXISTS (SELECT FROM app) AS known, EXISTS (SELECT FROM written) AS mine,"                                 \
    " (SELECT count(*) FROM told) AS told,"                                                                            \
    " r.video_id::text AS video_id, r.state, r.user_id, r.source_url, r.provider, r.provider_video_id, r.store,"       \
    " r.bucket, r.object_key, r.stored_url, r.bytes, r.sha256, r.content_type, r.variants, r.attempt, r.tries, r.error_class,"     \
    " r.error_code, r.error_message, r.put_off, r.spilled, r.claim_epoch, r.owner_topic, r.owner_partition,"            \
    " r.owner_offset, r.superseded,"                                                                                   \
    " " MS("expires_at") ", " MS("received_at") ", " MS("stored_at") ", " MS("failed_at") ","                          \
    " " MS("first_try_at") ", " MS("last_try_at")                                                                      \
    " FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM written UNION ALL SELECT * FROM before"                          \
    " WHERE NOT EXISTS (SELECT FROM written)) AS r ON true"

#define APP          "app AS (SELECT h.{id} AS id, h.{user_id}::text AS user_id FROM {table} h WHERE h.{id} = $1::uuid)"
#define BEFORE       "before AS (SELECT * FROM reelbus.video WHERE video_id = $1::uuid)"
#define TIME(number) "to_timestamp($" #number "::bigint / 1000.0)"
#define TOUCH        "updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')"

#define HISTORY      "INSERT INTO reelbus.history (video_id, at, what, detail, topic, partition, \"offset\")"

/*
 * $1 video, $2 URL, $3 provider, $4 its id, $5 expiry, $6 received, $7 tries, $8 first, $9 last try; then for the history:
 * $10 "received", "polled" or NULL for nothing, $11 what it said, $12 topic, $13 partition, $14 offset; $15 whether the URL
 * that the row has stays; $16 tries and renewals so far; $17 the attempt that somebody wants to be followed by another one.
 *
 * A video that waits or is worked on is claimed. One that has failed is claimed again only by something new: another URL; or,
 * as one that is stored, because somebody says so who has seen how it is.
 * Everything else is settled, and the statement only notes that the record came. A record that comes again is noted once.
 *
 * A record that comes again after the video was put off, or another one about the same URL, would begin a second row of
 * tries: the newest record on the topic of retries goes on alone. Unless nothing has come of that for long.
 */
#define NEW_URL                                                                                                        \
    "(NOT $15::bool AND excluded.source_url IS NOT NULL AND v.source_url IS DISTINCT FROM excluded.source_url)"
/* This very record has settled the video before, and has to announce that; another attempt has begun meanwhile. */
#define WAS_OWNER                                                                                                      \
    "coalesce(v.superseded ? concat_ws('/', $12::text, $13::text, $14::text), false)"
#define IN_TURN                                                                                                        \
    "(v.put_off <= $16::int OR v.next_try_at IS NULL OR v.next_try_at < now() - interval '1 hour')"

#define CLAIM_TEMPLATE(shown)                                                                                          \
    "WITH " APP ", " BEFORE ", written AS ("                                                                           \
    "INSERT INTO reelbus.video AS v (video_id, user_id, state, source_url, provider, provider_video_id, expires_at,"   \
    " received_at, claim_epoch)"                                                                                       \
    " SELECT app.id, app.user_id, 'processing', $2, $3, $4, " TIME(5) ", " TIME(6) ", 1 FROM app"                      \
    " ON CONFLICT (video_id) DO UPDATE SET state = 'processing', user_id = excluded.user_id,"                          \
    " source_url = CASE WHEN $15::bool THEN coalesce(v.source_url, excluded.source_url)"                               \
    " ELSE coalesce(excluded.source_url, v.source_url) END, provider = coalesce(excluded.provider, v.provider),"       \
    " provider_video_id = coalesce(excluded.provider_video_id, v.provider_video_id),"                                  \
    " expires_at = CASE WHEN $15::bool OR excluded.source_url IS NULL THEN v.expires_at ELSE excluded.expires_at END," \
    " received_at = excluded.received_at, tries = $7::int, first_try_at = " TIME(8) ","                                \
    " last_try_at = CASE WHEN $7::int > 0 THEN coalesce(" TIME(9) ", v.last_try_at) END,"                              \
    " put_off = CASE WHEN v.state = 'processing' AND NOT " NEW_URL " THEN v.put_off ELSE 0 END,"                       \
    " spilled = v.spilled AND v.state = 'processing', held_bytes = NULL,"                                              \
    " next_try_at = NULL, error_class = NULL, error_code = NULL, error_message = NULL, failed_at = NULL,"              \
    " owner_topic = NULL, owner_partition = NULL, owner_offset = NULL,"                                                \
    " claim_epoch = v.claim_epoch + 1, " TOUCH                                                                         \
    " WHERE NOT " WAS_OWNER " AND (v.state = 'waiting'"                                                                \
    " OR (v.state = 'processing' AND (" IN_TURN " OR " NEW_URL ")) OR (v.state = 'failed' AND " NEW_URL ")"            \
    " OR (v.state IN ('failed', 'stored') AND v.attempt = $17::int))"                                                  \
    " RETURNING v.*),"                                                                                                 \
    shown                                                                                                              \
    " noted AS (" HISTORY                                                                                              \
    " SELECT app.id, least(" TIME(6) ", now()), $10, $11, $12, $13::int, $14::bigint FROM app"                         \
    " WHERE $10::text IS NOT NULL"                                                                                     \
    " UNION ALL SELECT video_id, clock_timestamp(), 'claimed', 'claim ' || claim_epoch, $12, $13::int, $14::bigint"    \
    " FROM written WHERE $7::int = 0 ON CONFLICT DO NOTHING),"                                                         \
    " pruned AS (DELETE FROM reelbus.history WHERE video_id = $1::uuid AND id <= (SELECT k.id FROM reelbus.history k"  \
    " WHERE k.video_id = $1::uuid ORDER BY k.id DESC OFFSET " RB_HISTORY_MAX " LIMIT 1))" SHOW_ROW

/* The second is for a row of the application that refuses to be changed. */
static const char claim_template[] =
    CLAIM_TEMPLATE(" shown AS (UPDATE {table} h SET {video_url} = written.source_url FROM written"
                   " WHERE h.{id} = written.video_id AND written.source_url IS NOT NULL AND (h.{video_url} IS NULL"
                   " OR ($17::int IS NOT NULL AND h.{video_url} = written.stored_url))),");
static const char claim_alone_template[] = CLAIM_TEMPLATE("");

/*
 * $1 video, $2 claim, $3 topic, $4 partition, $5 offset, $6 tries, $7 first, $8 last try; then $9 kind of store,
 * $10 bucket, $11 key, $12 URL, $13 bytes, $14 SHA-256, $15 content type, $16 the application's status, $17 variants as JSON, $18 their bytes.
 */
#define SETTLE                                                                                                         \
    "attempt = v.attempt + 1, owner_topic = $3, owner_partition = $4::int, owner_offset = $5::bigint,"                 \
    " tries = $6::int, first_try_at = " TIME(7) ", last_try_at = " TIME(8) ", next_try_at = NULL,"                     \
    " put_off = 0, held_bytes = NULL, " TOUCH
#define CLAIMED     " WHERE v.video_id = $1::uuid AND v.claim_epoch = $2::bigint AND v.state = 'processing'"
#define UNDER_CLAIM CLAIMED " RETURNING v.*)"
#define NOTE_END(what, detail)                                                                                         \
    " noted AS (" HISTORY " SELECT video_id, clock_timestamp(), '" what "', " detail ", $3, $4::int, $5::bigint FROM written)"

/*
 * What was stored of a video that was deleted meanwhile goes again: whoever looks for what is left undone removes it. When it is
 * being deleted just now, `written` waits for that, and changes nothing; the row is still ours in what this statement saw, and
 * Postgres looks once more at what it has become.
 */
#define STORED_TOO_LATE                                                                                                \
    " late AS (UPDATE reelbus.video v SET store = $9, bucket = $10, object_key = $11, bytes = $13::bigint,"            \
    " variants = $17::jsonb, variants_bytes = $18::bigint, deleting_since = now() - interval '1 hour'"                 \
    " WHERE v.video_id = $1::uuid AND NOT EXISTS (SELECT FROM written)"                                                \
    " AND (v.state = 'deleted' OR (v.state = 'processing' AND v.claim_epoch = $2::bigint))),"

static const char stored_template[] =
    "WITH " APP ", " BEFORE ", written AS ("
    "UPDATE reelbus.video v SET state = 'stored', store = $9, bucket = $10, object_key = $11, stored_url = $12,"
    " bytes = $13::bigint, sha256 = $14, content_type = $15, variants = $17::jsonb, variants_bytes = $18::bigint,"
    " stored_at = now(), " SETTLE UNDER_CLAIM "," STORED_TOO_LATE
    " shown AS (UPDATE {table} h SET {video_url} = $12, {status} = $16 FROM written WHERE h.{id} = written.video_id),"
    NOTE_END("stored", "bucket || '/' || object_key || ', ' || bytes || ' bytes'") SHOW_ROW;

/* As above up to $8; then $9 class, $10 code, $11 message, $12 the application's status. */
#define FAILED_TEMPLATE(shown)                                                                                         \
    "WITH " APP ", " BEFORE ", written AS ("                                                                           \
    "UPDATE reelbus.video v SET state = 'failed', error_class = $9, error_code = $10, error_message = $11,"            \
    " failed_at = now(), " SETTLE UNDER_CLAIM ","                                                                      \
    shown                                                                                                              \
    NOTE_END("failed", "error_code || ': ' || error_message") SHOW_ROW

static const char failed_template[] =
    FAILED_TEMPLATE(" shown AS (UPDATE {table} h SET {status} = $12 FROM written WHERE h.{id} = written.video_id),");
static const char failed_alone_template[] = FAILED_TEMPLATE("");

/* $1 video, $2 claim, $3 tries, $4 first, $5 last, $6 next try, $7 class, $8 code, $9 message. */
static const char resting_sql[] =
    "WITH written AS (UPDATE reelbus.video v SET tries = $3::int, first_try_at = " TIME(4) ", last_try_at = " TIME(5) ","
    " next_try_at = " TIME(6) ", error_class = $7, error_code = $8, error_message = $9, held_bytes = NULL,"
    " " TOUCH CLAIMED " RETURNING v.*),"
    " noted AS (INSERT INTO reelbus.history (video_id, what, detail)"
    " SELECT video_id, 'try_failed', 'try ' || tries || ', ' || error_code || ': ' || error_message FROM written)"
    " SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM written";

/* $1 video, $2 claim, $3 tries and renewals, $4 next try. */
static const char put_off_sql[] =
    "UPDATE reelbus.video v SET put_off = $3::int, held_bytes = NULL, next_try_at = " TIME(4) CLAIMED;
/* clang-format on */
