/*
 * verify_repair.c — have a video stored again.
 *
 * Way:  verify -> [verify_repair] -> Postgres, resend
 */
#include "consumer/verify_repair.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/notify.h"
#include "common/tables.h"
#include "consumer/history.h"
#include "consumer/resend.h"

/*
 * $1 video, $2 claim, $3 why. Whoever has claimed it meanwhile sees to it. The next claim counts the epoch up. What was stored by a
 * record that may still have to announce it stays as it is: the event is made from the row.
 */
static const char set_back_template[] =
    "WITH written AS (UPDATE reelbus.video v SET state = 'processing', next_try_at = NULL, put_off = 0, held_bytes = NULL,"
    " tries = 0, first_try_at = NULL, last_try_at = NULL,"
    " updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')"
    " WHERE v.video_id = $1::uuid AND v.claim_epoch = $2::bigint AND v.state = 'stored'"
    " AND (v.owner_topic IS NULL OR " RB_HISTORY_STORED_IS_OVER ") RETURNING v.*),"
    " shown AS (UPDATE {table} h SET {video_url} = written.source_url FROM written WHERE h.{id} = written.video_id"
    " AND h.{video_url} = written.stored_url AND written.source_url IS NOT NULL),"
    " noted AS (INSERT INTO reelbus.history (video_id, at, what, detail) SELECT video_id, clock_timestamp(), 'expected',"
    " 'to be stored again: its object is ' || $3 FROM written),"
    " told AS (SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM written)"
    " SELECT (SELECT count(*) FROM told) AS told, EXISTS (SELECT FROM written) AS written";

struct rb_verify_repair {
    struct rb_command *command; /* borrowed */
    char *sql;
    struct rb_resend *resend;
};

int rb_verify_repair_new(struct rb_command *command, struct rb_verify_repair **ret_repair, struct rb_error *err)
{
    struct rb_verify_repair *repair = rb_xalloc(sizeof(*repair));

    repair->command = command;
    repair->sql = rb_tables_sql(&command->options->common, set_back_template);
    if (rb_resend_new(command, &repair->resend, err) < 0) {
        rb_verify_repair_free(repair);
        return -1;
    }
    *ret_repair = repair;
    return 0;
}

void rb_verify_repair_free(struct rb_verify_repair *repair)
{
    if (repair == NULL)
        return;
    rb_resend_free(repair->resend);
    free(repair->sql);
    free(repair);
}

/* -- the row ------------------------------------------------------------------------------------------------------- */

static int set_back(struct rb_verify_repair *repair, const struct rb_verify_row *row, const char *why, bool *ret_done,
                    struct rb_error *err)
{
    char claim[24];
    const char *values[] = {row->video_id, claim, why};
    RB_AUTO_RESULT *result = NULL;

    snprintf(claim, sizeof(claim), "%" PRId64, row->claim_epoch);
    RB_TRY(rb_command_query(repair->command, repair->sql, RB_COUNT(values), values, &result, err));
    *ret_done = PQntuples(result) == 1 && rb_pg_is_true(result, 0, "written");
    return 0;
}

/* -- the record ---------------------------------------------------------------------------------------------------- */

/* When the URL expires is left to those who try it. */
static int send_record(struct rb_verify_repair *repair, const struct rb_verify_row *row, struct rb_error *err)
{
    const struct rb_resend_video video = {
        .video_id = row->video_id,
        .user_id = row->user_id,
        .url = row->source_url,
        .provider = row->provider,
        .provider_video_id = row->provider_video_id,
        .expires_at = RB_NO_LONG,
    };

    return rb_resend_video(repair->resend, &video, err);
}

int rb_verify_repair_send(struct rb_verify_repair *repair, const struct rb_verify_row *row, const char *why,
                          bool *ret_sent, struct rb_error *err)
{
    *ret_sent = row->is_set_back;
    if (row->source_url == NULL && row->provider_video_id == NULL)
        return 0;
    if (!row->is_set_back)
        RB_TRY(set_back(repair, row, why, ret_sent, err));
    return *ret_sent ? send_record(repair, row, err) : 0;
}

int rb_verify_repair_finish(struct rb_verify_repair *repair, struct rb_error *err)
{
    return rb_resend_finish(repair->resend, err);
}
