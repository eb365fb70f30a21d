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

#define PG_NAMES_MAX  16 /* statements with a name; more go without one */
#define PG_NAME_BYTES 32

struct rb_pg_query {
    rb_pg_fn fn; /* NULL after cancel */
    void *arg;
    int64_t sent_ms;
    bool answered;             /* its result came; what is missing is the end of its pipeline segment */
    bool refused;              /* its name is unknown: it is sent again, without one */
    const char *prepares;      /* NULL, or the statement that it gives a name to */
    struct rb_pg_again *again; /* NULL when it was sent without a name; owned */
    struct rb_pg_query *next;
};

/* What it takes to send a statement again. */
struct rb_pg_again {
    const char *sql; /* borrowed */
    int count;
    const char *values[]; /* their text stands behind them */
};

/* A statement that the server has a name for. */
struct rb_pg_name {
    const char *sql; /* borrowed: it is known by its place */
    char text[PG_NAME_BYTES];
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
    int64_t answered_ms;                   /* when something has come last */
    struct rb_pg_name names[PG_NAMES_MAX]; /* of this connection */
    size_t name_count;
    bool nameless; /* names are not kept */
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
 * Libpq has taken a query, with its sync: wait for its answer.
 *
 * Takes:  query, owned from now on.
 * Loop:   as above, but calls nobody.
 */
void rb_pg_enter(struct rb_pg *pg, struct rb_pg_query *query);

/*
 * Send a query as it is, without a name.
 *
 * Gives:  false when libpq does not take it.
 * Loop:   as above, but calls nobody.
 */
bool rb_pg_send_plain(struct rb_pg *pg, const char *sql, int count, const char *const *values);

/*
 * Send a query that has what it takes, by its name if possible.
 *
 * Gives:  false when libpq does not take it.
 * Loop:   as above, but calls nobody.
 */
bool rb_pg_send_named(struct rb_pg *pg, const struct rb_pg_query *query);

/*
 * The answer to what gives a statement a name.
 *
 * Loop:   as above, but calls nobody.
 */
void rb_pg_note_prepared(struct rb_pg *pg, const struct rb_pg_query *query, const PGresult *result);

/*
 * Was a query not carried out because its name, or its plan, is none any more?
 *
 * Loop:   as above, but calls nobody.
 */
bool rb_pg_lacks_name(struct rb_pg *pg, const struct rb_pg_query *query, const PGresult *result);

/*
 * Copy what it takes to send a statement again.
 *
 * Gives:  owned by the caller; free() it.
 * Loop:   as above, but calls nobody.
 */
struct rb_pg_again *rb_pg_again_new(const char *sql, int count, const char *const *values);

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
