/*
 * offsets.h — which records of one partition are finished, however out of order that happens: the offset to commit, and the
 * map of what is finished above it.
 *
 * Way:  [consume] <- offsets <- offset_map
 */
#pragma once

#include "consumer/offset_map.h"

/* STAGED: finished, if the transaction that says so is committed. */
enum rb_offset_state { RB_OFFSET_UNFINISHED, RB_OFFSET_STAGED, RB_OFFSET_FINISHED };

struct rb_offsets_entry {
    int64_t offset;
    enum rb_offset_state state;
};

/* The records that were taken from the oldest unfinished one on, in their order: a ring. */
struct rb_offsets {
    struct rb_offsets_entry *ring; /* owned */
    size_t cap;                    /* a power of two */
    size_t head;
    size_t count;
    size_t unfinished;           /* of these; staged ones are */
    size_t staged;               /* of these */
    int64_t next;                /* behind the last record that was taken; -1 before the first */
    struct rb_offset_map before; /* finished by those who had the partition before us; counts from next on */
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
 * Go on where somebody has stopped.
 *
 * Takes:  offsets, without records; next, what was committed, -1 when nothing was; before, what was finished above, taken
 *         over and empty afterwards.
 * Loop:   pure, any thread.
 */
void rb_offsets_resume(struct rb_offsets *offsets, int64_t next, struct rb_offset_map *before);

/* What is to be done with a record. */
enum rb_offsets_begun {
    RB_OFFSETS_NEW,      /* work on it */
    RB_OFFSETS_FINISHED, /* nothing: it was finished before we had the partition */
    RB_OFFSETS_SEEN,     /* nothing: its offset is not above the last one */
};

/*
 * A record has come. Offsets rise; those in between that never come (transaction markers, compaction) count as finished.
 *
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK enum rb_offsets_begun rb_offsets_begin(struct rb_offsets *offsets, int64_t offset);

/*
 * No record comes any more below this offset.
 *
 * Gives:  whether that is new.
 * Loop:   pure, any thread.
 */
bool rb_offsets_reach(struct rb_offsets *offsets, int64_t offset);

/*
 * Is a record begun, and neither finished nor staged?
 *
 * Loop:   pure, any thread.
 */
bool rb_offsets_is_open(const struct rb_offsets *offsets, int64_t offset);

/*
 * A record is finished. It must have been begun, and not finished before.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_finish(struct rb_offsets *offsets, int64_t offset);

/*
 * A record is finished, if the transaction that is put together now is committed. It must have been begun, and be neither
 * finished nor staged.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_stage(struct rb_offsets *offsets, int64_t offset);

/*
 * What was staged is finished, or is not.
 *
 * Loop:   pure, any thread.
 */
void rb_offsets_settle(struct rb_offsets *offsets, bool committed);

/*
 * What to commit: the offset of the oldest unfinished record, or the one behind the last.
 *
 * Gives:  -1 before the first record.
 * Loop:   pure, any thread.
 */
int64_t rb_offsets_committable(const struct rb_offsets *offsets);

/*
 * What to commit with the transaction that is put together now: what is staged counts as finished.
 *
 * Takes:  ret_map, empty.
 * Gives:  as rb_offsets_committable; what is finished above that in ret_map.
 * Loop:   pure, any thread.
 */
int64_t rb_offsets_snapshot(const struct rb_offsets *offsets, struct rb_offset_map *ret_map);

/*
 * May a further record be taken? So that the map always fits, whatever is finished next.
 *
 * Takes:  share, as of rb_offset_map_would_fit.
 * Loop:   pure, any thread.
 */
bool rb_offsets_has_room(const struct rb_offsets *offsets, size_t share);

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
