/*
 * setup_sql.c — what setup does in the database.
 *
 * Way:  consumer setup
 */
#include "consumer/setup_sql.h"

#include <inttypes.h>
#include <poll.h>
#include <uv.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/embed.h"
#include "common/errmap.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/random.h"
#include "common/url.h"
#include "consumer/say.h"

#define TRIES         5
#define STATEMENT_MS  "600000" /* the first count of a large table takes its time */
#define ANSWER_MS     1800000  /* of a whole file */
#define LOOK_MS       2000
#define PAUSE_MAX_MS  5000
#define VERSION_BYTES 17

RB_EMBED(sql_001, "deploy/sql/001_reelbus.sql");
RB_EMBED(sql_002, "deploy/sql/002_providers.sql");
RB_EMBED(sql_003, "deploy/sql/003_poll.sql");
RB_EMBED(sql_004, "deploy/sql/004_history.sql");
RB_EMBED(sql_005, "deploy/sql/005_retry.sql");
RB_EMBED(sql_006, "deploy/sql/006_usage.sql");
RB_EMBED(sql_007, "deploy/sql/007_variants.sql");
RB_EMBED(sql_008, "deploy/sql/008_cleanup.sql");
RB_EMBED(sql_009, "deploy/sql/009_superseded.sql");
RB_EMBED(sql_010, "deploy/sql/010_replay.sql");
RB_EMBED(sql_011, "deploy/sql/011_retention.sql");
RB_EMBED(sql_012, "deploy/sql/012_pause.sql");
RB_EMBED(sql_013, "deploy/sql/013_redrive.sql");
RB_EMBED(sql_014, "deploy/sql/014_quota.sql");
RB_EMBED(sql_supabase_002, "deploy/sql/supabase/002_users_watch_their_own.sql");
RB_EMBED(sql_supabase_003, "deploy/sql/supabase/003_writer_role.sql");

struct file {
    const char *name;
    const char *sql;
};

static const struct file table_files[] = {
    {"001_reelbus.sql", sql_001},  {"002_providers.sql", sql_002}, {"003_poll.sql", sql_003},
    {"004_history.sql", sql_004},  {"005_retry.sql", sql_005},     {"006_usage.sql", sql_006},
    {"007_variants.sql", sql_007}, {"008_cleanup.sql", sql_008},   {"009_superseded.sql", sql_009},
    {"010_replay.sql", sql_010},   {"011_retention.sql", sql_011}, {"012_pause.sql", sql_012},
    {"013_redrive.sql", sql_013},  {"014_quota.sql", sql_014},
};

/* The bucket itself is the store's matter: it knows whether it may be made, and for which types. */
static const struct file policy_files[] = {
    {"supabase/002_users_watch_their_own.sql", sql_supabase_002},
    {"supabase/003_writer_role.sql", sql_supabase_003},
};

struct session {
    const struct consumer_options *options; /* borrowed */
    PGconn *conn;
    PGconn *watcher; /* looks whom we wait for; NULL until that is asked for the first time */
    char pid[16];    /* of the process of Postgres that works for conn */
    char state[6];   /* SQLSTATE of the last error */
    char holder[160];
};

PGconn *rb_setup_sql_connect(const struct consumer_options *options)
{
    const char *const keywords[] = {
        "connect_timeout", "keepalives_idle",           "keepalives_interval", "tcp_user_timeout",
        "dbname",          "fallback_application_name", "client_encoding",     NULL};
    const char *const values[] = {"10",   "30", "10", "60000", options->common.database_url, "reelbus-consumer setup",
                                  "UTF8", NULL};

    return PQconnectdbParams(keywords, values, 1);
}

static int session_open(struct session *session, const struct consumer_options *options, struct rb_error *err)
{
    *session = (struct session){.options = options, .conn = rb_setup_sql_connect(options)};
    if (PQstatus(session->conn) == CONNECTION_OK)
        return 0;
    return rb_fail(err, RB_E_DB_AWAY, 0, "cannot connect to Postgres: %.*s",
                   (int)strcspn(PQerrorMessage(session->conn), "\n"), PQerrorMessage(session->conn));
}

static void session_close(struct session *session)
{
    PQfinish(session->watcher);
    PQfinish(session->conn);
}

/* -- one question -------------------------------------------------------------------------------------------------- */

/* No row when nobody blocks us. Whoever may not see what others do still sees who they are. */
static const char who_sql[] =
    "SELECT format('%s is locked by %s',"
    " coalesce((SELECT l.relation::regclass::text FROM pg_locks l WHERE l.pid = $1::int AND NOT l.granted LIMIT 1), 'setup'),"
    " string_agg(concat_ws(' ', 'process ' || a.pid, 'of ' || a.usename, '(' || nullif(left(a.application_name, 30), '') || ')',"
    " a.state, 'for ' || round(extract(epoch FROM clock_timestamp() - a.xact_start)) || ' s'), ', '))"
    " FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids($1::int)) HAVING count(*) > 0";

static bool answers_within(PGconn *conn, int64_t wait_ms)
{
    int64_t until_ms = rb_clock_ms() + wait_ms;

    while (PQisBusy(conn) != 0) {
        struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
        int64_t left_ms = until_ms - rb_clock_ms();

        if (left_ms <= 0 || (poll(&fd, 1, (int)left_ms) > 0 && PQconsumeInput(conn) == 0))
            return false;
    }
    return true;
}

/* A pooler may have no second connection for us: then nobody is named. */
static void look_who_holds_us_up(struct session *session)
{
    const char *values[] = {session->pid};
    PGresult *result;

    if (session->watcher == NULL)
        session->watcher = rb_setup_sql_connect(session->options);
    if (PQsendQueryParams(session->watcher, who_sql, 1, NULL, values, NULL, NULL, 0) == 0 ||
        !answers_within(session->watcher, LOOK_MS))
        return;
    while ((result = PQgetResult(session->watcher)) != NULL) {
        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
            snprintf(session->holder, sizeof(session->holder), "%s", PQgetvalue(result, 0, 0));
        PQclear(result);
    }
}

/* Whenever it takes long, look why. */
static bool wait_for_answer(struct session *session)
{
    int64_t until_ms = rb_clock_ms() + ANSWER_MS;
    int64_t look_ms = RB_MAX(session->options->setup_lock_ms / 2, 1);

    while (!answers_within(session->conn, look_ms)) {
        if (PQstatus(session->conn) != CONNECTION_OK || rb_clock_ms() >= until_ms)
            return false;
        look_who_holds_us_up(session);
    }
    return true;
}

/*
 * Take the answer to what was sent. It may have several results, of which the last one says how it ended; NULL when none
 * has come.
 */
static PGresult *last_result(struct session *session, bool sent)
{
    PGresult *last = NULL, *next = NULL;

    while (sent && (sent = wait_for_answer(session)) && (next = PQgetResult(session->conn)) != NULL) {
        PQclear(last);
        last = next;
    }
    if (sent)
        return last;
    PQclear(last);
    return NULL;
}

static int check(struct session *session, PGresult *result, const char *name, struct rb_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text =
        state != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : PQerrorMessage(session->conn);
    ExecStatusType status = PQresultStatus(result);

    snprintf(session->state, sizeof(session->state), "%s", state != NULL ? state : "");
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return 0;
    rb_fail(err, rb_errmap_sqlstate(state), 0, "%s: the database answers %s: %.*s", name,
            state != NULL ? state : "nothing more", (int)strcspn(text, "\n"), text);
    rb_url_hide(err->message);
    return -1;
}

static int ask(struct session *session, const char *sql, const char *name, struct rb_error *err)
{
    PGresult *result = last_result(session, PQsendQuery(session->conn, sql) == 1);
    int answer = check(session, result, name, err);

    PQclear(result);
    return answer;
}

/* -- one file ------------------------------------------------------------------------------------------------------ */

/* All of it lasts as long as the transaction, so that a pooler is left as it was. Of two setups one goes first. */
static const char settings_sql[] =
    "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', '" STATEMENT_MS "', true),"
    " set_config('client_min_messages', 'warning', true), set_config('reelbus.bucket', $2, true),"
    " pg_advisory_xact_lock(hashtext('reelbus.setup'))::text";

static int prepare(struct session *session, const char *name, struct rb_error *err)
{
    char lock_ms[24];
    const char *values[] = {lock_ms, session->options->bucket};
    PGresult *result = last_result(session, PQsendQuery(session->conn, "SELECT pg_backend_pid()") == 1);
    int answer = check(session, result, name, err);

    if (answer == 0)
        snprintf(session->pid, sizeof(session->pid), "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    if (answer < 0)
        return -1;
    snprintf(lock_ms, sizeof(lock_ms), "%" PRId64, session->options->setup_lock_ms);
    result = last_result(session, PQsendQueryParams(session->conn, settings_sql, 2, NULL, values, NULL, NULL, 0) == 1);
    answer = check(session, result, name, err);
    PQclear(result);
    return answer;
}

static char *print_version(const struct file *file, char ret_text[VERSION_BYTES])
{
    snprintf(ret_text, VERSION_BYTES, "%016" PRIx64, rb_hash_text(file->sql));
    return ret_text;
}

/* In the transaction that applies the file, so that a note is never about what was not applied. */
static int note_version(struct session *session, const struct file *file, struct rb_error *err)
{
    static const char sql[] = "INSERT INTO reelbus.setup AS s (file, version) VALUES ($1, $2) ON CONFLICT (file)"
                              " DO UPDATE SET version = excluded.version, applied_at = now()"
                              " WHERE s.version <> excluded.version";
    char version[VERSION_BYTES];
    const char *values[] = {file->name, print_version(file, version)};
    PGresult *result = last_result(session, PQsendQueryParams(session->conn, sql, 2, NULL, values, NULL, NULL, 0) == 1);
    int answer = check(session, result, file->name, err);

    PQclear(result);
    return answer;
}

char *rb_setup_sql_versions(void)
{
    RB_AUTO_JSON *versions = json_object();
    char version[VERSION_BYTES];

    for (size_t i = 0; i < RB_COUNT(table_files); i++)
        json_object_set_new(versions, table_files[i].name, json_string(print_version(&table_files[i], version)));
    return json_dumps(versions, JSON_COMPACT);
}

static int run_in_transaction(struct session *session, const struct file *file, struct rb_error *err)
{
    RB_TRY(prepare(session, file->name, err));
    RB_TRY(ask(session, file->sql, file->name, err));
    if (strchr(file->name, '/') == NULL) /* those of Supabase may be another project's */
        RB_TRY(note_version(session, file, err));
    return ask(session, "COMMIT", file->name, err);
}

static int run_once(struct session *session, const struct file *file, struct rb_error *err)
{
    RB_TRY(ask(session, "BEGIN", file->name, err));
    if (run_in_transaction(session, file, err) == 0)
        return 0;
    PQclear(last_result(session, PQsendQuery(session->conn, "ROLLBACK") == 1));
    return -1;
}

/* A lock that is not to be had, a deadlock, a change at the same time. */
static bool may_go_next_time(const char *state)
{
    return strcmp(state, "55P03") == 0 || strncmp(state, "40", 2) == 0;
}

static int run_file(struct session *session, const struct file *file, struct rb_error *err)
{
    int64_t lock_ms = session->options->setup_lock_ms;
    struct rb_backoff pause = {.first_ms = RB_MIN(lock_ms, PAUSE_MAX_MS), .max_ms = PAUSE_MAX_MS};

    session->holder[0] = '\0';
    for (unsigned tries = 1;; tries++) {
        if (run_once(session, file, err) == 0)
            return 0;
        if (!may_go_next_time(session->state) || tries == TRIES)
            break;
        rb_say("waits", file->name, session->holder[0] != '\0' ? session->holder : err->message);
        uv_sleep((unsigned)rb_backoff_next_ms(&pause, rb_random()));
    }
    if (may_go_next_time(session->state) && session->holder[0] != '\0')
        rb_fail(err, RB_E_DB_AWAY, 0, "%s: %s; run setup again when that has ended", file->name, session->holder);
    return -1;
}

/* -- tables -------------------------------------------------------------------------------------------------------- */

static int run_files(struct session *session, const struct file *files, size_t count, struct rb_error *err)
{
    for (size_t i = 0; i < count; i++)
        RB_TRY(run_file(session, &files[i], err));
    return 0;
}

int rb_setup_sql_tables(const struct consumer_options *options, struct rb_error *err)
{
    struct session session;
    int result = session_open(&session, options, err);

    if (result == 0)
        result = run_files(&session, table_files, RB_COUNT(table_files), err);
    session_close(&session);
    if (result == 0)
        rb_say("database", "schema reelbus", "is there");
    return result;
}

/* -- policies ------------------------------------------------------------------------------------------------------ */

static int is_of_supabase(struct session *session, bool *ret_is, struct rb_error *err)
{
    static const char sql[] = "SELECT count(*) = 2 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                              " WHERE n.nspname = 'storage' AND c.relname IN ('buckets', 'objects')";
    PGresult *result = last_result(session, PQsendQuery(session->conn, sql) == 1);
    int answer = check(session, result, "schema storage", err);

    if (answer == 0)
        *ret_is = strcmp(PQgetvalue(result, 0, 0), "t") == 0;
    PQclear(result);
    return answer;
}

static int make_policies(struct session *session, struct rb_error *err)
{
    const char *bucket = session->options->bucket;
    bool is_there = false;

    RB_TRY(is_of_supabase(session, &is_there, err));
    if (!is_there) {
        rb_say("policies", bucket, "not in this database: run deploy/sql/supabase in the SQL editor of the project");
        return 0;
    }
    if (run_files(session, policy_files, RB_COUNT(policy_files), err) < 0) {
        struct rb_error cause = *err;

        if (strcmp(session->state, "42501") != 0)
            return -1;
        return rb_fail(err, cause.code, 0,
                       "%.120s; run it in the SQL editor of the project, as deploy/supabase.md says", cause.message);
    }
    rb_say("policies", bucket, "are there");
    return 0;
}

int rb_setup_sql_policies(const struct consumer_options *options, struct rb_error *err)
{
    struct session session;
    int result;

    if (strcmp(options->store, "supabase") != 0 || !options->supabase_policies)
        return 0;
    result = session_open(&session, options, err);
    if (result == 0)
        result = make_policies(&session, err);
    session_close(&session);
    return result;
}
