/*
 * verify_rows.c — the rows that are to be verified.
 *
 * Way:  verify -> [verify_rows] -> Postgres
 */
#include "consumer/verify_rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/moment.h"

#define FIRST_ID "00000000-0000-0000-0000-000000000000"
#define BATCH    "300"

/* $1 the last id, $2 user, $3 video, $4 since, $5 until. What a repair has set back has still its object's name. */
static const char rows_sql[] =
    "SELECT v.video_id::text AS video_id, v.state <> 'stored' AS set_back, v.claim_epoch, v.user_id, v.store, v.bucket,"
    " v.source_url, v.provider, v.provider_video_id, jsonb_build_object('objects', jsonb_build_array(jsonb_build_object("
    "'name', 'video', 'key', v.object_key, 'bytes', v.bytes, 'sha256', v.sha256)) || coalesce((SELECT jsonb_agg("
    "jsonb_build_object('name', o.key, 'key', o.value -> 'object_key', 'bytes', o.value -> 'bytes', 'sha256',"
    " o.value -> 'sha256')) FROM jsonb_each(v.variants) o), '[]'))::text AS objects"
    " FROM reelbus.video v WHERE (v.state = 'stored' OR (v.state = 'processing' AND v.object_key IS NOT NULL))"
    " AND v.video_id > $1::uuid AND ($2::text IS NULL OR v.user_id = $2) AND ($3::uuid IS NULL OR v.video_id = $3::uuid)"
    " AND ($4::bigint IS NULL OR v.stored_at >= to_timestamp($4::bigint / 1000.0))"
    " AND ($5::bigint IS NULL OR v.stored_at < to_timestamp($5::bigint / 1000.0))"
    " ORDER BY v.video_id LIMIT " BATCH;

/* $1 user. */
static const char count_sql[] =
    "SELECT coalesce(sum(videos), 0)::bigint FROM reelbus.usage WHERE $1::text IS NULL OR user_id = $1";

int rb_verify_rows_open(struct rb_verify_rows *rows, struct rb_command *command, int64_t now_unix_ms,
                        struct rb_error *err)
{
    const struct rb_command_options *flags = &command->options->command;
    char video_id[RB_UUID_TEXT_BYTES];

    *rows =
        (struct rb_verify_rows){.command = command, .since_ms = RB_NO_LONG, .until_ms = RB_NO_LONG, .last = FIRST_ID};
    if (flags->after[0] != '\0' && !rb_uuid_parse(flags->after, rows->last))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'after' is '%.40s', expected the UUID of a video",
                       flags->after);
    if (flags->video[0] != '\0' && !rb_uuid_parse(flags->video, video_id))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'video' is '%.40s', expected its UUID", flags->video);
    if (flags->since[0] != '\0')
        RB_TRY(rb_moment_parse("since", flags->since, now_unix_ms, &rows->since_ms, err));
    if (flags->until[0] != '\0')
        RB_TRY(rb_moment_parse("until", flags->until, now_unix_ms, &rows->until_ms, err));
    return 0;
}

int rb_verify_rows_count(struct rb_verify_rows *rows, int64_t *ret_count, struct rb_error *err)
{
    const struct rb_command_options *flags = &rows->command->options->command;
    const char *values[] = {flags->user[0] != '\0' ? flags->user : NULL};
    RB_AUTO_RESULT *result = NULL;

    *ret_count = -1;
    if (flags->since[0] != '\0' || flags->until[0] != '\0' || flags->after[0] != '\0' || flags->video[0] != '\0')
        return 0;
    RB_TRY(rb_command_query(rows->command, count_sql, RB_COUNT(values), values, &result, err));
    *ret_count = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    return 0;
}

/* SQL's NULL where there is no limit. */
static const char *time_text(int64_t unix_ms, char text[static 24])
{
    if (unix_ms == RB_NO_LONG)
        return NULL;
    snprintf(text, 24, "%" PRId64, unix_ms);
    return text;
}

static int read_batch(struct rb_verify_rows *rows, struct rb_error *err)
{
    const struct rb_command_options *flags = &rows->command->options->command;
    char since[24], until[24];
    const char *values[] = {
        rows->last,
        flags->user[0] != '\0' ? flags->user : NULL,
        flags->video[0] != '\0' ? flags->video : NULL,
        time_text(rows->since_ms, since),
        time_text(rows->until_ms, until),
    };

    PQclear(rows->batch);
    rows->batch = NULL;
    rows->next = 0;
    RB_TRY(rb_command_query(rows->command, rows_sql, RB_COUNT(values), values, &rows->batch, err));
    rows->ended = PQntuples(rows->batch) == 0;
    return 0;
}

static char *copy_text(const struct rb_verify_rows *rows, const char *column)
{
    return rb_xstrdup(rb_pg_text(rows->batch, rows->next, column));
}

/* The list is the statement's own: it is always there. */
static json_t *read_objects(const char *text)
{
    RB_AUTO_JSON *all = rb_json_parse_trusted(text, strlen(text));

    return json_incref(json_object_get(all, "objects"));
}

int rb_verify_rows_next(struct rb_verify_rows *rows, struct rb_verify_row **ret_row, struct rb_error *err)
{
    struct rb_verify_row *row;

    *ret_row = NULL;
    if (!rows->ended && (rows->batch == NULL || rows->next == PQntuples(rows->batch)))
        RB_TRY(read_batch(rows, err));
    if (rows->ended)
        return 0;
    row = rb_xalloc(sizeof(*row));
    *row = (struct rb_verify_row){
        .is_set_back = rb_pg_is_true(rows->batch, rows->next, "set_back"),
        .claim_epoch = rb_pg_number(rows->batch, rows->next, "claim_epoch", 0),
        .user_id = copy_text(rows, "user_id"),
        .store = copy_text(rows, "store"),
        .bucket = copy_text(rows, "bucket"),
        .source_url = copy_text(rows, "source_url"),
        .provider = copy_text(rows, "provider"),
        .provider_video_id = copy_text(rows, "provider_video_id"),
        .objects = read_objects(rb_pg_text(rows->batch, rows->next, "objects")),
    };
    memcpy(row->before, rows->last, sizeof(row->before));
    snprintf(row->video_id, sizeof(row->video_id), "%s", rb_pg_text(rows->batch, rows->next, "video_id"));
    memcpy(rows->last, row->video_id, sizeof(rows->last));
    rows->next++;
    *ret_row = row;
    return 0;
}

void rb_verify_rows_done(struct rb_verify_rows *rows)
{
    PQclear(rows->batch);
    rows->batch = NULL;
}

void rb_verify_row_free(struct rb_verify_row *row)
{
    if (row == NULL)
        return;
    free(row->user_id);
    free(row->store);
    free(row->bucket);
    free(row->source_url);
    free(row->provider);
    free(row->provider_video_id);
    json_decref(row->objects);
    free(row);
}
