/*
 * progress.h — tells whoever shows a video how much of it is stored by now.
 *
 * Way:  job -> transfer -> [progress] -> Postgres
 *
 * Once a second it looks at the transfers that run and sends one statement for all that have come further by a percent.
 * It is a courtesy: it writes to no table, never holds up a transfer, and is dropped while the database is away.
 */
#pragma once

#include "common/pg.h"
#include "consumer/transfer.h"

struct rb_progress;

/* A transfer that is looked at. Part of its owner. */
struct rb_progress_entry {
    const char *video_id; /* borrowed, as is the transfer, until it leaves */
    const struct rb_transfer *transfer;
    int64_t told_bytes; /* as last sent */
    int64_t told_percent;
    int64_t told_ms;
    struct rb_progress_entry *next;
    struct rb_progress_entry **link; /* what points at this one; NULL when it is not in */
};

/*
 * Make one.
 *
 * Takes:  pg, borrowed for as long as it lives.
 * Gives:  owned by the caller; rb_progress_free it.
 * Loop:   loop thread.
 */
struct rb_progress *rb_progress_new(struct rb_loop *loop, struct rb_pg *pg);

/*
 * Free it, after the transfers. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_progress_free(struct rb_progress *progress);

/*
 * Look at a transfer from now on.
 *
 * Takes:  entry, not in yet.
 * Loop:   loop thread.
 */
void rb_progress_enter(struct rb_progress *progress, struct rb_progress_entry *entry, const char *video_id,
                       const struct rb_transfer *transfer);

/*
 * Look no more; fine for one that is not in.
 *
 * Loop:   loop thread.
 */
void rb_progress_leave(struct rb_progress_entry *entry);

/*
 * Is it worth telling?
 *
 * Takes:  entry, with what was told last and when; notify, how it is now.
 * Gives:  true when a percent was gained, or a MiB when nobody knows how many there will be, and now and then, so that
 *         whoever began to listen meanwhile learns of it.
 * Loop:   pure, any thread.
 */
bool rb_progress_is_news(const struct rb_progress_entry *entry, int64_t bytes, int64_t percent, int64_t now_ms);
