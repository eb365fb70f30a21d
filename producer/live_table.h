/*
 * live_table.h — the videos that somebody looks at, or that are being stored, by their ids.
 *
 * Way:  live -> [live_table]
 */
#pragma once

#include "common/base.h"
#include "common/random.h"

struct rb_live_link; /* of live.c */

struct rb_live_video {
    char id[RB_UUID_TEXT_BYTES];
    struct rb_live_link *links;        /* who looks at it */
    struct rb_live_video *next;        /* in its bucket */
    struct rb_live_video *next_wanted; /* in the queue of those to be read */
    bool wanted;                       /* is in that queue */
    bool pinned;                       /* is being told of */
    bool read;                         /* row_hash is of the row as it was read last */
    uint64_t row_hash;
    int64_t progress_ms; /* when the numbers below came, monotonic; 0 when there are none */
    int64_t stored_bytes;
    int64_t total_bytes; /* negative when not known, as percent is then */
    int64_t percent;
};

struct rb_live_table {
    struct rb_live_video **buckets; /* owned; NULL while empty */
    size_t bucket_count;            /* a power of two */
    size_t count;
    uint64_t seed; /* of this table alone */
};

/*
 * Find a video.
 *
 * Gives:  borrowed from the table; NULL when it is not there.
 * Loop:   pure, any thread.
 */
struct rb_live_video *rb_live_table_find(const struct rb_live_table *table, const char *id);

/*
 * Find a video or put it in.
 *
 * Gives:  borrowed from the table.
 * Loop:   any thread.
 */
struct rb_live_video *rb_live_table_put(struct rb_live_table *table, const char *id);

/*
 * Take a video out and free it.
 *
 * Loop:   pure, any thread.
 */
void rb_live_table_drop(struct rb_live_table *table, struct rb_live_video *video);

/*
 * Call fn for each video. It may drop the video that it is called for, and no other; it may put none in.
 *
 * Loop:   pure, any thread.
 */
void rb_live_table_each(struct rb_live_table *table, void (*fn)(struct rb_live_video *video, void *arg), void *arg);

/*
 * Free all of it.
 *
 * Loop:   pure, any thread.
 */
void rb_live_table_done(struct rb_live_table *table);
