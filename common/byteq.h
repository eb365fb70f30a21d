/*
 * byteq.h — a bounded byte queue: one side puts, the other peeks and takes. A ring; its bytes do not move.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

struct rb_byteq;

/*
 * Make an empty queue.
 *
 * Takes:  cap, bytes it can hold; low, the fill at or below which a paused writer should go on. low plus the largest
 *         block that is ever put must not exceed cap, or a pause may never end.
 * Gives:  owned by the caller; rb_byteq_free it.
 * Loop:   pure, any thread.
 */
struct rb_byteq *rb_byteq_new(size_t cap, size_t low);

/*
 * Give back its memory. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_byteq_free(struct rb_byteq *queue);

/*
 * How many bytes are in the queue.
 *
 * Loop:   pure, any thread.
 */
size_t rb_byteq_used(const struct rb_byteq *queue);

/*
 * How many bytes it can hold.
 *
 * Loop:   pure, any thread.
 */
size_t rb_byteq_cap(const struct rb_byteq *queue);

/*
 * How many bytes can be put now.
 *
 * Loop:   pure, any thread.
 */
size_t rb_byteq_room(const struct rb_byteq *queue);

/*
 * Is the fill at or below the low mark, so that a paused writer should go on?
 *
 * Loop:   pure, any thread.
 */
bool rb_byteq_is_low(const struct rb_byteq *queue);

/*
 * Copy bytes in at the end. There must be room for all of them.
 *
 * Loop:   pure, any thread.
 */
void rb_byteq_put(struct rb_byteq *queue, const void *bytes, size_t count);

/*
 * Look at the oldest bytes that lie in one piece. They stay where they are until they are taken.
 *
 * Takes:  ret_bytes, borrowed from the queue.
 * Gives:  how many; 0 when the queue is empty. What wraps around shows up after the first piece is taken.
 * Loop:   pure, any thread.
 */
size_t rb_byteq_peek(const struct rb_byteq *queue, const uint8_t **ret_bytes);

/*
 * Drop the oldest bytes. There must be as many.
 *
 * Loop:   pure, any thread.
 */
void rb_byteq_take(struct rb_byteq *queue, size_t count);

/*
 * The queue's invariant as code; aborts when it is broken.
 *
 * Loop:   pure, any thread.
 */
void rb_byteq_check(const struct rb_byteq *queue);

RB_DEFINE_AUTO(rb_byteq);
