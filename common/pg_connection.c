/*
 * pg_connection.c — a connection to Postgres: made, lost, and made again.
 *
 * Way:  common
 */
#include <openssl/crypto.h>

#include "common/log.h"
#include "common/pg_inside.h"
#include "common/random.h"

static void pg_close(struct rb_pg *pg)
{
    rb_watch_free(pg->watch);
    pg->watch = NULL;
    pg->watched_fd = -1;
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->state = PG_DOWN;
    pg->name_count = 0;
    pg->nameless = false;
    rb_task_done(&pg->flush);
}

/* The connection is no good any more: tell all who wait, and try again later. */
static void pg_lose(struct rb_pg *pg, const struct rb_error *err)
{
    int64_t retry_ms = rb_backoff_next_ms(&pg->backoff, rb_random());
    bool was_up = pg->state == PG_UP;

    rb_log_error(NULL, RB_EV_DB_DOWN, err, "retry_ms=%lld", (long long)retry_ms);
    pg_close(pg);
    rb_timer_start(pg->timer, retry_ms);
    rb_pg_fail_all(pg, err);
    if (was_up && pg->on_change != NULL)
        pg->on_change(false, pg->arg);
}

void rb_pg_lose_by_libpq(struct rb_pg *pg, const char *what)
{
    struct rb_error err = {0};
    const char *text = PQerrorMessage(pg->conn);

    rb_fail(&err, RB_E_DB_AWAY, 0, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
    pg_lose(pg, &err);
}

static void on_ready(int status, int events, void *arg);

/* libpq may change its socket while it connects, from one address to the next. */
void rb_pg_watch(struct rb_pg *pg, int events)
{
    int fd = PQsocket(pg->conn);

    if (pg->watch == NULL || fd != pg->watched_fd || pg->state == PG_CONNECTING) {
        rb_watch_free(pg->watch);
        pg->watch = rb_watch_new(pg->loop, fd, on_ready, pg);
        pg->watched_fd = fd;
    }
    rb_watch_events(pg->watch, events);
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
    rb_pg_watch(pg, UV_READABLE);
    rb_log(NULL, RB_EV_DB_UP, "host=%s", PQhost(pg->conn));
    if (pg->on_change != NULL)
        pg->on_change(true, pg->arg);
}

static void pg_step_connect(struct rb_pg *pg)
{
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        rb_pg_watch(pg, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        rb_pg_watch(pg, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        pg_connected(pg);
        break;
    default:
        rb_pg_lose_by_libpq(pg, "cannot connect to Postgres");
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
        rb_pg_serve(pg);
}

static void pg_connect(struct rb_pg *pg)
{
    const char *const keywords[] = {"dbname", "fallback_application_name", "client_encoding", NULL};
    const char *const values[] = {pg->url, pg->application_name, "UTF8", NULL};

    pg->moves++;
    pg->conn = PQconnectStartParams(keywords, values, 1);
    if (pg->conn == NULL)
        RB_BUG("out of memory");
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        rb_pg_lose_by_libpq(pg, "cannot connect to Postgres");
        return;
    }
    pg->state = PG_CONNECTING;
    rb_timer_start(pg->timer, pg->connect_timeout_ms);
    rb_pg_watch(pg, UV_WRITABLE);
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

/* Answers come or the connection is given up; without one, tries go on. */
static int64_t moves(void *arg)
{
    const struct rb_pg *pg = RB_CAST(rb_pg, arg, PG_MAGIC);

    return pg->state != PG_UP || pg->first != NULL ? pg->moves : RB_FRONT_IDLE;
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
    rb_task_init(&pg->flush, loop, rb_pg_flush_task, pg);
    pg->front = (struct rb_front){
        .name = "database",
        .more_ms = RB_MAX(pg->connect_timeout_ms, pg->query_timeout_ms) + pg->backoff.max_ms,
        .progress = moves,
        .arg = pg,
    };
    rb_front_enter(loop, &pg->front);
    pg_connect(pg);
    return pg;
}

void rb_pg_free(struct rb_pg *pg)
{
    if (pg == NULL)
        return;
    struct rb_error err = {0};

    rb_front_leave(&pg->front);
    if (pg->conn != NULL)
        pg_close(pg);
    rb_fail(&err, RB_E_DB_AWAY, 0, "the program stops");
    rb_pg_fail_all(pg, &err);
    rb_timer_free(pg->timer);
    OPENSSL_cleanse(pg->url, strlen(pg->url));
    free(pg->url);
    free(pg->application_name);
    pg->magic = 0;
    free(pg);
}
