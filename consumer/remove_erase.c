/*
 * remove_erase.c — the statement that lets go all that is known of a user's videos.
 *
 * Way:  make_room -> [remove] -> store
 */
#include "common/notify.h"
#include "common/tables.h"
#include "consumer/remove_internal.h"

/* SQL reads best as SQL. */
/* clang-format off */

/*
 * Nobody's row is left out because it is locked: it is waited for. A worker that has claimed the video finds its claim gone; what
 * it has stored by then is noted by itself (record_sql.h). Why a failure was one is told in words that may name a URL.
 */
#define ERASE                                                                                                          \
    "WITH chosen AS (SELECT 'erase' AS verdict, v.video_id, v.stored_url, v.source_url FROM reelbus.video v WHERE v.video_id IN"     \
    " (SELECT a.video_id FROM reelbus.video a WHERE a.user_id = $2 AND a.state <> 'waiting' AND a.state <> 'deleted'"  \
    " UNION ALL SELECT b.video_id FROM reelbus.video b WHERE b.user_id = $2 AND b.state = 'waiting')"                  \
    " AND v.state <> 'deleted' ORDER BY v.video_id LIMIT $3::bigint FOR UPDATE),"                                      \
    " written AS (UPDATE reelbus.video v SET state = 'deleted', delete_reason = $1, deleted_at = now(),"               \
    " deleting_since = now(), claim_epoch = v.claim_epoch + 1, source_url = NULL, stored_url = NULL,"                  \
    " variants = (SELECT jsonb_object_agg(beside.key, beside.value - 'url') FROM jsonb_each(v.variants) beside),"      \
    " error_class = NULL, error_code = NULL, error_message = NULL, next_try_at = NULL, held_bytes = NULL,"             \
    " updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')"                               \
    " FROM chosen WHERE v.video_id = chosen.video_id AND v.state <> 'deleted' RETURNING v.*),"
#define ERASE_SHOWN                                                                                                    \
    " shown AS (UPDATE {table} h SET {video_url} = NULL FROM chosen WHERE h.{id} = chosen.video_id"                    \
    " AND h.{video_url} IN (chosen.stored_url, chosen.source_url)),"
#define ERASE_BEHIND                                                                                                   \
    " wiped AS (DELETE FROM reelbus.history h USING written WHERE h.video_id = written.video_id),"                     \
    " noted AS (INSERT INTO reelbus.history (video_id, at, what, detail) SELECT video_id, clock_timestamp(),"          \
    " 'deleted', $1 FROM written),"                                                                                    \
    " told AS (SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM written)"                                \
    " SELECT chosen.verdict, (SELECT count(*) FROM told) AS told," LEFT_TO_DO                                          \
    " FROM chosen JOIN written w ON w.video_id = chosen.video_id"
/* clang-format on */

char *rb_remove_erase_sql(const struct rb_common_options *options, bool alone)
{
    return rb_tables_sql(options, alone ? ERASE ERASE_BEHIND : ERASE ERASE_SHOWN ERASE_BEHIND);
}
