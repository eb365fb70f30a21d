/*
 * spool.h — a bounded queue of records on a disk: what is put is on it when fn is called; what is taken stays until it is
 * done.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 *
 * What is put in one turn of the loop is written and synced together, on libuv's pool. Records lie in segments; one that
 * is done is removed. A kill at any point loses nothing that fn was called for: a torn end is cut, a record that was
 * taken and not done comes again, one that Kafka refuses is set aside.
 */
#pragma once

#include "common/loop.h"
#include "producer/spool_format.h"

struct rb_spool;

struct rb_spool_config {
    const char *path;
    int64_t max_bytes;    /* of all its segments */
    rb_loop_fn on_change; /* more can be taken, or nothing is left; never from within a call */
    void *arg;            /* borrowed */
};

struct rb_spool_stats {
    uint64_t records;       /* on the disk and not done */
    uint64_t bytes;         /* of all segments */
    int64_t oldest_unix_ms; /* when the first of these records was put; 0 when there is none */
    uint64_t damaged;       /* places that held no record any more */
};

/* Called once for each record that was taken: err is NULL when it is on the disk. */
typedef void (*rb_spool_put_fn)(const struct rb_error *err, void *arg);

/*
 * Open the folder and look through what an earlier process left in it. A torn end is cut off, and logged.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  ret_spool, owned by the caller; rb_spool_close it.
 * Fails:  BAD_OPTION when the folder cannot be used or another process uses it, SYSTEM when it cannot be read.
 * Loop:   loop thread, before it runs: reads all that is there.
 */
RB_MUST_CHECK int rb_spool_open(struct rb_loop *loop, const struct rb_spool_config *config, struct rb_spool **ret_spool,
                                struct rb_error *err);

/*
 * Close it. Puts whose fn was not called yet are told that they failed; they may be on the disk all the same. NULL is
 * fine.
 *
 * Loop:   loop thread; a write that is out ends in rb_loop_free.
 */
void rb_spool_close(struct rb_spool *spool);

/*
 * Put a record behind all others.
 *
 * Takes:  record, borrowed for the call.
 * Fails:  SPOOL_FULL, BAD_EVENT when it is too large; fn is not called then. fn gets SPOOL_FULL when the disk is full,
 *         SPOOL_BROKEN when it fails otherwise.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_spool_put(struct rb_spool *spool, const struct rb_spool_record *record, rb_spool_put_fn fn,
                               void *arg, struct rb_error *err);

/*
 * Is there nothing in it, and nothing on its way into it?
 *
 * Loop:   loop thread.
 */
bool rb_spool_is_empty(const struct rb_spool *spool);

/*
 * Is all that is in it in the chunk that was read, taken or still to be taken, so that this chunk is the last one?
 *
 * Loop:   loop thread.
 */
bool rb_spool_is_read(const struct rb_spool *spool);

/*
 * Would it take a record of this many bytes?
 *
 * Fails:  SPOOL_FULL.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_spool_check(const struct rb_spool *spool, size_t bytes, struct rb_error *err);

/*
 * Have records read from the disk; on_change is called when they can be taken.
 *
 * Loop:   loop thread.
 */
void rb_spool_read(struct rb_spool *spool);

/*
 * Has a chunk of records been read, and not been done?
 *
 * Loop:   loop thread.
 */
bool rb_spool_has_read(const struct rb_spool *spool);

/*
 * Did the last read, or what went with it, fail? It was logged; it should be tried again later.
 *
 * Loop:   loop thread.
 */
bool rb_spool_has_failed(const struct rb_spool *spool);

/*
 * Take the next of the records that were read.
 *
 * Gives:  false when there is none; else ret_record, borrowed until rb_spool_done.
 * Loop:   loop thread.
 */
bool rb_spool_take(struct rb_spool *spool, struct rb_spool_record *ret_record);

/*
 * Kafka refuses this one of the records that were taken, for good: when it is done it is kept apart, in the folder's file
 * "refused", and told in the log. It stands in the way of others no more.
 *
 * Takes:  index, counted from the first one that was taken since the chunk was read.
 * Loop:   loop thread.
 */
void rb_spool_refuse(struct rb_spool *spool, size_t index, const struct rb_error *err);

/*
 * So many of the records that were taken are done, counted from the first one; the others will be read again. The
 * position goes to the disk, finished segments go from it, and what follows is read.
 *
 * Loop:   loop thread.
 */
void rb_spool_done(struct rb_spool *spool, size_t count);

/*
 * What there is to know about it.
 *
 * Loop:   loop thread.
 */
struct rb_spool_stats rb_spool_stats(const struct rb_spool *spool);
