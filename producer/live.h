/*
 * live.h — tells whoever looks at a video what it is now, and whatever it becomes.
 *
 * Way:  Postgres -> listen -> [live] -> state, feed
 *
 * Postgres says which videos have changed (listen.h); all that changed in one turn of the loop, and all that somebody
 * new looks at, are read with one query. When Postgres does not say so, all videos that are looked at are read every few
 * seconds; and now and then in any case, because the application may change its rows without a word.
 */
#pragma once

#include "common/json.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "common/random.h"
#include "common/tables.h"

#define RB_LIVE_IDS_MAX 100 /* videos of one watch */

struct rb_live;
struct rb_live_watch; /* somebody looks at some videos */

enum rb_live_what {
    RB_LIVE_STATE,    /* the row: the first time for this watch, or it has changed */
    RB_LIVE_PROGRESS, /* more bytes of it are stored */
    RB_LIVE_UNKNOWN,  /* the application has no such video */
    RB_LIVE_AWAY,     /* the database cannot be asked now; what is missing comes when it can */
};

struct rb_live_news {
    enum rb_live_what what;
    size_t index;                               /* which of the watch's videos */
    const char *id;                             /* borrowed for the call, as is all else */
    bool first;                                 /* the first STATE or UNKNOWN of this video in this watch */
    int64_t version;                            /* of STATE: grows with each change; 0 while reelbus has no row */
    const json_t *view;                         /* of STATE, as view.h has it */
    const char *text;                           /* of STATE and PROGRESS, as JSON: made once for all who look */
    int64_t stored_bytes, total_bytes, percent; /* of PROGRESS; negative when not known */
};

/*
 * Never called before rb_live_look returns. It may end its own watch, and no other.
 */
typedef void (*rb_live_fn)(const struct rb_live_news *news, void *arg);

struct rb_live_config {
    struct rb_pg *pg;       /* borrowed for as long as it lives, as are the metrics */
    const char *listen_url; /* of a session connection; this and the options borrowed for the call */
    const struct rb_common_options *options;
    struct rb_metrics *metrics;
    size_t looks_max; /* videos that are looked at, summed over all watches */
};

/*
 * Make one.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  owned by the caller; rb_live_free it.
 * Loop:   loop thread.
 */
struct rb_live *rb_live_new(struct rb_loop *loop, const struct rb_live_config *config);

/*
 * Stop listening and reading: nobody is told anything any more. Watches stay and must be ended. Before the database goes.
 *
 * Loop:   loop thread, not from a rb_live_fn.
 */
void rb_live_stop(struct rb_live *live);

/*
 * Stop it and free it, when all watches have ended. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_live_free(struct rb_live *live);

/*
 * Look at videos: the present state of each comes soon, read after this call, and then each change.
 *
 * Takes:  ids, in lower case, different ones, at most RB_LIVE_IDS_MAX; copied.
 * Gives:  owned by the caller; rb_live_end it. NULL when too many videos are looked at already.
 * Loop:   loop thread.
 */
struct rb_live_watch *rb_live_look(struct rb_live *live, char (*ids)[RB_UUID_TEXT_BYTES], size_t count, rb_live_fn fn,
                                   void *arg);

/*
 * Look no more. NULL is fine.
 *
 * Loop:   loop thread; also from the watch's own rb_live_fn.
 */
void rb_live_end(struct rb_live_watch *watch);
