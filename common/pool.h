/*
 * pool.h — a call that blocks, made off the loop: in libuv's pool of threads.
 *
 * Way:  common
 */
#pragma once

#include "common/loop.h"

struct rb_pool_call;

/*
 * Make a call.
 *
 * Takes:  work, run on another thread: it must touch nothing that the loop may touch meanwhile; done, run on the loop
 *         thread afterwards; NULL for nothing.
 * Gives:  borrowed, until done is called.
 * Loop:   loop thread; done never comes before this returns.
 */
struct rb_pool_call *rb_pool_start(struct rb_loop *loop, rb_loop_fn work, rb_loop_fn done, void *arg);

/*
 * Has the work ended? For the time when the loop does not run any more.
 *
 * Loop:   loop thread, before done was called.
 */
bool rb_pool_has_ended(const struct rb_pool_call *call);

/*
 * The work has ended: call done now, and not later.
 *
 * Loop:   loop thread, before done was called.
 */
void rb_pool_finish(struct rb_pool_call *call);

/*
 * The work has ended: call done neither now nor later.
 *
 * Loop:   loop thread, before done was called.
 */
void rb_pool_forget(struct rb_pool_call *call);
