/*
 * pg.h — libpq on the loop: one connection in pipeline mode that comes back by itself.
 *
 * Way:  common
 *
 * Works behind a transaction pooler: each query is its own transaction, and there is no state of a session but the names of
 * statements, which can be done without.
 */
#pragma once

#include <libpq-fe.h>

#include "common/common_options.h"
#include "common/loop.h"

struct rb_pg;
struct rb_pg_query;

/* A notification has come on a channel that this connection listens to. Both borrowed for the call. */
typedef void (*rb_pg_notify_fn)(const char *channel, const char *payload, void *arg);

/* The connection takes queries from now on, or no more. It must not be freed in the call. */
typedef void (*rb_pg_change_fn)(bool up, void *arg);

struct rb_pg_config {
    const char *url; /* connection string or URI as libpq reads it; may hold a password */
    const char *application_name;
    int64_t connect_timeout_ms;
    int64_t query_timeout_ms;  /* from a query's turn to its answer; then the connection is given up */
    rb_pg_notify_fn on_notify; /* NULL when it does not listen; see producer/listen.h */
    rb_pg_change_fn on_change; /* NULL when nobody wants to know */
    void *arg;                 /* of both; borrowed */
};

/*
 * Called once with the answer of a query. The query handle is gone when this is called.
 *
 * Takes:  result, borrowed for the call, NULL with an error; err, NULL with a result. DB_AWAY: the connection was lost,
 *         the query may have been carried out or not. DB_REFUSED, DB_DATA: it was not carried out.
 */
typedef void (*rb_pg_fn)(const PGresult *result, const struct rb_error *err, void *arg);

/*
 * Is this the answer of a database that has no such table, or no such schema?
 *
 * Loop:   pure, any thread.
 */
bool rb_pg_is_no_table(const struct rb_error *err);

/*
 * What the options that both programs have say about it.
 *
 * Takes:  options, application_name, borrowed for as long as the result is used.
 * Loop:   pure, any thread.
 */
struct rb_pg_config rb_pg_config_of(const struct rb_common_options *options, const char *application_name);

/*
 * Begin to connect, and go on trying until rb_pg_free.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  owned by the caller; rb_pg_free it.
 * Loop:   loop thread. libpq resolves host names inside this call and inside reconnects.
 */
struct rb_pg *rb_pg_new(struct rb_loop *loop, const struct rb_pg_config *config);

/*
 * Close the connection. Queries that wait are answered with DB_AWAY before this returns. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_pg_free(struct rb_pg *pg);

/*
 * Is there a connection that takes queries?
 *
 * Loop:   loop thread.
 */
bool rb_pg_is_up(const struct rb_pg *pg);

/*
 * Send a query with text parameters. All queries of one turn of the loop leave together.
 *
 * Takes:  sql and values, borrowed for the call; a NULL value is SQL's NULL.
 * Gives:  ret_query, borrowed until fn is called, for rb_pg_cancel; may be NULL when nobody will cancel.
 * Fails:  DB_AWAY at once when there is no connection; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_pg_send(struct rb_pg *pg, const char *sql, int count, const char *const *values, rb_pg_fn fn,
                             void *arg, struct rb_pg_query **ret_query, struct rb_error *err);

/*
 * Send a statement that is sent again and again, as rb_pg_send does: it is parsed once, and planned anew only while that
 * makes a difference. Where a pooler stands between that knows no prepared statements, this is rb_pg_send.
 *
 * Takes:  as rb_pg_send; but sql stays what it is, and where it is, for as long as anything is sent by it.
 * Gives:  as rb_pg_send.
 * Fails:  as rb_pg_send.
 * Loop:   as rb_pg_send.
 */
RB_MUST_CHECK int rb_pg_send_often(struct rb_pg *pg, const char *sql, int count, const char *const *values, rb_pg_fn fn,
                                   void *arg, struct rb_pg_query **ret_query, struct rb_error *err);

/*
 * Forget a query: fn will not be called. The server may carry it out all the same.
 *
 * Loop:   loop thread.
 */
void rb_pg_cancel(struct rb_pg_query *query);

/*
 * A field of a result, or NULL when it is SQL's NULL.
 *
 * Gives:  borrowed from the result.
 * Loop:   loop thread.
 */
const char *rb_pg_text(const PGresult *result, int row, const char *column);

/*
 * The same by the column's place, for many rows: libpq finds a name by comparing all of them.
 *
 * Gives:  borrowed from the result.
 * Loop:   loop thread.
 */
const char *rb_pg_text_at(const PGresult *result, int row, int column);

/*
 * A numeric field of a result, or fallback when it is SQL's NULL.
 *
 * Loop:   loop thread.
 */
int64_t rb_pg_number(const PGresult *result, int row, const char *column, int64_t fallback);

/*
 * Is a field of type boolean true? SQL's NULL is not.
 *
 * Loop:   loop thread.
 */
bool rb_pg_is_true(const PGresult *result, int row, const char *column);
