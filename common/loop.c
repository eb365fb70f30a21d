/*
 * loop.c — the libuv loop of a program.
 *
 * Way:  common
 */
#include "common/loop.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/log.h"

struct reap {
    rb_loop_fn free_fn;
    void *ptr;
    struct reap *next;
};

struct rb_loop {
    uv_loop_t uv;
    struct rb_watchdog *watchdog; /* borrowed; NULL when nobody watches */
    uv_prepare_t prepare;         /* writes the log of a turn before the next one may sleep */
    uv_check_t check;             /* runs tasks and reaps once per turn, after the descriptors were served */
    uv_idle_t idle;               /* active while tasks wait, so that the turn does not sleep */
    uv_signal_t signals[2];
    rb_loop_fn signal_fn;
    void *signal_arg;
    uv_signal_t log_signals[2];
    uv_signal_t hangup;
    rb_loop_fn hangup_fn;
    void *hangup_arg;
    struct rb_task *queue;   /* tasks that wait, in order */
    struct rb_task **end;    /* where the next one goes */
    struct rb_task *running; /* tasks of this turn that have not run yet */
    struct reap *reaps;      /* owned */
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
    for (size_t i = 0; i < RB_COUNT(loop->log_signals); i++)
        uv_signal_init(&loop->uv, &loop->log_signals[i]);
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
    for (size_t i = 0; i < RB_COUNT(loop->log_signals); i++)
        uv_close((uv_handle_t *)&loop->log_signals[i], NULL);
    uv_close((uv_handle_t *)&loop->hangup, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    RB_ASSERT(uv_loop_close(&loop->uv) == 0);
    free(loop);
}

uv_loop_t *rb_loop_uv(struct rb_loop *loop)
{
    return &loop->uv;
}

void rb_loop_set_watchdog(struct rb_loop *loop, struct rb_watchdog *watchdog)
{
    loop->watchdog = watchdog;
}

struct rb_watchdog *rb_loop_watchdog(const struct rb_loop *loop)
{
    return loop->watchdog;
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

static void on_log_signal(uv_signal_t *signal, int number)
{
    (void)signal;
    rb_log_shift_level(number == SIGUSR1 ? 1 : -1);
}

void rb_loop_on_log_signals(struct rb_loop *loop)
{
    uv_signal_start(&loop->log_signals[0], on_log_signal, SIGUSR1);
    uv_signal_start(&loop->log_signals[1], on_log_signal, SIGUSR2);
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
