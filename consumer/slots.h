/*
 * slots.h — who may transfer next. So many at once, so many from one host; of those that wait, first those whose user has
 * the fewest running, then those who have had the fewest turns, counted by eights, and among these the one that has the least
 * time left.
 *
 * Way:  job -> [slots] -> heap
 *
 * Places that wait stand in lanes, one for each pair of user and host. So a user with a thousand videos has one lane, and
 * another's single video goes next.
 */
#pragma once

#include "common/loop.h"
#include "consumer/heap.h"

struct rb_slots;
struct rb_slots_lane;

/* Why none are given out: there is no room for more bytes; an operator wants it so. */
enum rb_slots_holder { RB_SLOTS_ROOM, RB_SLOTS_OPERATOR };

/* A place in line. Part of its owner; zeroed before its first use. */
struct rb_slot {
    const char *user; /* borrowed for the entering, as is the host */
    const char *host;
    int64_t rank; /* the lowest goes first: when the time is up */
    rb_loop_fn on_turn;
    void *arg; /* borrowed */
    struct rb_slots_lane *lane;
    struct rb_heap_node node;
    enum { RB_SLOT_OUT, RB_SLOT_WAITING, RB_SLOT_IN } state;
};

/*
 * Make a set of slots.
 *
 * Takes:  max, how many there are; host_max, how many of them for one host.
 * Gives:  owned by the caller; rb_slots_free it when all have left.
 * Loop:   pure, any thread.
 */
struct rb_slots *rb_slots_new(size_t max, size_t host_max);

/*
 * Free it. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_slots_free(struct rb_slots *slots);

/*
 * Get in line for a slot.
 *
 * Takes:  slot, with user, host, rank, on_turn and arg set; on_turn is called from rb_slots_leave of another or from
 *         rb_slots_limit.
 * Gives:  true when it is in at once: on_turn is not called then.
 * Loop:   loop thread.
 */
bool rb_slots_enter(struct rb_slots *slots, struct rb_slot *slot);

/*
 * Leave, from the line or from the slot; others get in. Fine for one that is out.
 *
 * Loop:   loop thread; may call others' on_turn before it returns.
 */
void rb_slots_leave(struct rb_slots *slots, struct rb_slot *slot);

/*
 * Give out no more than so many from now on. Who is in stays in.
 *
 * Takes:  limit, SIZE_MAX for as many as there are.
 * Loop:   loop thread; may call on_turn before it returns.
 */
void rb_slots_limit(struct rb_slots *slots, size_t limit);

/*
 * Give out none for now, whatever the limit; or again as before, once nobody holds them any more. Who is in stays in.
 *
 * Loop:   loop thread; may call on_turn before it returns.
 */
void rb_slots_hold(struct rb_slots *slots, enum rb_slots_holder holder, bool hold);

/*
 * How many slots are taken, and how many wait for one.
 *
 * Loop:   loop thread.
 */
size_t rb_slots_used(const struct rb_slots *slots);

/*
 * As rb_slots_used.
 *
 * Loop:   loop thread.
 */
size_t rb_slots_waiting(const struct rb_slots *slots);
