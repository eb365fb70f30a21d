/*
 * loop.c — the libuv loop of a program.
 *
 * Way:  common
 */
#include "common/loop.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/log.h"

#define TIMER_MAGIC 0x54494d45u
#define WATCH_MAGIC 0x57415443u

struct reap {
    rb_loop_fn free_fn;
    void *ptr;
    struct reap *next;
};

struct rb_loop {
    uv_loop_t uv;
    uv_prepare_t prepare; /* writes the log of a turn before the next one may sleep */
    uv_check_t check;     /* runs tasks and reaps once per turn, after the descriptors were served */
    uv_idle_t idle;       /* active while tasks wait, so that the turn does not sleep */
    uv_signal_t signals[2];
    rb_loop_fn signal_fn;
    void *signal_arg;
    uv_signal_t hangup;
    rb_loop_fn hangup_fn;
    void *hangup_arg;
    struct rb_task *queue;   /* tasks that wait, in order */
    struct rb_task **end;    /* where the next one goes */
    struct rb_task *running; /* tasks of this turn that have not run yet */
    struct reap *reaps;      /* owned */
};

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

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active is all that is wanted */
}

static void loop_reap_all(struct rb_loop *loop)
{
    while (loop->reaps != NULL) {
        struct reap *reap = loop->reaps;

        loop->reaps = reap->next;
        reap->free_fn(reap->ptr);
        free(reap);
    }
}

/* Tasks that are queued while these run wait for the next turn: no turn goes on for ever. */
static void loop_run_tasks(struct rb_loop *loop)
{
    loop->running = loop->queue;
    loop->queue = NULL;
    loop->end = &loop->queue;
    while (loop->running != NULL) {
        struct rb_task *task = loop->running;

        loop->running = task->next;
        task->queued = false;
        task->fn(task->arg);
    }
}

static void on_check(uv_check_t *check)
{
    struct rb_loop *loop = check->data;

    loop_run_tasks(loop);
    loop_reap_all(loop);
    if (loop->queue == NULL && loop->reaps == NULL)
        uv_idle_stop(&loop->idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
    (void)prepare;
    rb_log_flush();
}

/* Each connection is a descriptor, and shells and service managers give few unless asked. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

struct rb_loop *rb_loop_new(void)
{
    struct rb_loop *loop = rb_xalloc(sizeof(*loop));

    raise_descriptor_limit();
    loop->end = &loop->queue;
    if (uv_loop_init(&loop->uv) < 0)
        RB_BUG("libuv cannot make a loop");
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_init(&loop->uv, &loop->check);
    loop->check.data = loop;
    uv_check_start(&loop->check, on_check);
    uv_idle_init(&loop->uv, &loop->idle);
    for (size_t i = 0; i < RB_COUNT(loop->signals); i++)
        uv_signal_init(&loop->uv, &loop->signals[i]);
    uv_signal_init(&loop->uv, &loop->hangup);
    return loop;
}

void rb_loop_free(struct rb_loop *loop)
{
    if (loop == NULL)
        return;
    loop_reap_all(loop);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    for (size_t i = 0; i < RB_COUNT(loop->signals); i++)
        uv_close((uv_handle_t *)&loop->signals[i], NULL);
    uv_close((uv_handle_t *)&loop->hangup, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    RB_ASSERT(uv_loop_close(&loop->uv) == 0);
    free(loop);
}

uv_loop_t *rb_loop_uv(struct rb_loop *loop)
{
    return &loop->uv;
}

void rb_loop_run(struct rb_loop *loop)
{
    rb_log_hold(true);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    rb_log_hold(false);
}

void rb_loop_stop(struct rb_loop *loop)
{
    uv_stop(&loop->uv);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct rb_loop *loop = signal->data;

    (void)number;
    loop->signal_fn(loop->signal_arg);
}

void rb_loop_on_signal(struct rb_loop *loop, rb_loop_fn fn, void *arg)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    loop->signal_fn = fn;
    loop->signal_arg = arg;
    for (size_t i = 0; i < RB_COUNT(numbers); i++) {
        loop->signals[i].data = loop;
        uv_signal_start(&loop->signals[i], on_signal, numbers[i]);
    }
}

static void on_hangup(uv_signal_t *hangup, int number)
{
    struct rb_loop *loop = hangup->data;

    (void)number;
    loop->hangup_fn(loop->hangup_arg);
}

void rb_loop_on_hangup(struct rb_loop *loop, rb_loop_fn fn, void *arg)
{
    loop->hangup_fn = fn;
    loop->hangup_arg = arg;
    loop->hangup.data = loop;
    uv_signal_start(&loop->hangup, on_hangup, SIGHUP);
}

void rb_task_init(struct rb_task *task, struct rb_loop *loop, rb_loop_fn fn, void *arg)
{
    *task = (struct rb_task){.loop = loop, .fn = fn, .arg = arg};
}

void rb_task_queue(struct rb_task *task)
{
    struct rb_loop *loop = task->loop;

    if (task->queued)
        return;
    task->next = NULL;
    task->queued = true;
    *loop->end = task;
    loop->end = &task->next;
    uv_idle_start(&loop->idle, on_idle);
}

/* Gives where the task stood, NULL when it was not in the list. */
static struct rb_task **unlink_task(struct rb_task **list, struct rb_task *task)
{
    for (; *list != NULL; list = &(*list)->next) {
        if (*list == task) {
            *list = task->next;
            return list;
        }
    }
    return NULL;
}

void rb_task_done(struct rb_task *task)
{
    struct rb_loop *loop = task->loop;
    struct rb_task **place;

    if (!task->queued)
        return;
    place = unlink_task(&loop->queue, task);
    if (place != NULL && *place == NULL)
        loop->end = place;
    RB_ASSERT(place != NULL || unlink_task(&loop->running, task) != NULL);
    task->queued = false;
}

void rb_loop_reap(struct rb_loop *loop, rb_loop_fn free_fn, void *ptr)
{
    struct reap *reap = rb_xalloc(sizeof(*reap));

    *reap = (struct reap){.free_fn = free_fn, .ptr = ptr, .next = loop->reaps};
    loop->reaps = reap;
    uv_idle_start(&loop->idle, on_idle);
}

static void on_timer(uv_timer_t *uv)
{
    struct rb_timer *timer = RB_CAST(rb_timer, uv->data, TIMER_MAGIC);

    timer->fn(timer->arg);
}

struct rb_timer *rb_timer_new(struct rb_loop *loop, rb_loop_fn fn, void *arg)
{
    struct rb_timer *timer = rb_xalloc(sizeof(*timer));

    *timer = (struct rb_timer){.magic = TIMER_MAGIC, .fn = fn, .arg = arg};
    uv_timer_init(&loop->uv, &timer->uv);
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

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct rb_watch *watch = RB_CAST(rb_watch, uv->data, WATCH_MAGIC);

    watch->fn(status, events, watch->arg);
}

struct rb_watch *rb_watch_new(struct rb_loop *loop, int fd, rb_watch_fn fn, void *arg)
{
    struct rb_watch *watch = rb_xalloc(sizeof(*watch));

    *watch = (struct rb_watch){.magic = WATCH_MAGIC, .fn = fn, .arg = arg};
    if (uv_poll_init(&loop->uv, &watch->uv, fd) < 0)
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
