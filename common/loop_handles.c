/*
 * loop_handles.c — what a loop waits for beside tasks: timers, and descriptors that are watched.
 *
 * Way:  common
 */
#include "common/loop.h"

#define TIMER_MAGIC 0x54494d45u
#define WATCH_MAGIC 0x57415443u

struct rb_timer {
    uint32_t magic;
    uv_timer_t uv;
    rb_loop_fn fn;
    void *arg;
};

struct rb_watch {
    uint32_t magic;
    uv_poll_t uv;
    int events;
    rb_watch_fn fn;
    void *arg;
};

static void on_timer(uv_timer_t *uv)
{
    struct rb_timer *timer = RB_CAST(rb_timer, uv->data, TIMER_MAGIC);

    timer->fn(timer->arg);
}

struct rb_timer *rb_timer_new(struct rb_loop *loop, rb_loop_fn fn, void *arg)
{
    struct rb_timer *timer = rb_xalloc(sizeof(*timer));

    *timer = (struct rb_timer){.magic = TIMER_MAGIC, .fn = fn, .arg = arg};
    uv_timer_init(rb_loop_uv(loop), &timer->uv);
    timer->uv.data = timer;
    return timer;
}

void rb_timer_start(struct rb_timer *timer, int64_t ms)
{
    uv_update_time(timer->uv.loop); /* the loop's time is that of the turn's beginning */
    uv_timer_start(&timer->uv, on_timer, (uint64_t)RB_MAX(ms, 0), 0);
}

void rb_timer_stop(struct rb_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

bool rb_timer_is_started(const struct rb_timer *timer)
{
    return uv_is_active((const uv_handle_t *)&timer->uv) != 0;
}

static void on_timer_closed(uv_handle_t *uv)
{
    free(uv->data);
}

void rb_timer_free(struct rb_timer *timer)
{
    if (timer == NULL)
        return;
    RB_ASSERT(timer->magic == TIMER_MAGIC);
    timer->magic = 0;
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

void rb_loop_run_for(struct rb_loop *loop, int64_t ms)
{
    struct rb_timer *timer = rb_timer_new(loop, stop_loop, loop);

    rb_timer_start(timer, ms);
    rb_loop_run(loop);
    rb_timer_free(timer);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct rb_watch *watch = RB_CAST(rb_watch, uv->data, WATCH_MAGIC);

    watch->fn(status, events, watch->arg);
}

struct rb_watch *rb_watch_new(struct rb_loop *loop, int fd, rb_watch_fn fn, void *arg)
{
    struct rb_watch *watch = rb_xalloc(sizeof(*watch));

    *watch = (struct rb_watch){.magic = WATCH_MAGIC, .fn = fn, .arg = arg};
    if (uv_poll_init(rb_loop_uv(loop), &watch->uv, fd) < 0)
        RB_BUG("a descriptor that cannot be watched");
    watch->uv.data = watch;
    return watch;
}

void rb_watch_events(struct rb_watch *watch, int events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    if (events == 0)
        uv_poll_stop(&watch->uv);
    else
        uv_poll_start(&watch->uv, events, on_poll);
}

static void on_watch_closed(uv_handle_t *uv)
{
    free(uv->data);
}

void rb_watch_free(struct rb_watch *watch)
{
    if (watch == NULL)
        return;
    RB_ASSERT(watch->magic == WATCH_MAGIC);
    watch->magic = 0;
    uv_close((uv_handle_t *)&watch->uv, on_watch_closed);
}
