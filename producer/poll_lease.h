/*
 * poll_lease.h — which videos are due, shared with the other producers through the database.
 *
 * Way:  poll_sources -> [poll_lease] -> poll_ask -> adapter -> poll_plan -> publish
 *
 * A lease is one statement that skips what others hold: it takes videos that are due, moves their next poll one interval
 * on, and keeps others away until this poll has ended or its time is over. So however many producers there are, each
 * video is asked for once in an interval.
 */
#pragma once

#include "common/kafka_producer.h"
#include "common/pg.h"
#include "common/tables.h"
#include "producer/poll_plan.h"

struct rb_poll_lease;

/*
 * Called once with the videos of a lease.
 *
 * Takes:  rows, taken over by the callee: rb_poll_row_done each; err, NULL when the database has answered.
 */
typedef void (*rb_poll_lease_fn)(struct rb_poll_row *rows, size_t count, const struct rb_error *err, void *arg);

/* Called once with a number of videos; err, NULL when the database has answered. */
typedef void (*rb_poll_count_fn)(int64_t count, const struct rb_error *err, void *arg);

enum rb_missing { RB_MISSING_AS_IS, RB_MISSING_NO, RB_MISSING_YES };

/* What a poll leaves behind in its row. */
struct rb_poll_settlement {
    const char *video_id;
    int64_t lease;
    const char *status; /* as published; NULL when nothing was */
    int64_t progress;   /* as published; RB_NO_LONG when it is not known */
    enum rb_missing missing;
    const char *said;         /* with status: what the provider said, in words for people */
    struct rb_delivery place; /* with status: where it was published */
    bool announced;           /* an end was published */
    int64_t next_ms;          /* the next poll after so long; RB_NO_LONG leaves it where the lease has put it */
};

/*
 * Make one.
 *
 * Takes:  pg and topic, that results are published to, borrowed for as long as it lives; options and policy, borrowed for
 *         the call.
 * Gives:  owned by the caller; rb_poll_lease_free it.
 * Loop:   loop thread.
 */
struct rb_poll_lease *rb_poll_lease_new(struct rb_loop *loop, struct rb_pg *pg, const struct rb_common_options *options,
                                        const struct rb_poll_policy *policy, const char *topic);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread; after rb_pg_free.
 */
void rb_poll_lease_free(struct rb_poll_lease *lease);

/*
 * How many statements that write settlements are still to be answered.
 *
 * Loop:   loop thread.
 */
size_t rb_poll_lease_pending(const struct rb_poll_lease *lease);

/*
 * Take videos of one provider that are due, the longest due first.
 *
 * Takes:  provider, borrowed for the call; lease_ms, until when nobody else may have them.
 * Fails:  DB_AWAY at once when there is no connection; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_poll_lease_take(struct rb_poll_lease *lease, const struct rb_provider *provider, int64_t count,
                                     int64_t lease_ms, rb_poll_lease_fn fn, void *arg, struct rb_error *err);

/*
 * A poll has ended: write what it leaves behind and give the video back, unless the lease was over before. All of one
 * turn go in one statement. With the database away nothing is written, and the lease ends by itself.
 *
 * Takes:  settlement, borrowed for the call.
 * Loop:   loop thread.
 */
void rb_poll_lease_settle(struct rb_poll_lease *lease, const struct rb_poll_settlement *settlement);

/* Which rows of the application's table are adopted. All borrowed for the call. */
struct rb_poll_adoption {
    const char *providers; /* names, as an array of SQL: "{openai,replicate}" */
    const char *statuses;  /* the same of what its column of the status says of a video that waits; "{}" for anything */
    int64_t age_ms;        /* rows older than this are left alone */
    int64_t count;
};

/*
 * Begin to wait for videos that the application's table has and nobody told us of: rows with a provider, its id of the
 * video and no URL.
 *
 * Takes:  fn gets how many there were.
 * Fails:  DB_AWAY at once when there is no connection; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_poll_lease_adopt(struct rb_poll_lease *lease, const struct rb_poll_adoption *adoption,
                                      rb_poll_count_fn fn, void *arg, struct rb_error *err);
