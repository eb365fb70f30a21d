/*
 * offsets.h — the offset of one partition below which everything is finished, however out of order records finish.
 *
 * Way:  [consume] <- offsets
 */
#pragma once

#include "common/base.h"

struct rb_offsets_entry {
    int64_t offset;
    bool finished;
};

/* The records that were taken from the oldest unfinished one on, in their order: a ring. */
struct rb_offsets {
    struct rb_offsets_entry *ring; /* owned */
    size_t cap;                    /* a power of two */
    size_t head;
    size_t count;
    int64_t next; /* behind the last record that was taken; -1 before the first */
};

/*
 * Begin without records.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_init(struct rb_offsets *offsets);

/*
 * Give back the memory.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_done(struct rb_offsets *offsets);

/*
 * A record was taken up. Offsets rise; those in between that never come (transaction markers, compaction) count as
 * finished.
 *
 * Gives:  false when the offset is not above the last one: the record was seen already and is to be dropped.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK bool rb_offsets_begin(struct rb_offsets *offsets, int64_t offset);

/*
 * A record is finished. It must have been begun, and not finished before.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_finish(struct rb_offsets *offsets, int64_t offset);

/*
 * What to commit: the offset of the oldest unfinished record, or the one behind the last.
 *
 * Gives:  -1 before the first record.
 * Loop:   pure, any thread.
 */
int64_t rb_offsets_committable(const struct rb_offsets *offsets);

/*
 * How many records have been begun and are not finished or wait for an older one.
 *
 * Loop:   pure, any thread.
 */
size_t rb_offsets_count(const struct rb_offsets *offsets);

/*
 * The invariant as code; aborts when it is broken.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_check(const struct rb_offsets *offsets);
