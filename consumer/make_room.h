/*
 * make_room.h — makes room for a new video: the oldest ones go.
 *
 * Way:  job -> [make_room] -> remove
 *
 * The database decides which, one after the other and for one worker at a time (deploy/sql/008_cleanup.sql).
 */
#pragma once

#include "common/marks.h"
#include "consumer/remove.h"
#include "consumer/usage.h"

struct rb_make_room;
struct rb_make_room_op; /* room that is being made */

struct rb_make_room_config {
    struct rb_pg *pg;                        /* borrowed for as long as it lives */
    struct rb_remove *remove;                /* likewise */
    const struct rb_common_options *options; /* with the application's names; borrowed for the call, as is all below */
    const char *store;                       /* kind and bucket of the first store */
    const char *bucket;
    struct rb_marks all; /* each down to its low mark */
    struct rb_marks user;
    int64_t age_ms; /* younger ones stay */
};

/*
 * Get ready.
 *
 * Gives:  owned by the caller; rb_make_room_free it.
 * Loop:   loop thread.
 */
struct rb_make_room *rb_make_room_new(const struct rb_make_room_config *config);

/*
 * Free it; before what it has borrowed. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_make_room_free(struct rb_make_room *make_room);

/*
 * Make room for a claimed video.
 *
 * Takes:  ask, as of rb_usage_weigh; bytes, 0 while nobody knows; of_user, whether its user's mark is in the way, and so
 *         that user's videos go.
 * Gives:  ret_op; rb_make_room_op_free it.
 * Fails:  DB_AWAY at once when there is no connection.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_make_room_ask(struct rb_make_room *make_room, const struct rb_usage_ask *ask, int64_t bytes,
                                   bool of_user, struct rb_make_room_op **ret_op, struct rb_error *err);

/*
 * How is it going?
 *
 * Gives:  DONE with ret_made: is there room now? When there is not, nothing went that could have stayed, but for what an
 *         earlier look took for enough.
 * Fails:  DB_AWAY, DB_REFUSED.
 * Loop:   loop thread.
 */
enum rb_poll rb_make_room_poll(const struct rb_make_room_op *op, bool *ret_made, struct rb_error *err);

/*
 * Stop. Whatever row was let go meanwhile is found by rb_remove. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_make_room_op_free(struct rb_make_room_op *op);
