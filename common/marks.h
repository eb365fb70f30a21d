/*
 * marks.h — how much may be stored, from where on that is said, and from where on no more is taken.
 *
 * Way:  common
 */
#pragma once

#include "common/error.h"

/* All zero: no quota. */
struct rb_marks {
    int64_t quota_bytes; /* what the provider, or whoever pays, allows */
    int64_t warn_bytes;  /* from here on it is said */
    int64_t stop_bytes;  /* up to here it is stored */
    int64_t low_bytes;   /* down to here the oldest go, if any go */
};

enum rb_marks_level { RB_MARKS_WELL, RB_MARKS_WARN, RB_MARKS_STOP };

/*
 * Read marks as an operator writes them.
 *
 * Takes:  name, of the option with the quota; warn and stop, a percentage of the quota ("80%") or an amount ("900MB").
 * Fails:  BAD_OPTION: not readable, or not in the order warn, stop, quota.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_marks_read(const char *name, int64_t quota_bytes, const char *warn, const char *stop,
                                struct rb_marks *ret_marks, struct rb_error *err);

/*
 * Read the low mark as well.
 *
 * Takes:  name as above; low, as the other two; marks, as they were read.
 * Fails:  BAD_OPTION: not readable, or above the mark up to which it is stored.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_marks_read_low(const char *name, const char *low, struct rb_marks *marks, struct rb_error *err);

/*
 * Where is somebody who has stored so much?
 *
 * Loop:   pure, any thread.
 */
enum rb_marks_level rb_marks_level(const struct rb_marks *marks, int64_t bytes);

/*
 * A level in a word: "well", "warn" or "stop".
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_marks_level_name(enum rb_marks_level level);

/*
 * When will no more be taken, if it goes on like this?
 *
 * Takes:  bytes, stored now; grown_bytes, how many of them came in the last over_ms.
 * Gives:  whole days, 0 when it is so far already; -1 when nobody can say: no quota, no growth, or too short a time.
 * Loop:   pure, any thread.
 */
int64_t rb_marks_days_left(const struct rb_marks *marks, int64_t bytes, int64_t grown_bytes, int64_t over_ms);
