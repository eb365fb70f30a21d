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
    char *since;  /* the row is ours as long as it says this */
    char *beside; /* keys of what lies beside the video, a line each */
    char *next_beside;
    struct rb_ask *ask;
    const struct rb_target *target; /* that ask is for */
    struct rb_receipt receipt;      /* of the event */
};

struct rb_remove {
    uint32_t magic;
    struct rb_remove_config config;
    struct rb_remove_listener listener; /* empty when nobody listens */
    struct removal *removals;
    size_t count; /* of them */
    struct rb_timer *timer;
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
 * Free it. Its event may still be announced.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void removal_free(struct removal *removal);
