/*
 * hold.h — does an operator want that nothing is stored for now?
 *
 * Way:  Postgres -> [hold] -> consume, slots
 *
 * The will is a row in Postgres (deploy/sql/012_pause.sql), looked at once a second: that works behind any pooler, and whoever
 * was away learns of it as well. Until it was read for the first time nothing is begun, so that a program which is started
 * while its group is paused stores nothing either. While it is paused it tells how much it is still working on.
 */
#pragma once

#include "common/metrics.h"
#include "common/pg.h"

struct rb_hold;

struct rb_hold_config {
    struct rb_pg *pg;           /* borrowed for as long as it lives, as are metrics and arg */
    struct rb_metrics *metrics; /* shows whether an operator has paused us */
    const char *group;          /* borrowed for the call, as is member */
    const char *member;         /* our name among the members, the same after a restart */
    void (*on_change)(bool held, void *arg);
    size_t (*running)(void *arg); /* how many records are worked on that do not only wait */
    void *arg;                    /* of both */
};

/*
 * Begin to look. It holds until the answer is there.
 *
 * Takes:  config, borrowed for the call but for what it says.
 * Gives:  owned by the caller; rb_hold_free it.
 * Loop:   loop thread; calls on_change before it returns.
 */
struct rb_hold *rb_hold_new(struct rb_loop *loop, const struct rb_hold_config *config);

/*
 * Stop looking. Before pg goes. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_hold_free(struct rb_hold *hold);

/*
 * Has an operator paused the group?
 *
 * Loop:   loop thread.
 */
bool rb_hold_is_paused(const struct rb_hold *hold);
