/*
 * spool_inside.h — what the files spool*.c share and nobody else sees.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 */
#pragma once

#include "producer/spool.h"
#include "producer/spool_dir.h"

#define RB_SPOOL_MAGIC 0x53504f4cu

struct segment {
    struct segment *next;
    uint64_t number;
    uint64_t bytes; /* that are good */
    bool sealed;    /* nothing is added any more */
};

struct put {
    rb_spool_put_fn fn;
    void *arg; /* borrowed */
    int64_t unix_ms;
};

/* What was put and is not on the disk yet. */
struct batch {
    struct rb_buffer bytes;
    struct put *puts; /* owned */
    size_t count;
};

struct write_work {
    uv_work_t work;
    bool out;
    struct batch batch;
    uint64_t segment;
    uint64_t offset;
    int failed_errno;
};

/* A record of the chunk that was taken, by its place in it. */
struct taken {
    size_t begin, end;
    int64_t unix_ms; /* when it was put */
    bool refused;    /* for good */
};

struct look_work {
    uv_work_t work;
    bool out;
    struct rb_buffer aside; /* what is to be set aside before the position is saved */
    bool save;
    struct rb_spool_position position;
    uint64_t *remove; /* owned; segments */
    size_t remove_count;
    uint64_t segment; /* to read; 0: nothing */
    uint64_t offset;
    uint8_t *bytes; /* owned */
    size_t room;
    ssize_t count;
    int failed_errno;
};

struct rb_spool {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    rb_loop_fn on_change;
    void *arg; /* borrowed */
    struct rb_spool_dir dir;
    uint64_t max_bytes;
    uint64_t segment_bytes;
    struct segment *first; /* owned, as a list; NULL when there are none */
    struct segment *last;
    uint64_t next_number;
    struct rb_spool_position position;
    struct rb_spool_stats stats;

    struct batch waiting; /* for the next write */
    struct rb_task begin_write;
    struct write_work write;
    bool broken; /* the last write failed; logged once */

    struct look_work look;
    bool look_failed;
    bool look_again; /* something else was asked for while it was out */
    bool changed;    /* the position is not on the disk yet */
    size_t want;     /* bytes that the next read must bring at least */
    uint8_t *chunk;  /* owned; what was read, NULL when it is used up */
    size_t chunk_bytes;
    size_t chunk_at;     /* how far it was taken */
    bool chunk_ends;     /* with its segment */
    struct taken *taken; /* owned */
    size_t taken_count;
    size_t taken_cap;
    struct rb_buffer aside; /* refused records, for the next look */
    bool closing;
};

/*
 * An error of the disk as ours.
 *
 * Takes:  number, an errno.
 * Gives:  always -1.
 * Loop:   loop thread.
 */
int rb_spool_fail(const struct rb_spool *spool, const char *doing, int number, struct rb_error *err);

/*
 * Count and log a place that holds no record any more.
 *
 * Loop:   loop thread.
 */
void rb_spool_note_damage(struct rb_spool *spool, uint64_t segment, uint64_t offset);

/*
 * A segment is on the disk, behind all others.
 *
 * Loop:   loop thread.
 */
void rb_spool_add_segment(struct rb_spool *spool, uint64_t number, uint64_t bytes, bool sealed);

/*
 * Free it; when work is out, that does it when it comes back.
 *
 * Loop:   loop thread.
 */
void rb_spool_free(struct rb_spool *spool);

/*
 * Look through what an earlier process left in the folder.
 *
 * Fails:  BAD_OPTION, SYSTEM.
 * Loop:   loop thread; blocks.
 */
RB_MUST_CHECK int rb_spool_load(struct rb_spool *spool, struct rb_error *err);

/*
 * Write what waits, if no write is out. Takes: arg, a struct rb_spool.
 *
 * Loop:   loop thread.
 */
void rb_spool_begin_write(void *arg);

/*
 * Tell all of a batch, and make it empty.
 *
 * Takes:  err, NULL when it is on the disk.
 * Loop:   loop thread; they may put again at once.
 */
void rb_spool_answer(struct batch *batch, const struct rb_error *err);
