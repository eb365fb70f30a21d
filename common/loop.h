/*
 * loop.h — the libuv loop of a program: timers, watched descriptors, work for later in the turn.
 *
 * Way:  common
 *
 * libuv closes its handles asynchronously. The objects here hide that: freeing one stops it at once, no callback comes
 * after that, and the memory goes when libuv is done with it.
 */
#pragma once

#include <uv.h>

#include "common/error.h"

struct rb_loop;
struct rb_watchdog;
struct rb_timer;
struct rb_watch;

typedef void (*rb_loop_fn)(void *arg);
typedef void (*rb_watch_fn)(int status, int events, void *arg);

/*
 * Make a loop. The process may open as many descriptors as the system lets it from then on.
 *
 * Gives:  owned by the caller; rb_loop_free it.
 * Loop:   one for each thread that wants one.
 */
struct rb_loop *rb_loop_new(void);

/*
 * Run what is left to be closed and free the loop. All timers and watches must be freed already. NULL is fine.
 *
 * Loop:   loop thread, outside of callbacks.
 */
void rb_loop_free(struct rb_loop *loop);

/*
 * The libuv loop inside, for file work and the like.
 *
 * Gives:  borrowed from the loop.
 * Loop:   loop thread.
 */
uv_loop_t *rb_loop_uv(struct rb_loop *loop);

/*
 * Keep the watchdog of the loop, for those that have something watched.
 *
 * Takes:  watchdog, borrowed for as long as the loop lives.
 * Loop:   before the loop runs.
 */
void rb_loop_set_watchdog(struct rb_loop *loop, struct rb_watchdog *watchdog);

/*
 * The watchdog of the loop.
 *
 * Gives:  borrowed; NULL when there is none.
 * Loop:   loop thread.
 */
struct rb_watchdog *rb_loop_watchdog(const struct rb_loop *loop);

/*
 * Run until rb_loop_stop.
 *
 * Loop:   loop thread, not from a callback.
 */
void rb_loop_run(struct rb_loop *loop);

/*
 * Let rb_loop_run return after this turn.
 *
 * Loop:   loop thread.
 */
void rb_loop_stop(struct rb_loop *loop);

/*
 * Run the loop until rb_loop_stop, but no longer than this.
 *
 * Loop:   outside of a running loop.
 */
void rb_loop_run_for(struct rb_loop *loop, int64_t ms);

/*
 * Call fn on SIGTERM and SIGINT. May be called once.
 *
 * Loop:   loop thread.
 */
void rb_loop_on_signal(struct rb_loop *loop, rb_loop_fn fn, void *arg);

/*
 * Call fn on SIGHUP, each time: what can be read anew should be. May be called once.
 *
 * Loop:   loop thread.
 */
void rb_loop_on_hangup(struct rb_loop *loop, rb_loop_fn fn, void *arg);

/*
 * Show one level more of the log on SIGUSR1, one less on SIGUSR2. May be called once.
 *
 * Loop:   loop thread.
 */
void rb_loop_on_log_signals(struct rb_loop *loop);

/*
 * A task that can be queued for the end of the turn: once, however often it is queued before it runs. Part of its
 * owner; cancelled by rb_task_done.
 */
struct rb_task {
    struct rb_loop *loop; /* borrowed */
    rb_loop_fn fn;
    void *arg; /* borrowed */
    struct rb_task *next;
    bool queued;
};

/*
 * Prepare a task.
 *
 * Loop:   loop thread.
 */
void rb_task_init(struct rb_task *task, struct rb_loop *loop, rb_loop_fn fn, void *arg);

/*
 * Run the task at the end of this turn, or of the next when it is queued by a task.
 *
 * Loop:   loop thread.
 */
void rb_task_queue(struct rb_task *task);

/*
 * Take the task out of the queue if it is there.
 *
 * Loop:   loop thread.
 */
void rb_task_done(struct rb_task *task);

/*
 * Free something at the end of the turn: for objects whose callback is still on the stack.
 *
 * Takes:  ptr, owned by the loop from now on.
 * Loop:   loop thread.
 */
void rb_loop_reap(struct rb_loop *loop, rb_loop_fn free_fn, void *ptr);

/*
 * Make a timer that calls fn once each time it is started.
 *
 * Gives:  owned by the caller; rb_timer_free it.
 * Loop:   loop thread.
 */
struct rb_timer *rb_timer_new(struct rb_loop *loop, rb_loop_fn fn, void *arg);

/*
 * Call back after this many milliseconds; an earlier start is forgotten.
 *
 * Loop:   loop thread.
 */
void rb_timer_start(struct rb_timer *timer, int64_t ms);

/*
 * Forget the start.
 *
 * Loop:   loop thread.
 */
void rb_timer_stop(struct rb_timer *timer);

/*
 * Is it started and has not called back yet?
 *
 * Loop:   loop thread.
 */
bool rb_timer_is_started(const struct rb_timer *timer);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_timer_free(struct rb_timer *timer);

/*
 * Watch a descriptor that somebody else owns. It must be freed before the descriptor is closed.
 *
 * Takes:  fn gets a libuv status below zero or UV_READABLE and UV_WRITABLE as they come.
 * Gives:  owned by the caller; rb_watch_free it.
 * Loop:   loop thread.
 */
struct rb_watch *rb_watch_new(struct rb_loop *loop, int fd, rb_watch_fn fn, void *arg);

/*
 * Say what to wait for from now on.
 *
 * Takes:  events, UV_READABLE and UV_WRITABLE; 0 waits for nothing.
 * Loop:   loop thread.
 */
void rb_watch_events(struct rb_watch *watch, int events);

/*
 * Stop watching and free. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_watch_free(struct rb_watch *watch);
