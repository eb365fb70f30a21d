/*
 * verify_rows.h — the rows that are to be verified, in the order of their ids, some hundred at a time.
 *
 * Way:  verify -> [verify_rows] -> Postgres
 */
#pragma once

#include "common/avro.h"
#include "common/random.h"
#include "consumer/command_sql.h"

/* A video that is stored, or is to be stored again. All text is owned; NULL stands for SQL's NULL. */
struct rb_verify_row {
    char video_id[RB_UUID_TEXT_BYTES];
    char before[RB_UUID_TEXT_BYTES]; /* the id before this one */
    bool is_set_back;                /* an earlier repair has set it back, and nobody has stored it since */
    int64_t claim_epoch;
    char *user_id;
    char *store;
    char *bucket;
    char *source_url;
    char *provider;
    char *provider_video_id;
    json_t *objects; /* the video's own first: name, key, bytes, sha256 of each */
};

/* Part of its owner. */
struct rb_verify_rows {
    struct rb_command *command; /* borrowed */
    int64_t since_ms;           /* RB_NO_LONG: no limit, as below; of the time when it was stored */
    int64_t until_ms;
    char last[RB_UUID_TEXT_BYTES];
    PGresult *batch;
    int next;
    bool ended;
};

/*
 * Begin, as the flags of verify say.
 *
 * Takes:  now_unix_ms, so that the caller owns the clock.
 * Gives:  rows; rb_verify_rows_done them, also after a failure.
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_verify_rows_open(struct rb_verify_rows *rows, struct rb_command *command, int64_t now_unix_ms,
                                      struct rb_error *err);

/*
 * How many there are, as far as somebody has counted them.
 *
 * Gives:  ret_count, -1 when nobody has.
 * Fails:  as rb_command_query.
 * Loop:   outside of a running loop, as below.
 */
RB_MUST_CHECK int rb_verify_rows_count(struct rb_verify_rows *rows, int64_t *ret_count, struct rb_error *err);

/*
 * The next row.
 *
 * Gives:  0 and ret_row, owned by the caller, NULL behind the last one; rb_verify_row_free it.
 * Fails:  as rb_command_query.
 * Loop:   as above; runs the loop now and then.
 */
RB_MUST_CHECK int rb_verify_rows_next(struct rb_verify_rows *rows, struct rb_verify_row **ret_row,
                                      struct rb_error *err);

/*
 * Free what is in it.
 *
 * Loop:   any thread.
 */
void rb_verify_rows_done(struct rb_verify_rows *rows);

/*
 * Free a row. NULL is fine.
 *
 * Loop:   any thread.
 */
void rb_verify_row_free(struct rb_verify_row *row);
