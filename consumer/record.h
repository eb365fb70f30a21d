/*
 * record.h — claims a video and writes its outcome, once, however often it is asked.
 *
 * Way:  store -> [record] -> emit
 *
 * Each operation is one SQL statement and so one transaction. The outcome is written only under the claim that is
 * current, together with the application's row; who wrote it is kept with it.
 */
#pragma once

#include "common/pg.h"
#include "common/tables.h"
#include "consumer/input.h"
#include "consumer/row.h"

struct rb_record;    /* the database, and the statements with the application's names in them */
struct rb_record_op; /* one statement on its way */

struct rb_record_names {
    const struct rb_common_options *options; /* table and columns; borrowed for the call */
    const char *status_completed;            /* what the application's status column says then */
    const char *status_failed;
};

/* How often it was tried. Times are milliseconds since 1970, RB_NO_LONG when never. */
struct rb_record_tries {
    int64_t tries;
    int64_t first_try_at;
    int64_t last_try_at;
};

/* Who asks, and who is to be told. All borrowed: origin and tries for the call, arg until on_done was called. */
struct rb_record_ask {
    const struct rb_origin *origin;
    const struct rb_record_tries *tries;
    int64_t progress;   /* claim: tries and renewals so far */
    bool keep_url;      /* claim: the row's URL stays what it is; the input's is one that came later */
    int64_t reopen;     /* claim: the attempt that is over and is to be followed by another one; RB_NO_LONG: none is */
    bool known;         /* claim: that the record came was noted before */
    bool alone;         /* claim, failure: the application's row stays as it is, because it refuses to be changed */
    rb_loop_fn on_done; /* rb_record_poll has the answer; never called before the asking returns */
    void *arg;
};

/* Where the bytes are. All borrowed for the call. */
struct rb_record_object {
    const char *store;
    const char *bucket;
    const char *key;
    const char *url;
    int64_t bytes;
    const char *sha256;
    const char *content_type;
    const struct rb_variants *variants; /* that lie next to it */
};

/* Why there are none. All borrowed for the call. */
struct rb_record_failure {
    const char *class;
    const char *code;
    const char *message;
    bool kept; /* the video is there, and stays at its original URL: the application's status says completed */
};

/* The result of an operation. */
struct rb_record_answer {
    enum rb_verdict verdict;
    struct rb_row row; /* as the database has it now; empty when it has none */
};

/*
 * Prepare the statements.
 *
 * Takes:  pg, borrowed for as long as the record lives; names, borrowed for the call.
 * Gives:  owned by the caller; rb_record_free it.
 * Loop:   loop thread.
 */
struct rb_record *rb_record_new(struct rb_pg *pg, const struct rb_record_names *names);

/*
 * Free them. Operations that are on their way must be freed before. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_record_free(struct rb_record *record);

/*
 * Claim a video: from now on outcomes of earlier claims are not written. The original URL is kept, and shown to the
 * application when it shows none.
 *
 * Gives:  ret_op; rb_record_op_free it.
 * Fails:  DB_AWAY at once when there is no connection.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_record_claim(struct rb_record *record, const struct rb_record_ask *ask,
                                  const struct rb_input *input, struct rb_record_op **ret_op, struct rb_error *err);

/*
 * Write that a claimed video is stored.
 *
 * Takes:  claim, the row as claimed.
 * Gives:  as rb_record_claim.
 * Fails:  as rb_record_claim.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_record_stored(struct rb_record *record, const struct rb_record_ask *ask,
                                   const struct rb_row *claim, const struct rb_record_object *object,
                                   struct rb_record_op **ret_op, struct rb_error *err);

/*
 * Write that a claimed video will not be stored. The application's URL stays.
 *
 * Takes:  claim, the row as claimed.
 * Gives:  as rb_record_claim.
 * Fails:  as rb_record_claim.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_record_failed(struct rb_record *record, const struct rb_record_ask *ask,
                                   const struct rb_row *claim, const struct rb_record_failure *failure,
                                   struct rb_record_op **ret_op, struct rb_error *err);

/*
 * Note that a try has failed and when the next one begins, for those who look. A courtesy: nothing waits for it, and it
 * is dropped while the database is away.
 *
 * Takes:  claim, the row as claimed, and all else borrowed for the call; next_try_at, milliseconds since 1970.
 * Loop:   loop thread.
 */
void rb_record_resting(struct rb_record *record, const struct rb_row *claim, const struct rb_record_tries *tries,
                       int64_t next_try_at, const struct rb_record_failure *failure);

/*
 * Note that a record of the topic of retries goes on with the video, once it is there for certain. A courtesy, too: without
 * it a record that comes again may begin a second row of tries, of which one will settle the video.
 *
 * Takes:  claim, the row as claimed; progress, tries and renewals as that record has them.
 * Loop:   loop thread.
 */
void rb_record_put_off(struct rb_record *record, const struct rb_row *claim, int64_t progress, int64_t next_try_at);

/*
 * How is it going?
 *
 * Gives:  DONE with ret_answer, whose row is taken over by the caller: rb_row_done it. Once.
 * Fails:  DB_AWAY: carried out or not, ask again; DB_REFUSED; DB_DATA: a row refuses this.
 * Loop:   loop thread.
 */
enum rb_poll rb_record_poll(struct rb_record_op *op, struct rb_record_answer *ret_answer, struct rb_error *err);

/*
 * Forget the operation. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_record_op_free(struct rb_record_op *op);
