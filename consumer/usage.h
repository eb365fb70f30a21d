/*
 * usage.h — how much is stored, and whether there is room for one more video.
 *
 * Way:  job -> [usage] -> Postgres
 *
 * The database counts (deploy/sql/006_usage.sql). A video's room is looked at and held in one transaction there, so workers
 * that ask at the same time do not get the same room. Only the first store is weighed.
 */
#pragma once

#include "common/marks.h"
#include "common/metrics.h"
#include "common/pg.h"

struct rb_usage;    /* the marks, and the sums as they were read last */
struct rb_usage_op; /* a question on its way */

/* What is done when there is no room. */
enum rb_usage_then { RB_USAGE_WAIT, RB_USAGE_SPILL, RB_USAGE_KEEP, RB_USAGE_CLEANUP };

struct rb_usage_config {
    struct rb_pg *pg;           /* borrowed for as long as it lives, as is all below */
    struct rb_metrics *metrics; /* of the consumer */
    const char *store;          /* kind and bucket of the first store */
    const char *bucket;
    struct rb_marks all;
    struct rb_marks user; /* for each of them */
    enum rb_usage_then then;
    int64_t every_ms; /* how often the sums are read */
};

/* Which video. All borrowed: video_id for the call, arg until on_done was called. */
struct rb_usage_ask {
    const char *video_id;
    int64_t claim_epoch;
    rb_loop_fn on_done; /* rb_usage_poll has the answer; never called before the asking returns */
    void *arg;
};

enum rb_usage_verdict { RB_USAGE_FITS, RB_USAGE_OVER_USER, RB_USAGE_OVER_ALL, RB_USAGE_LOST };

/*
 * Read what an operator wants to be done when there is no room.
 *
 * Fails:  BAD_OPTION: none of wait, spill, keep and cleanup.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_usage_then_read(const char *text, enum rb_usage_then *ret_then, struct rb_error *err);

/*
 * Begin to read the sums now and then, into metrics and the log.
 *
 * Takes:  config, borrowed for the call; see there for what is in it.
 * Gives:  owned by the caller; rb_usage_free it.
 * Loop:   loop thread.
 */
struct rb_usage *rb_usage_new(struct rb_loop *loop, const struct rb_usage_config *config);

/*
 * Stop and free. Questions on their way must be freed before. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_usage_free(struct rb_usage *usage);

/*
 * Are there any marks?
 *
 * Loop:   loop thread.
 */
bool rb_usage_is_limited(const struct rb_usage *usage);

/*
 * What is done when there is no room?
 *
 * Loop:   loop thread.
 */
enum rb_usage_then rb_usage_then(const struct rb_usage *usage);

/*
 * The marks.
 *
 * Loop:   loop thread.
 */
void rb_usage_marks(const struct rb_usage *usage, struct rb_marks *ret_all, struct rb_marks *ret_user);

/*
 * Ask whether there is room for a claimed video; its bytes are held when there is.
 *
 * Takes:  bytes, 0 while nobody knows; spill, whether what does not fit is noted down for the fallback store.
 * Gives:  ret_op; rb_usage_op_free it.
 * Fails:  DB_AWAY at once when there is no connection.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_usage_weigh(struct rb_usage *usage, const struct rb_usage_ask *ask, int64_t bytes, bool spill,
                                 struct rb_usage_op **ret_op, struct rb_error *err);

/*
 * Note down that a claimed video goes to the fallback store.
 *
 * Gives:  as rb_usage_weigh; the verdict is FITS or LOST.
 * Fails:  as rb_usage_weigh.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_usage_spill(struct rb_usage *usage, const struct rb_usage_ask *ask, struct rb_usage_op **ret_op,
                                 struct rb_error *err);

/*
 * How is it going?
 *
 * Gives:  DONE with ret_verdict.
 * Fails:  DB_AWAY, DB_REFUSED.
 * Loop:   loop thread.
 */
enum rb_poll rb_usage_poll(const struct rb_usage_op *op, enum rb_usage_verdict *ret_verdict, struct rb_error *err);

/*
 * Say what an answer without room means for the video, in words for people.
 *
 * Takes:  op, answered with OVER_USER or OVER_ALL.
 * Gives:  -1, always: QUOTA_USER, QUOTA_ALL, QUOTA_ROOM, or with keep QUOTA_KEPT.
 * Loop:   loop thread.
 */
int rb_usage_refuse(const struct rb_usage_op *op, struct rb_error *err);

/*
 * Forget the question. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_usage_op_free(struct rb_usage_op *op);
