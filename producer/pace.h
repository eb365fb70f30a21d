/*
 * pace.h — how fast one provider may be asked: how many requests at once, and when again after it was busy; pure.
 *
 * Way:  poll -> [pace]
 *
 * The window begins small and grows with each good answer, so that a thousand waiting videos after a restart reach a
 * provider as a ramp, not as a wall. Trouble closes the window for a while; one request then finds out whether it is over.
 */
#pragma once

#include "common/backoff.h"

struct rb_pace {
    int64_t window;        /* so many requests at once now */
    int64_t window_max;    /* and never more */
    int64_t in_flight;     /* begun and not ended */
    int64_t not_before_ms; /* monotonic; closed until then */
    int64_t slowed_ms;     /* monotonic; when the last trouble was taken note of */
    struct rb_backoff backoff;
};

/*
 * Begin with a window of one.
 *
 * Takes:  window_max, at least 1.
 * Loop:   pure, any thread.
 */
void rb_pace_init(struct rb_pace *pace, int64_t window_max);

/*
 * How many requests may begin now?
 *
 * Loop:   pure, any thread.
 */
int64_t rb_pace_room(const struct rb_pace *pace, int64_t now_ms);

/*
 * How long until it opens again?
 *
 * Gives:  0 when it is open.
 * Loop:   pure, any thread.
 */
int64_t rb_pace_closed_ms(const struct rb_pace *pace, int64_t now_ms);

/*
 * A request begins.
 *
 * Loop:   pure, any thread.
 */
void rb_pace_begin(struct rb_pace *pace);

/*
 * A request has ended without telling anything about the provider: it was given up by us.
 *
 * Loop:   pure, any thread.
 */
void rb_pace_end(struct rb_pace *pace);

/*
 * A request has ended, and the provider is well. That says nothing when it was begun before the last trouble was noticed,
 * or in the same millisecond: after it nothing begins for a while.
 *
 * Takes:  begun_ms, when the request began.
 * Gives:  true when it says something.
 * Loop:   pure, any thread.
 */
bool rb_pace_good(struct rb_pace *pace, int64_t begun_ms);

/*
 * A request has ended, and the provider is not well: wait, longer each time. Requests that were begun before the last
 * trouble was noticed belong to it and change nothing.
 *
 * Takes:  begun_ms, when the request began; retry_after_ms, what the provider asked for, 0 when it said nothing; random,
 *         any 64 random bits.
 * Gives:  true when this is news.
 * Loop:   pure, any thread.
 */
bool rb_pace_bad(struct rb_pace *pace, int64_t begun_ms, int64_t now_ms, int64_t retry_after_ms, uint64_t random);
