/*
 * watchdog.h — notices that the program has got stuck, says where, and ends it, so that its supervisor starts it again.
 *
 * Way:  common
 *
 * A front is something that must go on: answers of Postgres, deliveries, a job. Parts enter their fronts by themselves. The
 * loop asks them regularly; a thread of its own watches the loop. What is waited out, because Kafka, Postgres or the store
 * is away, is not stuck as long as tries go on.
 *
 * Time is counted in looks at the fronts, not by a clock: a process that was stopped, a machine that was suspended or had no
 * time for us has not got stuck.
 */
#pragma once

#include "common/loop.h"

#define RB_FRONT_IDLE -1 /* nothing has to go on now */

struct rb_watchdog;

/* How long something has not moved. */
struct rb_stall {
    int64_t progress; /* as it was seen last */
    int64_t stuck_ms;
};

/*
 * Look at it once more.
 *
 * Takes:  progress, RB_FRONT_IDLE or a number that changes when something has gone on; passed_ms since the last look.
 * Gives:  for how long it has not moved.
 * Loop:   pure, any thread.
 */
int64_t rb_stall_look(struct rb_stall *stall, int64_t progress, int64_t passed_ms);

/*
 * What of the time between two looks counts: at most twice what was meant to be between them.
 *
 * Loop:   pure, any thread.
 */
int64_t rb_stall_passed(int64_t *last_ms, int64_t now_ms, int64_t step_ms);

/* Part of its owner. */
struct rb_front {
    const char *name;               /* borrowed; for the log */
    int64_t more_ms;                /* what it may take longer than watchdog_ms */
    int64_t (*progress)(void *arg); /* as rb_stall_look takes it */
    void *arg;                      /* borrowed */
    struct rb_stall stall;          /* and what the watchdog needs */
    struct rb_front *next;
    struct rb_front **link; /* NULL while it is watched by nobody */
};

/*
 * Have something watched. Nothing happens when the loop has no watchdog.
 *
 * Takes:  front, borrowed until rb_front_leave.
 * Loop:   loop thread.
 */
void rb_front_enter(struct rb_loop *loop, struct rb_front *front);

/*
 * End that. Fine when it is not watched.
 *
 * Loop:   loop thread.
 */
void rb_front_leave(struct rb_front *front);

/*
 * Watch a loop, from its first turn on. The supervisor hears of us as often as it wants to.
 *
 * Takes:  limit_ms, without progress; 0: never give up.
 * Gives:  owned by the caller; rb_watchdog_free it.
 * Loop:   before the loop runs; one for each loop.
 */
struct rb_watchdog *rb_watchdog_new(struct rb_loop *loop, int64_t limit_ms);

/*
 * The loop does not run any more: from now on all that is left has to end within the limit. NULL is fine.
 *
 * Loop:   loop thread, outside of callbacks.
 */
void rb_watchdog_close(struct rb_watchdog *watchdog);

/*
 * Watch no more. NULL is fine.
 *
 * Loop:   after rb_watchdog_close; the loop may be gone.
 */
void rb_watchdog_free(struct rb_watchdog *watchdog);
