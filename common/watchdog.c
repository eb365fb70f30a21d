/*
 * watchdog.c — notices that the program has got stuck, says where, and ends it.
 *
 * Way:  common
 */
#include "common/watchdog.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/supervisor.h"

#define WATCHDOG_MAGIC 0x57444f47u
#define STEP_MIN_MS    20
#define STEP_MAX_MS    1000

struct rb_watchdog {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    int64_t limit_ms;     /* 0: never give up */
    int64_t step_ms;
    struct rb_timer *timer; /* NULL once it closes */
    int64_t looked_ms;
    struct rb_front *fronts;
    pid_t loop_tid;
    atomic_long beats; /* of the loop */
    atomic_bool closing;
    bool has_thread;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    bool stop; /* under the lock */
};

int64_t rb_stall_look(struct rb_stall *stall, int64_t progress, int64_t passed_ms)
{
    bool moved = progress == RB_FRONT_IDLE || progress != stall->progress;

    stall->progress = progress;
    stall->stuck_ms = moved ? 0 : stall->stuck_ms + passed_ms;
    return stall->stuck_ms;
}

int64_t rb_stall_passed(int64_t *last_ms, int64_t now_ms, int64_t step_ms)
{
    int64_t passed = RB_MIN(now_ms - *last_ms, 2 * step_ms);

    *last_ms = now_ms;
    return passed;
}

/* Where in the kernel a thread waits: a word or two for whoever reads the log; "0" when it does not wait there. */
static const char *place_of(pid_t tid, char *ret_text, size_t room)
{
    char path[64];
    ssize_t count = -1;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        count = read(fd, ret_text, room - 1);
        close(fd);
    }
    snprintf(ret_text + RB_MAX(count, 0), room - (size_t)RB_MAX(count, 0), "%s", count > 0 ? "" : "-");
    return ret_text;
}

/* Nothing can be taken down in order by a program that is stuck, and nothing depends on it. */
RB_NORETURN static void give_up(const struct rb_watchdog *watchdog, const char *front, int64_t stuck_ms)
{
    char place[64];

    rb_log_last(RB_EV_STUCK, "front=%s stuck_ms=%" PRId64 " limit_ms=%" PRId64 " loop_at=%s", front, stuck_ms,
                watchdog->limit_ms, place_of(watchdog->loop_tid, place, sizeof(place)));
    _exit(RB_EXIT_GIVEN_UP);
}

/* -- on the loop --------------------------------------------------------------------------------------------------- */

void rb_front_enter(struct rb_loop *loop, struct rb_front *front)
{
    struct rb_watchdog *watchdog = rb_loop_watchdog(loop);

    RB_ASSERT(front->link == NULL);
    if (watchdog == NULL)
        return;
    front->stall = (struct rb_stall){.progress = RB_FRONT_IDLE};
    front->next = watchdog->fronts;
    front->link = &watchdog->fronts;
    if (front->next != NULL)
        front->next->link = &front->next;
    watchdog->fronts = front;
}

void rb_front_leave(struct rb_front *front)
{
    if (front->link == NULL)
        return;
    *front->link = front->next;
    if (front->next != NULL)
        front->next->link = front->link;
    front->link = NULL;
}

static void look(void *arg)
{
    struct rb_watchdog *watchdog = RB_CAST(rb_watchdog, arg, WATCHDOG_MAGIC);
    int64_t passed_ms = rb_stall_passed(&watchdog->looked_ms, rb_clock_ms(), watchdog->step_ms);

    atomic_fetch_add(&watchdog->beats, 1);
    if (rb_supervisor_watchdog_ms() > 0)
        rb_supervisor_tell("WATCHDOG=1");
    for (struct rb_front *front = watchdog->fronts; front != NULL && watchdog->limit_ms > 0; front = front->next) {
        int64_t stuck_ms = rb_stall_look(&front->stall, front->progress(front->arg), passed_ms);

        if (stuck_ms > watchdog->limit_ms + front->more_ms)
            give_up(watchdog, front->name, stuck_ms);
    }
    rb_timer_start(watchdog->timer, watchdog->step_ms);
}

/* -- beside the loop ----------------------------------------------------------------------------------------------- */

static bool must_stop(struct rb_watchdog *watchdog)
{
    bool stop;

    uv_mutex_lock(&watchdog->lock);
    if (!watchdog->stop)
        (void)uv_cond_timedwait(&watchdog->wake, &watchdog->lock, (uint64_t)watchdog->step_ms * 1000000);
    stop = watchdog->stop;
    uv_mutex_unlock(&watchdog->lock);
    return stop;
}

/* Before its first turn the loop may take its time; while all is taken down it does not turn, and must not take for ever. */
static void watch(void *arg)
{
    struct rb_watchdog *watchdog = RB_CAST(rb_watchdog, arg, WATCHDOG_MAGIC);
    struct rb_stall stall = {.progress = RB_FRONT_IDLE};
    int64_t looked_ms = rb_clock_ms();

    while (!must_stop(watchdog)) {
        int64_t passed_ms = rb_stall_passed(&looked_ms, rb_clock_ms(), watchdog->step_ms);
        bool closing = atomic_load(&watchdog->closing);
        long beats = atomic_load(&watchdog->beats);

        if (rb_stall_look(&stall, beats > 0 || closing ? beats : RB_FRONT_IDLE, passed_ms) > watchdog->limit_ms)
            give_up(watchdog, closing ? "close" : "loop", stall.stuck_ms);
    }
}

/* Signals are for the loop. */
static void start_thread(struct rb_watchdog *watchdog)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (uv_mutex_init(&watchdog->lock) < 0 || uv_cond_init(&watchdog->wake) < 0 ||
        uv_thread_create(&watchdog->thread, watch, watchdog) < 0)
        RB_BUG("no thread for the watchdog");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    watchdog->has_thread = true;
}

struct rb_watchdog *rb_watchdog_new(struct rb_loop *loop, int64_t limit_ms)
{
    struct rb_watchdog *watchdog = rb_xalloc(sizeof(*watchdog));
    int64_t wanted_ms = rb_supervisor_watchdog_ms();
    int64_t step_ms = limit_ms > 0 ? limit_ms / 10 : STEP_MAX_MS;

    *watchdog = (struct rb_watchdog){
        .magic = WATCHDOG_MAGIC,
        .loop = loop,
        .limit_ms = limit_ms,
        .looked_ms = rb_clock_ms(),
        .loop_tid = gettid(),
    };
    if (wanted_ms > 0)
        step_ms = RB_MIN(step_ms, wanted_ms / 3);
    watchdog->step_ms = RB_MIN(RB_MAX(step_ms, STEP_MIN_MS), STEP_MAX_MS);
    watchdog->timer = rb_timer_new(loop, look, watchdog);
    rb_timer_start(watchdog->timer, 0);
    rb_loop_set_watchdog(loop, watchdog);
    if (limit_ms > 0)
        start_thread(watchdog);
    return watchdog;
}

void rb_watchdog_close(struct rb_watchdog *watchdog)
{
    if (watchdog == NULL || watchdog->timer == NULL)
        return;
    rb_timer_free(RB_STEAL(watchdog->timer));
    atomic_store(&watchdog->closing, true);
}

void rb_watchdog_free(struct rb_watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    if (watchdog->has_thread) {
        uv_mutex_lock(&watchdog->lock);
        watchdog->stop = true;
        uv_cond_signal(&watchdog->wake);
        uv_mutex_unlock(&watchdog->lock);
        uv_thread_join(&watchdog->thread);
        uv_cond_destroy(&watchdog->wake);
        uv_mutex_destroy(&watchdog->lock);
    }
    watchdog->magic = 0;
    free(watchdog);
}
