/*
 * lifetime.h — how long the URLs of each provider live, learnt from those that say it and from those that died.
 *
 * Way:  job -> [lifetime] -> budget
 *
 * For URLs that do not say themselves when they expire. A URL that dies young teaches nothing: it may never have worked.
 * Nor does a single one: its video may have been deleted, and what is learnt too short gives other videos up too soon.
 * What was learnt is forgotten when the program ends, and soon learnt again.
 */
#pragma once

#include "common/base.h"

#define RB_LIFETIME_ROWS      64
#define RB_LIFETIME_KEY_BYTES 128
#define RB_LIFETIME_MIN_MS    300000
#define RB_LIFETIME_DEATHS    3 /* of so many videos are believed */

/* Zeroed it knows nothing. When it is full, what was not used for longest makes room. */
struct rb_lifetimes {
    struct rb_lifetime_row {
        char key[RB_LIFETIME_KEY_BYTES];   /* a provider's name, or a host */
        int64_t ms;                        /* 0: not known */
        uint64_t dead[RB_LIFETIME_DEATHS]; /* videos whose URLs have died earlier than was known, by their hashes */
        unsigned deaths;
        int64_t oldest_ms; /* of these, when they died */
        uint64_t used;
    } rows[RB_LIFETIME_ROWS];
    uint64_t uses;
};

/*
 * A URL has said how long it lives. The shortest counts; longer ones move it slowly.
 *
 * Loop:   pure, any thread.
 */
void rb_lifetime_said(struct rb_lifetimes *lifetimes, const char *key, int64_t ms);

/*
 * A URL that had not said it was refused at this age. When those of several videos were, the oldest of them counts.
 *
 * Takes:  video_id, whose URL it was; the first word about it counts.
 * Loop:   pure, any thread.
 */
void rb_lifetime_died(struct rb_lifetimes *lifetimes, const char *key, const char *video_id, int64_t age_ms);

/*
 * A URL that had not said it has worked at this age. Those that had died younger were not too old for it.
 *
 * Loop:   pure, any thread.
 */
void rb_lifetime_lived(struct rb_lifetimes *lifetimes, const char *key, int64_t age_ms);

/*
 * What is known.
 *
 * Gives:  milliseconds; RB_NO_LONG when nothing is.
 * Loop:   pure, any thread.
 */
int64_t rb_lifetime_of(struct rb_lifetimes *lifetimes, const char *key);
