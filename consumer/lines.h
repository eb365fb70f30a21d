/*
 * lines.h — a line for each video, so that records about one video follow each other.
 *
 * Way:  job -> [lines]
 */
#pragma once

#include "common/loop.h"

/* A place in a line. Part of its owner; zeroed before its first use. */
struct rb_place {
    const char *key; /* borrowed while in line */
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
