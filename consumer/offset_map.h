/*
 * offset_map.h — which records above a committed offset are finished, as text that is committed beside it.
 *
 * Way:  [consume] <- offsets <- offset_map
 *
 * The text is "reelbus1b:" or "reelbus1r:" and base64 of a check value and a body: b, a bit for each offset from the committed
 * one on; r, lengths of runs, unfinished and finished in turn. Whichever is shorter. The check value binds it to its topic,
 * partition and offset: tools that copy offsets to elsewhere copy the text, too, and there it would be about other records.
 */
#pragma once

#include "common/base.h"

#define RB_OFFSET_MAP_TEXT_MAX   3072 /* brokers take 4096 characters; with more, they refuse the whole transaction */
#define RB_OFFSET_MAP_TEXT_BYTES (RB_OFFSET_MAP_TEXT_MAX + 1)

/* Finished records that follow each other. */
struct rb_offset_run {
    int64_t from;
    int64_t to; /* behind the last */
};

/* All finished records above an offset: runs that rise and do not touch. Zeroed, it is empty. */
struct rb_offset_map {
    struct rb_offset_run *runs; /* owned */
    size_t count;
    size_t cap;
};

/*
 * Give back the memory; the map is empty and can be used again.
 *
 * Loop:   pure, any thread.
 */
void rb_offset_map_done(struct rb_offset_map *map);

/*
 * These are finished, too.
 *
 * Takes:  from, not below the end of the last run; to, behind the last of them, above from.
 * Loop:   pure, any thread.
 */
void rb_offset_map_add(struct rb_offset_map *map, int64_t from, int64_t to);

/*
 * The run that an offset is in.
 *
 * Gives:  borrowed from the map; NULL when the offset is not finished.
 * Loop:   pure, any thread.
 */
const struct rb_offset_run *rb_offset_map_find(const struct rb_offset_map *map, int64_t offset);

/*
 * Whose records a map is about.
 *
 * Gives:  a seed for the check value.
 * Loop:   pure, any thread.
 */
uint64_t rb_offset_map_seed(const char *topic, int32_t partition);

/*
 * Write a map.
 *
 * Takes:  map, with nothing below base; base, the offset that it is committed with.
 * Gives:  ret_text, "" for an empty map; the number of characters. What does not fit is left out, the highest first.
 * Loop:   pure, any thread.
 */
size_t rb_offset_map_write(const struct rb_offset_map *map, uint64_t seed, int64_t base,
                           char ret_text[RB_OFFSET_MAP_TEXT_BYTES]);

/*
 * Read a map.
 *
 * Takes:  text, borrowed for the call, of any origin; bytes, its length: there may be no NUL, or one in the middle.
 * Gives:  false when it is no map, or one of other records; then map is empty.
 * Loop:   pure, any thread.
 */
bool rb_offset_map_read(const void *text, size_t bytes, uint64_t seed, int64_t base, struct rb_offset_map *map);

/*
 * Would a map fit, whichever of the unfinished records end?
 *
 * Takes:  span, how many offsets it is about; unfinished, how many runs of unfinished ones there may be at most; a share
 *         of the room there is, 1 for all of it, 2 for half.
 * Loop:   pure, any thread.
 */
bool rb_offset_map_would_fit(int64_t span, size_t unfinished, size_t share);
