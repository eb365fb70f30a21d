/*
 * delay.h — records whose time has not come yet, in memory, the earliest first.
 *
 * Way:  consume -> job -> [delay] -> heap
 *
 * Kept are only records of the topic of retries, and only so many: when it is full, consume.c pauses the partitions that
 * they come from. They leave when their time has come and there is room among those that are worked on.
 */
#pragma once

#include "common/loop.h"
#include "consumer/heap.h"

struct rb_delay;

/* A record that waits. Part of its owner; zeroed before its first use. */
struct rb_delayed {
    rb_loop_fn on_due; /* it has left; never called before rb_delay_enter returns */
    void *arg;         /* borrowed */
    struct rb_heap_node node;
};

/* How many may leave now? */
typedef size_t (*rb_delay_room_fn)(void *arg);

/*
 * Make one.
 *
 * Takes:  max, how many it keeps.
 * Gives:  owned by the caller; rb_delay_free it when all have left.
 * Loop:   loop thread.
 */
struct rb_delay *rb_delay_new(struct rb_loop *loop, size_t max);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_delay_free(struct rb_delay *delay);

/*
 * Who says how many may leave. Until then as many as want to.
 *
 * Takes:  arg, borrowed for as long as the delay lives.
 * Loop:   loop thread.
 */
void rb_delay_set_room(struct rb_delay *delay, rb_delay_room_fn room, void *arg);

/*
 * Keep one until its time has come. One more than rb_delay_is_full allows does no harm: what was fetched is kept.
 *
 * Takes:  wait_ms, below zero when its time has come long ago; delayed, with on_due and arg set, not kept yet.
 * Loop:   loop thread.
 */
void rb_delay_enter(struct rb_delay *delay, struct rb_delayed *delayed, int64_t wait_ms);

/*
 * Keep it no longer; on_due is not called. Fine for one that is not kept.
 *
 * Loop:   loop thread.
 */
void rb_delay_leave(struct rb_delay *delay, struct rb_delayed *delayed);

/*
 * Is it kept?
 *
 * Loop:   loop thread.
 */
bool rb_delay_has(const struct rb_delayed *delayed);

/*
 * There may be room now.
 *
 * Loop:   loop thread; on_due may be called before it returns.
 */
void rb_delay_poke(struct rb_delay *delay);

/*
 * How many are kept.
 *
 * Loop:   loop thread.
 */
size_t rb_delay_count(const struct rb_delay *delay);

/*
 * May no more be fetched? True from max on, until a quarter has left.
 *
 * Loop:   loop thread.
 */
bool rb_delay_is_full(struct rb_delay *delay);
