/*
 * in_flight.h — how many bytes may be on their way at once, over all transfers.
 *
 * Way:  download -> [in_flight]
 *
 * A video takes its announced size before its first byte is taken, and waits in line when that does not fit any more: the
 * one with the least time left comes next. While one waits no further transfer should begin, or small ones would pass it
 * for ever. One alone always fits, however large. One that announces nothing takes a fixed share, and is counted as it
 * comes once it has more than that. Whoever has begun goes on to the end, so nobody waits for one that waits itself; what
 * is used may pass the limit by what such ones grow, and no further one begins before it is under it again.
 */
#pragma once

#include "common/loop.h"

#define RB_IN_FLIGHT_UNSAID_BYTES (INT64_C(64) << 20)

struct rb_in_flight {
    int64_t max_bytes; /* 0: no limit */
    int64_t used_bytes;
    struct rb_share *waiting;              /* lowest rank first */
    void (*on_full)(bool full, void *arg); /* the first one waits, or none does any more; NULL: nobody wants to know */
    void *arg;                             /* borrowed */
};

/* The part of one transfer. Part of its owner; zeroed before its first use. */
struct rb_share {
    struct rb_in_flight *in_flight; /* borrowed; NULL while it has nothing and waits for nothing */
    int64_t bytes;
    bool waiting;
    int64_t rank; /* when the time is up */
    rb_loop_fn on_turn;
    void *arg; /* borrowed */
    struct rb_share *next;
};

/*
 * How much to take for a video whose size nobody says.
 *
 * Takes:  most_bytes, that it may have.
 * Gives:  RB_IN_FLIGHT_UNSAID_BYTES, or what is less: most_bytes, or all that may be on its way; 0 without a limit.
 * Loop:   pure, any thread.
 */
int64_t rb_in_flight_unsaid(const struct rb_in_flight *in_flight, int64_t most_bytes);

/*
 * Take so many bytes, or get in line for them.
 *
 * Takes:  share, with rank, on_turn and arg set; on_turn is called once it is its turn, from rb_in_flight_leave of another.
 * Gives:  true when it has them at once: on_turn is not called then.
 * Loop:   loop thread; may call on_full before it returns.
 */
bool rb_in_flight_take(struct rb_in_flight *in_flight, struct rb_share *share, int64_t bytes);

/*
 * Have more than was taken: never waits, because what has come is here.
 *
 * Loop:   loop thread.
 */
void rb_in_flight_grow(struct rb_share *share, int64_t bytes);

/*
 * Give all back, or leave the line; those who fit now get their turn. Fine for one that has nothing.
 *
 * Loop:   loop thread; may call on_turn of others and on_full before it returns.
 */
void rb_in_flight_leave(struct rb_share *share);
