/*
 * erase.c — a user's right to erasure: what comes before and after that the videos go.
 *
 * Way:  cleanup -> [erase] -> Postgres
 */
#include "consumer/erase.h"

#include <inttypes.h>

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

/* $2 and $3 kind and bucket of the first store, $4 and $5 of the fallback store. Who is forgotten is in no row any more. */
static const char left_sql[] =
    "SELECT count(*) AS videos, count(*) FILTER (WHERE v.object_key IS NOT NULL AND ((v.store = $2 AND v.bucket = $3)"
    " OR (v.store = $4 AND v.bucket = $5)) IS NOT TRUE) AS elsewhere FROM reelbus.video v"
    " WHERE v.user_id = $1 AND (v.state <> 'deleted' OR v.deleting_since IS NOT NULL)";

static const char known_template[] =
    "SELECT EXISTS (SELECT FROM reelbus.video v WHERE v.user_id = $1)"
    " OR EXISTS (SELECT FROM {table} h WHERE h.{user_id}::text = $1) AS known";
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

/* A mistyped user has no videos either; but who has asked twice may be known to nobody by now. */
int rb_erase_look(struct rb_command *command, const char *user, bool *ret_known, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;
    const char *known;

    RB_TRY(ask(command, known_template, user, &result, err));
    known = rb_pg_text(result, 0, "known");
    *ret_known = known != NULL && strcmp(known, "t") == 0;
    return 0;
}

/* Also what an earlier one has left: objects that could not be removed, or are in a store that is not configured any more. */
static int expect_none_left(struct rb_command *command, const struct rb_stores *stores, const char *user,
                            struct rb_error *err)
{
    const struct rb_target *first = &stores->first;
    const struct rb_target *second = &stores->fallback;
    const char *values[] = {user, first->store->ops->kind, first->bucket,
                            second->store != NULL ? second->store->ops->kind : NULL, second->bucket};
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(rb_command_query(command, left_sql, RB_COUNT(values), values, &result, err));

    int64_t left = rb_pg_number(result, 0, "videos", 0);
    int64_t elsewhere = rb_pg_number(result, 0, "elsewhere", 0);

    return left == 0
               ? 0
               : rb_fail(err, RB_E_STORE_REFUSED, 0,
                         "%" PRId64 " videos of the user are not gone yet, %" PRId64 " of them in stores that are not"
                         " configured here; run it again in five minutes, or with those stores",
                         left, elsewhere);
}

int rb_erase_end(struct rb_command *command, const struct rb_stores *stores, const char *user, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(hide_urls(command, user, err));
    RB_TRY(rb_command_query(command, "SELECT reelbus.forget_user($1)", 1, &user, &result, err));
    return expect_none_left(command, stores, user, err);
}
