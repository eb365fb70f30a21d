/*
 * retain_schedule.h — goes through the rules of retention now and then, one of all workers at a time.
 *
 * Way:  main -> [retain_schedule] -> retain
 *
 * Who does is said by a row with an end (reelbus.lease), which is moved on while the work lasts: a worker that dies is followed by
 * another. No lock of a session: behind a transaction pooler it would belong to whoever has the connection next. Two at a time would
 * do no harm, but for work done in vain.
 */
#pragma once

#include "common/metrics.h"
#include "consumer/retain.h"

struct rb_retain_schedule;

struct rb_retain_schedule_config {
    struct rb_retain_config retain;       /* with its on_done and at_once left to this file */
    struct rb_remove_announcer announcer; /* copied; nothing is begun while it is away */
    struct rb_metrics *metrics;           /* of the consumer; borrowed for as long as it lives */
    int64_t every_ms;                     /* of all workers together */
};

/*
 * Begin.
 *
 * Takes:  config, borrowed for the call; see there for what is in it.
 * Gives:  owned by the caller; rb_retain_schedule_free it.
 * Loop:   loop thread.
 */
struct rb_retain_schedule *rb_retain_schedule_new(struct rb_loop *loop, const struct rb_retain_schedule_config *config);

/*
 * Let no more rows go, because the program is to end.
 *
 * Loop:   loop thread.
 */
void rb_retain_schedule_stop(struct rb_retain_schedule *schedule);

/*
 * Stop and free; before the removals and the database. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_retain_schedule_free(struct rb_retain_schedule *schedule);
