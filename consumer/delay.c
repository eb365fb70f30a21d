/*
 * delay.c — records whose time has not come yet.
 *
 * Way:  consume -> job -> [delay] -> heap
 */
#include "consumer/delay.h"

#include "common/clock.h"

#define DELAY_MAGIC 0x444c4159u

struct rb_delay {
    uint32_t magic;
    struct rb_heap heap;
    struct rb_timer *timer;
    size_t max;
    bool full;
    rb_delay_room_fn room;
    void *arg; /* borrowed */
};

static void start_timer(struct rb_delay *delay)
{
    const struct rb_heap_node *first = rb_heap_first(&delay->heap);

    if (first == NULL)
        rb_timer_stop(delay->timer);
    else
        rb_timer_start(delay->timer, RB_MAX(first->rank - rb_clock_ms(), 1));
}

void rb_delay_poke(struct rb_delay *delay)
{
    size_t room = delay->room != NULL ? delay->room(delay->arg) : SIZE_MAX;
    int64_t now = rb_clock_ms();
    struct rb_heap_node *first;

    for (; room > 0 && (first = rb_heap_first(&delay->heap)) != NULL && first->rank <= now; room--) {
        struct rb_delayed *delayed = first->owner;

        rb_heap_remove(&delay->heap, first);
        delayed->on_due(delayed->arg);
    }
    start_timer(delay);
}

static void on_timer(void *arg)
{
    rb_delay_poke(RB_CAST(rb_delay, arg, DELAY_MAGIC));
}

struct rb_delay *rb_delay_new(struct rb_loop *loop, size_t max)
{
    struct rb_delay *delay = rb_xalloc(sizeof(*delay));

    *delay = (struct rb_delay){.magic = DELAY_MAGIC, .max = max};
    delay->timer = rb_timer_new(loop, on_timer, delay);
    return delay;
}

void rb_delay_free(struct rb_delay *delay)
{
    if (delay == NULL)
        return;
    RB_ASSERT(delay->heap.count == 0);
    rb_heap_done(&delay->heap);
    rb_timer_free(delay->timer);
    delay->magic = 0;
    free(delay);
}

void rb_delay_set_room(struct rb_delay *delay, rb_delay_room_fn room, void *arg)
{
    delay->room = room;
    delay->arg = arg;
}

/* One more: both this clock and the one that wait_ms was read from are cut to milliseconds. */
void rb_delay_enter(struct rb_delay *delay, struct rb_delayed *delayed, int64_t wait_ms)
{
    delayed->node.rank = rb_clock_ms() + wait_ms + 1;
    delayed->node.owner = delayed;
    rb_heap_add(&delay->heap, &delayed->node);
    start_timer(delay);
}

void rb_delay_leave(struct rb_delay *delay, struct rb_delayed *delayed)
{
    rb_heap_remove(&delay->heap, &delayed->node);
}

bool rb_delay_has(const struct rb_delayed *delayed)
{
    return delayed->node.at != 0;
}

size_t rb_delay_count(const struct rb_delay *delay)
{
    return delay->heap.count;
}

bool rb_delay_is_full(struct rb_delay *delay)
{
    if (delay->heap.count >= delay->max)
        delay->full = true;
    else if (delay->heap.count <= delay->max - delay->max / 4)
        delay->full = false;
    return delay->full;
}
