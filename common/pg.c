/*
 * pg.c — libpq on the loop, in pipeline mode.
 *
 * Way:  common
 */
#include "common/pg.h"

#include <openssl/crypto.h>

#include "common/backoff.h"
#include "common/errmap.h"
#include "common/log.h"
#include "common/random.h"

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
};

static void pg_connect(struct rb_pg *pg);
static void pg_watch(struct rb_pg *pg, int events);

static int64_t now_ms(struct rb_pg *pg)
{
    return (int64_t)uv_now(rb_loop_uv(pg->loop));
}

static struct rb_pg_query *pg_pop(struct rb_pg *pg)
{
    struct rb_pg_query *query = pg->first;

    pg->first = query->next;
    if (pg->first == NULL)
        pg->last = NULL;
    return query;
}

static void pg_close(struct rb_pg *pg)
{
    rb_watch_free(pg->watch);
    pg->watch = NULL;
    pg->watched_fd = -1;
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->state = PG_DOWN;
    rb_task_done(&pg->flush);
}

/* Tell all who wait. What they may send anew meets a closed door. */
static void pg_fail_all(struct rb_pg *pg, const struct rb_error *err)
{
    struct rb_pg_query *query = pg->first;

    pg->first = pg->last = NULL;
    while (query != NULL) {
        struct rb_pg_query *next = query->next;

        if (query->fn != NULL && !query->answered)
            query->fn(NULL, err, query->arg);
        free(query);
        query = next;
    }
}

/* The connection is no good any more: tell all who wait, and try again later. */
static void pg_lose(struct rb_pg *pg, const struct rb_error *err)
{
    int64_t retry_ms = rb_backoff_next_ms(&pg->backoff, rb_random());
    bool was_up = pg->state == PG_UP;

    rb_log_error(NULL, RB_EV_DB_DOWN, err, "retry_ms=%lld", (long long)retry_ms);
    pg_close(pg);
    rb_timer_start(pg->timer, retry_ms);
    pg_fail_all(pg, err);
    if (was_up && pg->on_change != NULL)
        pg->on_change(false, pg->arg);
}

static void pg_lose_by_libpq(struct rb_pg *pg, const char *what)
{
    struct rb_error err = {0};
    const char *text = PQerrorMessage(pg->conn);

    rb_fail(&err, RB_E_DB_AWAY, 0, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
    pg_lose(pg, &err);
}

/* The timer stands for the deadline of the oldest query; none waits, none runs. */
static void pg_arm_deadline(struct rb_pg *pg)
{
    if (pg->state != PG_UP)
        return;
    if (pg->first == NULL)
        rb_timer_stop(pg->timer);
    else
        rb_timer_start(pg->timer, pg->first->sent_ms + pg->query_timeout_ms - now_ms(pg));
}

static void pg_answer(struct rb_pg_query *query, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    struct rb_error err = {0};

    query->answered = true;
    if (query->fn == NULL)
        return;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        query->fn(result, NULL, query->arg);
        return;
    }

    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    rb_fail(&err, rb_errmap_sqlstate(state), 0, "the database answers %s: %s",
            state != NULL ? state : "without a state", text != NULL ? text : PQresultErrorMessage(result));
    query->fn(NULL, &err, query->arg);
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
        if (result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            free(pg_pop(pg));
        else if (result != NULL)
            pg_answer(pg->first, result);
        PQclear(result);
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
        pg_lose_by_libpq(pg, "cannot send to Postgres");
    else
        pg_watch(pg, UV_READABLE | (left > 0 ? UV_WRITABLE : 0));
}

static void flush_task(void *arg)
{
    struct rb_pg *pg = RB_CAST(rb_pg, arg, PG_MAGIC);

    if (pg->state == PG_UP)
        pg_flush(pg);
}

static void pg_serve(struct rb_pg *pg)
{
    if (PQconsumeInput(pg->conn) == 0) {
        pg_lose_by_libpq(pg, "lost Postgres");
        return;
    }
    pg_take_results(pg);
    if (pg->state != PG_UP)
        return;
    pg_take_notifications(pg);
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        pg_lose_by_libpq(pg, "lost Postgres");
        return;
    }
    pg_arm_deadline(pg);
    pg_flush(pg);
}

static void pg_connected(struct rb_pg *pg)
{
    struct rb_error err = {0};

    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        rb_fail(&err, RB_E_DB_AWAY, 0, "libpq cannot enter pipeline mode");
        pg_lose(pg, &err);
        return;
    }
    pg->state = PG_UP;
    rb_backoff_reset(&pg->backoff);
    rb_timer_stop(pg->timer);
    pg_watch(pg, UV_READABLE);
    rb_log(NULL, RB_EV_DB_UP, "host=%s", PQhost(pg->conn));
    if (pg->on_change != NULL)
        pg->on_change(true, pg->arg);
}

static void pg_step_connect(struct rb_pg *pg)
{
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        pg_watch(pg, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        pg_watch(pg, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        pg_connected(pg);
        break;
    default:
        pg_lose_by_libpq(pg, "cannot connect to Postgres");
        break;
    }
}

static void on_ready(int status, int events, void *arg)
{
    struct rb_pg *pg = RB_CAST(rb_pg, arg, PG_MAGIC);

    (void)status; /* libpq finds out itself what is wrong with its socket */
    (void)events;
    if (pg->state == PG_CONNECTING)
        pg_step_connect(pg);
    else if (pg->state == PG_UP)
        pg_serve(pg);
}

/* libpq may change its socket while it connects, from one address to the next. */
static void pg_watch(struct rb_pg *pg, int events)
{
    int fd = PQsocket(pg->conn);

    if (pg->watch == NULL || fd != pg->watched_fd || pg->state == PG_CONNECTING) {
        rb_watch_free(pg->watch);
        pg->watch = rb_watch_new(pg->loop, fd, on_ready, pg);
        pg->watched_fd = fd;
    }
    rb_watch_events(pg->watch, events);
}

static void pg_connect(struct rb_pg *pg)
{
    const char *const keywords[] = {"dbname", "fallback_application_name", "client_encoding", NULL};
    const char *const values[] = {pg->url, pg->application_name, "UTF8", NULL};

    pg->conn = PQconnectStartParams(keywords, values, 1);
    if (pg->conn == NULL)
        RB_BUG("out of memory");
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        pg_lose_by_libpq(pg, "cannot connect to Postgres");
        return;
    }
    pg->state = PG_CONNECTING;
    rb_timer_start(pg->timer, pg->connect_timeout_ms);
    pg_watch(pg, UV_WRITABLE);
}

static void on_timer(void *arg)
{
    struct rb_pg *pg = RB_CAST(rb_pg, arg, PG_MAGIC);
    struct rb_error err = {0};

    switch (pg->state) {
    case PG_DOWN:
        pg_connect(pg);
        return;
    case PG_CONNECTING:
        rb_fail(&err, RB_E_DB_AWAY, 0, "no connection to Postgres within %lld ms", (long long)pg->connect_timeout_ms);
        pg_lose(pg, &err);
        return;
    case PG_UP:
        rb_fail(&err, RB_E_DB_AWAY, 0, "no answer from Postgres within %lld ms", (long long)pg->query_timeout_ms);
        pg_lose(pg, &err);
        return;
    }
}

struct rb_pg_config rb_pg_config_of(const struct rb_common_options *options, const char *application_name)
{
    return (struct rb_pg_config){
        .url = options->database_url,
        .application_name = application_name,
        .connect_timeout_ms = options->db_connect_timeout_ms,
        .query_timeout_ms = options->db_timeout_ms,
    };
}

struct rb_pg *rb_pg_new(struct rb_loop *loop, const struct rb_pg_config *config)
{
    struct rb_pg *pg = rb_xalloc(sizeof(*pg));

    *pg = (struct rb_pg){
        .magic = PG_MAGIC,
        .loop = loop,
        .url = rb_xstrdup(config->url),
        .application_name = rb_xstrdup(config->application_name),
        .connect_timeout_ms = config->connect_timeout_ms,
        .query_timeout_ms = config->query_timeout_ms,
        .on_notify = config->on_notify,
        .on_change = config->on_change,
        .arg = config->arg,
        .watched_fd = -1,
        .backoff = {.first_ms = 100, .max_ms = 5000},
    };
    pg->timer = rb_timer_new(loop, on_timer, pg);
    rb_task_init(&pg->flush, loop, flush_task, pg);
    pg_connect(pg);
    return pg;
}

void rb_pg_free(struct rb_pg *pg)
{
    if (pg == NULL)
        return;
    struct rb_error err = {0};

    if (pg->conn != NULL)
        pg_close(pg);
    rb_fail(&err, RB_E_DB_AWAY, 0, "the program stops");
    pg_fail_all(pg, &err);
    rb_timer_free(pg->timer);
    OPENSSL_cleanse(pg->url, strlen(pg->url));
    free(pg->url);
    free(pg->application_name);
    pg->magic = 0;
    free(pg);
}

bool rb_pg_is_up(const struct rb_pg *pg)
{
    return pg->state == PG_UP;
}

int rb_pg_send(struct rb_pg *pg, const char *sql, int count, const char *const *values, rb_pg_fn fn, void *arg,
               struct rb_pg_query **ret_query, struct rb_error *err)
{
    if (pg->state != PG_UP)
        return rb_fail(err, RB_E_DB_AWAY, 0, "there is no connection to Postgres");
    if (PQsendQueryParams(pg->conn, sql, count, NULL, values, NULL, NULL, 0) == 0 || PQpipelineSync(pg->conn) == 0)
        return rb_fail(err, RB_E_DB_AWAY, 0, "libpq does not take the query: %.120s", PQerrorMessage(pg->conn));

    struct rb_pg_query *query = rb_xalloc(sizeof(*query));

    *query = (struct rb_pg_query){.fn = fn, .arg = arg, .sent_ms = now_ms(pg)};
    if (pg->last != NULL)
        pg->last->next = query;
    else
        pg->first = query;
    pg->last = query;
    if (query == pg->first)
        pg_arm_deadline(pg);
    rb_task_queue(&pg->flush);
    if (ret_query != NULL)
        *ret_query = query;
    return 0;
}

void rb_pg_cancel(struct rb_pg_query *query)
{
    if (query != NULL)
        query->fn = NULL;
}

const char *rb_pg_text(const PGresult *result, int row, const char *column)
{
    return rb_pg_text_at(result, row, PQfnumber(result, column));
}

const char *rb_pg_text_at(const PGresult *result, int row, int column)
{
    RB_ASSERT(column >= 0 && column < PQnfields(result) && row < PQntuples(result));
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t rb_pg_number(const PGresult *result, int row, const char *column, int64_t fallback)
{
    const char *text = rb_pg_text(result, row, column);

    return text != NULL ? strtoll(text, NULL, 10) : fallback;
}

bool rb_pg_is_true(const PGresult *result, int row, const char *column)
{
    const char *text = rb_pg_text(result, row, column);

    return text != NULL && strcmp(text, "t") == 0;
}
