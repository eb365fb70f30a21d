/*
 * pg.c — libpq on the loop, in pipeline mode: what is asked, and what is answered.
 *
 * Way:  common
 */
#include "common/errmap.h"
#include "common/pg_inside.h"
#include "common/url.h"

#define ANSWERS "the database answers "

static int64_t now_ms(struct rb_pg *pg)
{
    return (int64_t)uv_now(rb_loop_uv(pg->loop));
}

static void query_free(struct rb_pg_query *query)
{
    free(query->again);
    free(query);
}

static struct rb_pg_query *pg_pop(struct rb_pg *pg)
{
    struct rb_pg_query *query = pg->first;

    pg->first = query->next;
    if (pg->first == NULL)
        pg->last = NULL;
    return query;
}

void rb_pg_fail_all(struct rb_pg *pg, const struct rb_error *err)
{
    struct rb_pg_query *query = pg->first;

    pg->first = pg->last = NULL;
    while (query != NULL) {
        struct rb_pg_query *next = query->next;

        if (query->fn != NULL && !query->answered)
            query->fn(NULL, err, query->arg);
        query_free(query);
        query = next;
    }
}

/*
 * The timer stands for the deadline of the oldest query; none waits, none runs. Postgres answers one after the other: until the one
 * before it is answered, a query waits for its turn, and not for Postgres.
 */
static void pg_arm_deadline(struct rb_pg *pg)
{
    if (pg->state != PG_UP)
        return;
    if (pg->first == NULL)
        rb_timer_stop(pg->timer);
    else
        rb_timer_start(pg->timer, RB_MAX(pg->first->sent_ms, pg->answered_ms) + pg->query_timeout_ms - now_ms(pg));
}

bool rb_pg_is_no_table(const struct rb_error *err)
{
    static const char *const texts[] = {ANSWERS "42P01", ANSWERS "3F000"};

    for (size_t i = 0; i < RB_COUNT(texts); i++)
        if (strncmp(err->message, texts[i], strlen(texts[i])) == 0)
            return true;
    return false;
}

static void pg_answer(struct rb_pg *pg, struct rb_pg_query *query, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    struct rb_error err = {0};

    if (query->prepares != NULL)
        rb_pg_note_prepared(pg, query, result);
    query->refused = rb_pg_lacks_name(pg, query, result);
    if (query->refused)
        return;
    query->answered = true;
    if (query->fn == NULL)
        return;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        query->fn(result, NULL, query->arg);
        return;
    }

    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    rb_fail(&err, rb_errmap_sqlstate(state), 0, ANSWERS "%s: %s", state != NULL ? state : "without a state",
            text != NULL ? text : PQresultErrorMessage(result));
    rb_url_hide(err.message);
    query->fn(NULL, &err, query->arg);
}

bool rb_pg_send_plain(struct rb_pg *pg, const char *sql, int count, const char *const *values)
{
    return PQsendQueryParams(pg->conn, sql, count, NULL, values, NULL, NULL, 0) != 0 && PQpipelineSync(pg->conn) != 0;
}

/* A query and its sync are through. */
static void pg_end_query(struct rb_pg *pg)
{
    struct rb_pg_query *query = pg_pop(pg);
    const struct rb_pg_again *again = query->again;

    if (!query->refused || query->fn == NULL) {
        query_free(query);
        return;
    }
    rb_pg_enter(pg, query);
    if (!rb_pg_send_plain(pg, again->sql, again->count, again->values))
        rb_pg_lose_by_libpq(pg, "cannot send to Postgres");
}

/*
 * Hand out what has come. Each query brings its result, a NULL that ends its results, and the sync that ends its
 * segment. A second NULL in a row means that libpq expects nothing while we do: no more comes in this turn.
 */
static void pg_take_results(struct rb_pg *pg)
{
    bool ended = false;

    while (pg->state == PG_UP && pg->first != NULL && PQisBusy(pg->conn) == 0) {
        PGresult *result = PQgetResult(pg->conn);

        if (result == NULL && ended)
            return;
        ended = result == NULL;
        pg->answered_ms = now_ms(pg);
        if (result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            pg_end_query(pg);
        else if (result != NULL)
            pg_answer(pg, pg->first, result);
        PQclear(result);
        pg->moves++;
    }
}

/* Notifications come between answers, and when nothing was asked. */
static void pg_take_notifications(struct rb_pg *pg)
{
    PGnotify *notify;

    while (pg->on_notify != NULL && (notify = PQnotifies(pg->conn)) != NULL) {
        pg->on_notify(notify->relname, notify->extra, pg->arg);
        PQfreemem(notify);
    }
}

static void pg_flush(struct rb_pg *pg)
{
    int left = PQflush(pg->conn);

    if (left < 0)
        rb_pg_lose_by_libpq(pg, "cannot send to Postgres");
    else
        rb_pg_watch(pg, UV_READABLE | (left > 0 ? UV_WRITABLE : 0));
}

void rb_pg_flush_task(void *arg)
{
    struct rb_pg *pg = RB_CAST(rb_pg, arg, PG_MAGIC);

    if (pg->state == PG_UP)
        pg_flush(pg);
}

void rb_pg_serve(struct rb_pg *pg)
{
    if (PQconsumeInput(pg->conn) == 0) {
        rb_pg_lose_by_libpq(pg, "lost Postgres");
        return;
    }
    pg_take_results(pg);
    if (pg->state != PG_UP)
        return;
    pg_take_notifications(pg);
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        rb_pg_lose_by_libpq(pg, "lost Postgres");
        return;
    }
    pg_arm_deadline(pg);
    pg_flush(pg);
}

bool rb_pg_is_up(const struct rb_pg *pg)
{
    return pg->state == PG_UP;
}

void rb_pg_enter(struct rb_pg *pg, struct rb_pg_query *query)
{
    query->next = NULL;
    query->sent_ms = now_ms(pg);
    if (pg->last != NULL)
        pg->last->next = query;
    else
        pg->first = query;
    pg->last = query;
    if (query == pg->first)
        pg_arm_deadline(pg);
    rb_task_queue(&pg->flush);
}

static int pg_no_connection(struct rb_error *err)
{
    return rb_fail(err, RB_E_DB_AWAY, 0, "there is no connection to Postgres");
}

static int pg_not_taken(struct rb_pg *pg, struct rb_error *err)
{
    return rb_fail(err, RB_E_DB_AWAY, 0, "libpq does not take the query: %.120s", PQerrorMessage(pg->conn));
}

static struct rb_pg_query *query_new(rb_pg_fn fn, void *arg)
{
    struct rb_pg_query *query = rb_xalloc(sizeof(*query));

    *query = (struct rb_pg_query){.fn = fn, .arg = arg};
    return query;
}

/* Takes the query, sent or not. */
static int pg_expect(struct rb_pg *pg, struct rb_pg_query *query, bool sent, struct rb_pg_query **ret_query,
                     struct rb_error *err)
{
    if (!sent) {
        query_free(query);
        return pg_not_taken(pg, err);
    }
    rb_pg_enter(pg, query);
    if (ret_query != NULL)
        *ret_query = query;
    return 0;
}

int rb_pg_send(struct rb_pg *pg, const char *sql, int count, const char *const *values, rb_pg_fn fn, void *arg,
               struct rb_pg_query **ret_query, struct rb_error *err)
{
    if (pg->state != PG_UP)
        return pg_no_connection(err);
    return pg_expect(pg, query_new(fn, arg), rb_pg_send_plain(pg, sql, count, values), ret_query, err);
}

int rb_pg_send_often(struct rb_pg *pg, const char *sql, int count, const char *const *values, rb_pg_fn fn, void *arg,
                     struct rb_pg_query **ret_query, struct rb_error *err)
{
    if (pg->state != PG_UP)
        return pg_no_connection(err);

    struct rb_pg_query *query = query_new(fn, arg);

    query->again = rb_pg_again_new(sql, count, values);
    return pg_expect(pg, query, rb_pg_send_named(pg, query), ret_query, err);
}

void rb_pg_cancel(struct rb_pg_query *query)
{
    if (query != NULL)
        query->fn = NULL;
}
