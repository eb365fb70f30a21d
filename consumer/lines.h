/*
 * lines.h — the two queues that jobs stand in: one per video, so that records about one video follow each other; and one
 * for the transfers, of which only so many run at once.
 *
 * Way:  job -> [lines]
 */
#pragma once

#include "common/loop.h"

/* A place in a line. Part of its owner; zeroed before its first use. */
struct rb_place {
    const char *key; /* of a rb_turns line; borrowed while in line */
    int64_t rank;    /* of a rb_slots line: the lowest goes first */
    rb_loop_fn on_turn;
    void *arg; /* borrowed */
    struct rb_place *next;
    enum { RB_PLACE_OUT, RB_PLACE_WAITING, RB_PLACE_IN } state;
};

/* One holder at a time for each key. */
struct rb_turns;

/*
 * Make an empty set of lines.
 *
 * Gives:  owned by the caller; rb_turns_free it when all have left.
 * Loop:   pure, any thread.
 */
struct rb_turns *rb_turns_new(void);

/*
 * Free it. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_turns_free(struct rb_turns *turns);

/*
 * Get in line for a key.
 *
 * Takes:  place, with key, on_turn and arg set; on_turn is called from rb_turns_leave of whoever is before.
 * Gives:  true when it is in at once: on_turn is not called then.
 * Loop:   loop thread.
 */
bool rb_turns_enter(struct rb_turns *turns, struct rb_place *place);

/*
 * Leave, from wherever in the line; the next one gets in. Fine for one that is out.
 *
 * Loop:   loop thread; may call the next one's on_turn before it returns.
 */
void rb_turns_leave(struct rb_turns *turns, struct rb_place *place);

/* So many holders at a time. */
struct rb_slots {
    size_t max;
    size_t used;
    struct rb_place *waiting; /* lowest rank first */
};

/*
 * Get in line for a slot.
 *
 * Takes:  place, with rank, on_turn and arg set.
 * Gives:  true when it is in at once: on_turn is not called then.
 * Loop:   loop thread.
 */
bool rb_slots_enter(struct rb_slots *slots, struct rb_place *place);

/*
 * Leave, as rb_turns_leave.
 *
 * Loop:   loop thread; may call the next one's on_turn before it returns.
 */
void rb_slots_leave(struct rb_slots *slots, struct rb_place *place);
