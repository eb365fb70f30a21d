/*
 * pg_inside.h — what the files pg*.c share and nobody else sees.
 *
 * Way:  common
 */
#pragma once

#include "common/backoff.h"
#include "common/pg.h"
#include "common/watchdog.h"

#define PG_MAGIC 0x50474442u

enum pg_state { PG_DOWN, PG_CONNECTING, PG_UP };

struct rb_pg_query {
    rb_pg_fn fn; /* NULL after cancel */
    void *arg;
    int64_t sent_ms;
    bool answered; /* its result came; what is missing is the end of its pipeline segment */
    struct rb_pg_query *next;
};

struct rb_pg {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    char *url;            /* owned; a secret */
    char *application_name;
    int64_t connect_timeout_ms;
    int64_t query_timeout_ms;
    rb_pg_notify_fn on_notify; /* NULL for none, as on_change */
    rb_pg_change_fn on_change;
    void *arg; /* borrowed */
    enum pg_state state;
    PGconn *conn;
    struct rb_watch *watch;
    int watched_fd;
    struct rb_timer *timer; /* when down: the next try; connecting: its deadline; up: the oldest query's deadline */
    struct rb_task flush;   /* what was sent in this turn leaves together */
    struct rb_backoff backoff;
    struct rb_pg_query *first; /* sent and not answered, oldest first */
    struct rb_pg_query *last;
    struct rb_front front;
    int64_t moves; /* answers, and tries to connect */
};

/*
 * Tell all who wait. What they may send anew meets a closed door.
 *
 * Loop:   loop thread, as all below; calls back before it returns.
 */
void rb_pg_fail_all(struct rb_pg *pg, const struct rb_error *err);

/*
 * The connection has something to read, or room to write.
 *
 * Loop:   as above; calls back before it returns.
 */
void rb_pg_serve(struct rb_pg *pg);

/*
 * Send what was asked in this turn.
 *
 * Takes:  arg, a struct rb_pg.
 * Loop:   as above.
 */
void rb_pg_flush_task(void *arg);

/*
 * The connection is no good any more, as libpq has found out: tell all who wait, and try again later.
 *
 * Takes:  what, the beginning of a sentence.
 * Loop:   as above; calls back before it returns.
 */
void rb_pg_lose_by_libpq(struct rb_pg *pg, const char *what);

/*
 * Wait for events of the connection's socket.
 *
 * Loop:   as above.
 */
void rb_pg_watch(struct rb_pg *pg, int events);
