/*
 * byteq.c — a bounded byte queue.
 *
 * Way:  common
 */
#include "common/byteq.h"

struct rb_byteq {
    size_t cap;
    size_t low;
    size_t head; /* index of the oldest byte */
    size_t used;
    uint8_t ring[];
};

struct rb_byteq *rb_byteq_new(size_t cap, size_t low)
{
    RB_ASSERT(low < cap);

    struct rb_byteq *queue = malloc(sizeof(*queue) + cap); /* not zeroed: pages are touched when bytes come */

    if (queue == NULL)
        RB_BUG("out of memory");
    *queue = (struct rb_byteq){.cap = cap, .low = low};
    return queue;
}

void rb_byteq_free(struct rb_byteq *queue)
{
    free(queue);
}

size_t rb_byteq_used(const struct rb_byteq *queue)
{
    return queue->used;
}

size_t rb_byteq_cap(const struct rb_byteq *queue)
{
    return queue->cap;
}

size_t rb_byteq_room(const struct rb_byteq *queue)
{
    return queue->cap - queue->used;
}

bool rb_byteq_is_low(const struct rb_byteq *queue)
{
    return queue->used <= queue->low;
}

void rb_byteq_put(struct rb_byteq *queue, const void *bytes, size_t count)
{
    RB_ASSERT(count <= rb_byteq_room(queue));

    size_t tail = (queue->head + queue->used) % queue->cap;
    size_t first = RB_MIN(count, queue->cap - tail);

    memcpy(queue->ring + tail, bytes, first);
    memcpy(queue->ring, (const uint8_t *)bytes + first, count - first);
    queue->used += count;
}

size_t rb_byteq_peek(const struct rb_byteq *queue, const uint8_t **ret_bytes)
{
    *ret_bytes = queue->ring + queue->head;
    return RB_MIN(queue->used, queue->cap - queue->head);
}

void rb_byteq_take(struct rb_byteq *queue, size_t count)
{
    RB_ASSERT(count <= queue->used);
    queue->head = (queue->head + count) % queue->cap;
    queue->used -= count;
    if (queue->used == 0)
        queue->head = 0; /* the next block lies in one piece */
}

void rb_byteq_check(const struct rb_byteq *queue)
{
    RB_ASSERT(queue->used <= queue->cap);
    RB_ASSERT(queue->head < queue->cap);
    RB_ASSERT(queue->used > 0 || queue->head == 0);
}
