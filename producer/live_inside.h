/*
 * live_inside.h — what the files live*.c share and nobody else sees.
 *
 * Way:  Postgres -> listen -> [live] -> state, feed
 */
#pragma once

#include "producer/listen.h"
#include "producer/live.h"
#include "producer/live_table.h"

#define LIVE_MAGIC  0x4c495645u
#define WATCH_MAGIC 0x4c574154u

struct rb_live_link {
    struct rb_live_video *video;
    struct rb_live_watch *watch;
    struct rb_live_link *next;
    struct rb_live_link **link; /* what points at this one */
    uint64_t since;             /* the first read that was sent after it came */
    bool told;                  /* its first state */
};

struct rb_live_watch {
    uint32_t magic;
    struct rb_live *live; /* borrowed */
    rb_live_fn fn;
    void *arg; /* borrowed */
    size_t count;
    struct rb_live_link links[];
};

struct batch; /* one query on its way */

struct rb_live {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed, as are the metrics */
    struct rb_metrics *metrics;
    struct rb_listen *listen; /* NULL once it is stopped */
    struct rb_live_table table;
    size_t looks, looks_max;
    struct rb_timer *tick;
    unsigned ticks;

    /* live_read.c */
    char *sql;
    struct rb_live_video *wanted, **wanted_end; /* to be read, oldest first */
    size_t wanted_count;
    struct rb_task read;
    struct batch *batches; /* owned */
    size_t batch_count;
    uint64_t next_number;   /* of the next query */
    struct rb_timer *retry; /* started while the database does not answer */
    bool troubled;          /* and it was logged */
};

/*
 * Prepare for reading; and give back what that holds, queries on their way too.
 *
 * Loop:   loop thread.
 */
void live_read_init(struct rb_live *live, struct rb_loop *loop, const struct rb_common_options *options);

/*
 * Give back what reading holds. Queries on their way are forgotten.
 *
 * Loop:   loop thread.
 */
void live_read_done(struct rb_live *live);

/*
 * Read a video at the end of this turn; once, however often it is wanted.
 *
 * Loop:   loop thread.
 */
void live_want(struct rb_live *live, struct rb_live_video *video);

/*
 * Tell all who look at a video, or those who have not been told of it yet.
 *
 * Takes:  news, index and first are filled in.
 * Loop:   loop thread. The video may be gone afterwards.
 */
void live_tell(struct rb_live *live, struct rb_live_video *video, struct rb_live_news *news,
               bool (*is_for)(const struct rb_live_link *link, const void *what), const void *what);

/*
 * Have there been numbers lately of how much of it is stored?
 *
 * Loop:   loop thread.
 */
bool live_has_progress(const struct rb_live_video *video);
