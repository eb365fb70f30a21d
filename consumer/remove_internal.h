/*
 * remove_internal.h — what the files of remove share: a removal, and all of them.
 *
 * Way:  make_room -> [remove] -> store
 */
#pragma once

#include "consumer/remove.h"

#define REMOVE_MAGIC  0x524d5645u
#define REMOVAL_MAGIC 0x524d564cu

/* What is left to do for a row `w`. */
#define LEFT_TO_DO                                                                                                     \
    " w.video_id::text AS video_id, w.user_id, w.store, w.bucket, w.object_key, coalesce(w.bytes, 0) AS bytes,"        \
    " coalesce(w.bytes, 0) + w.variants_bytes AS all_bytes,"                                                           \
    " (SELECT string_agg(beside.value ->> 'object_key', E'\\n') FROM jsonb_each(w.variants) beside) AS beside,"        \
    " w.attempt, w.delete_reason, (extract(epoch FROM w.deleted_at) * 1000)::bigint AS deleted_at,"                    \
    " w.deleting_since::text AS deleting_since"

/* A video whose row is gone already. */
struct removal {
    uint32_t magic;
    struct rb_remove *remove; /* borrowed */
    struct removal *next;
    struct rb_video_deleted event;
    char *since;       /* the row is ours as long as it says this */
    char *beside;      /* keys of what lies beside the video, one behind the other */
    const char **keys; /* of all its objects, the video's first; owned, but not what is in it */
    size_t key_count;
    size_t key_done; /* so many are gone, when they are removed one by one */
    struct rb_ask *ask;
    const struct rb_target *target; /* that ask is for */
    struct rb_receipt receipt;      /* of the event */
    struct removal *next_in_batch;
};

#define BATCH_KEYS_MAX 500 /* an answer that names all of them must not be too long */

/* Videos whose objects are removed by one request: gathered for a moment, then on their way. */
struct removal_batch {
    uint32_t magic;
    struct rb_remove *remove;       /* borrowed */
    const struct rb_target *target; /* likewise */
    struct removal_batch *next;     /* on its way as well */
    struct removal *removals;       /* borrowed from remove */
    size_t count;
    const char *keys[BATCH_KEYS_MAX]; /* borrowed from them, one video's after the other's */
    const struct removal *owners[BATCH_KEYS_MAX];
    size_t key_count;
    struct rb_ask *ask; /* NULL while they are gathered */
};

struct rb_remove {
    uint32_t magic;
    struct rb_remove_config config;
    struct rb_remove_listener listener; /* empty when nobody listens */
    struct removal *removals;
    size_t count; /* of them */
    struct rb_timer *timer;
    struct removal_batch *gathering; /* NULL while there is none */
    struct removal_batch *batches;   /* on their way */
    struct rb_timer *gather_timer;
    bool has_more;             /* others may have left more than was taken over */
    struct rb_pg_query *query; /* for what others have left, on its way */
};

/*
 * Announce a removal, and remove its object then; the row is told in the end.
 *
 * Loop:   loop thread; may end and free it before it returns.
 */
void removal_begin(struct removal *removal);

/*
 * Remove its objects, one after the other; the row is told in the end. What is wrong with one is known then.
 *
 * Loop:   loop thread; may end and free it before it returns.
 */
void removal_remove(struct removal *removal);

/*
 * It is over: the row says so, or that somebody is to take it up again soon.
 *
 * Takes:  err, NULL when all of it is gone.
 * Loop:   loop thread; frees it.
 */
void removal_end(struct removal *removal, const struct rb_error *err);

/*
 * All its objects are gone.
 *
 * Loop:   loop thread; frees it.
 */
void removal_gone(struct removal *removal);

/*
 * Its objects are to be removed, together with others' where the store can do that.
 *
 * Loop:   loop thread; may end and free it before it returns.
 */
void removal_gather(struct removal *removal);

/*
 * What was gathered is on its way now.
 *
 * Takes:  arg, the rb_remove: so it may be given to a timer.
 * Loop:   loop thread.
 */
void removal_flush(void *arg);

/*
 * Stop all batches and free them.
 *
 * Loop:   loop thread, before the removals are freed.
 */
void removal_drop_batches(struct rb_remove *remove);

/*
 * Free it. Its event may still be announced.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void removal_free(struct removal *removal);
