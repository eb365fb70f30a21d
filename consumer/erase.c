/*
 * erase.c — a user's right to erasure: what comes before and after that the videos go.
 *
 * Way:  cleanup -> [erase] -> Postgres
 */
#include "consumer/erase.h"

#include "common/tables.h"

/* SQL reads best as SQL. */
/* clang-format off */

/* $1 user, here and below. */
static const char count_template[] =
    "SELECT count(*) AS videos, coalesce(sum(coalesce(v.bytes, 0) + v.variants_bytes) FILTER (WHERE v.state = 'stored'), 0)::bigint AS bytes"
    " FROM reelbus.video v WHERE v.state <> 'deleted' AND (v.user_id = $1 OR (v.user_id IS NULL AND EXISTS"
    " (SELECT FROM {table} h WHERE h.{id} = v.video_id AND h.{user_id}::text = $1)))";

static const char begin_template[] =
    "WITH theirs AS (SELECT h.{id} AS id FROM {table} h WHERE h.{user_id}::text = $1),"
    " named AS (UPDATE reelbus.video v SET user_id = $1 FROM theirs WHERE v.video_id = theirs.id AND v.user_id IS NULL"
    "  AND v.state <> 'deleted')"
    " INSERT INTO reelbus.video (video_id, state, delete_reason, deleted_at) SELECT theirs.id, 'deleted', 'request', now() FROM theirs"
    " WHERE NOT EXISTS (SELECT FROM reelbus.video v WHERE v.video_id = theirs.id) ON CONFLICT DO NOTHING";

/* Of what went before for another reason the application has the original URL. */
static const char hide_template[] =
    "UPDATE {table} h SET {video_url} = NULL FROM reelbus.video v WHERE v.user_id = $1 AND v.state = 'deleted' AND h.{id} = v.video_id"
    " AND h.{video_url} IN (v.source_url, v.stored_url)";
/* clang-format on */

static int ask(struct rb_command *command, const char *template, const char *user, PGresult **ret_result,
               struct rb_error *err)
{
    RB_AUTO_TEXT *sql = rb_tables_sql(&command->options->common, template);

    return rb_command_query(command, sql, 1, &user, ret_result, err);
}

int rb_erase_count(struct rb_command *command, const char *user, struct rb_retain_sum *ret_sum, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(ask(command, count_template, user, &result, err));
    ret_sum->videos = rb_pg_number(result, 0, "videos", 0);
    ret_sum->bytes = rb_pg_number(result, 0, "bytes", 0);
    return 0;
}

int rb_erase_begin(struct rb_command *command, const char *user, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    return ask(command, begin_template, user, &result, err);
}

/* That the application's rows refuse keeps nobody from forgetting the rest. */
static int hide_urls(struct rb_command *command, const char *user, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    if (ask(command, hide_template, user, &result, err) == 0)
        return 0;
    if (err->code != RB_E_DB_DATA)
        return -1;
    rb_command_note(command, "the application's rows keep URLs of what was deleted before: %s", err->message);
    return 0;
}

int rb_erase_end(struct rb_command *command, const char *user, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(hide_urls(command, user, err));
    return rb_command_query(command, "SELECT reelbus.forget_user($1)", 1, &user, &result, err);
}
