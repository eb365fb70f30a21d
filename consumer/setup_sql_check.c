/*
 * setup_sql_check.c — what the database still lacks, and what we may not do in it.
 *
 * Way:  consumer setup -> [setup_sql]
 */
#include "common/buffer.h"
#include "common/errmap.h"
#include "common/tables.h"
#include "common/url.h"
#include "consumer/say.h"
#include "consumer/setup_sql.h"

/* SQL reads best as SQL. */
/* clang-format off */
#define COLUMN(name)   "EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('reelbus.video') AND attname = '" name "' AND NOT attisdropped)"
#define FUNCTION(name) "EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = to_regnamespace('reelbus') AND p.proname = '" name "')"
#define TRIGGER(name)  "EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass('reelbus.video') AND tgname = '" name "')"
#define APPLICATION    "to_regclass($reelbus${table}$reelbus$)"

/* Of each file of deploy/sql what it makes last. $1 the application's columns. Nobody has rights on what is not there: that is said
 * once. */
static const char lacks_template[] =
    "SELECT step, name, result FROM (VALUES"
    " (1, 'database', '001_reelbus.sql', to_regclass('reelbus.video') IS NOT NULL"
    "  AND to_regclass('reelbus.setup') IS NOT NULL, 'is missing: run setup'),"
    " (2, 'database', '002_providers.sql', " FUNCTION("expect_video") ", 'is missing: run setup'),"
    " (3, 'database', '003_poll.sql', " TRIGGER("video_begin_to_wait") ", 'is missing: run setup'),"
    " (4, 'database', '004_history.sql', to_regclass('reelbus.video_recent_of_user') IS NOT NULL, 'is missing: run setup'),"
    " (5, 'database', '005_retry.sql', " COLUMN("put_off") ", 'is missing: run setup'),"
    " (6, 'database', '006_usage.sql', " TRIGGER("video_usage_changed") " AND " FUNCTION("weigh") ", 'is missing: run setup'),"
    " (7, 'database', '007_variants.sql', " COLUMN("variants") ", 'is missing: run setup'),"
    " (8, 'database', '008_cleanup.sql', " FUNCTION("next_to_delete") ", 'is missing: run setup'),"
    " (8, 'database', '009_superseded.sql', " COLUMN("superseded") " AND " TRIGGER("video_keep_failure") ", 'is missing: run setup'),"
    " (8, 'database', '010_replay.sql', to_regclass('reelbus.replay') IS NOT NULL, 'is missing: run setup'),"
    " (8, 'database', '011_retention.sql', " FUNCTION("take_due") ", 'is missing: run setup'),"
    " (8, 'database', '012_pause.sql', to_regclass('reelbus.control') IS NOT NULL, 'is missing: run setup'),"
    " (8, 'database', '013_redrive.sql', " COLUMN("redriven_attempt") ", 'is missing: run setup'),"
    " (8, 'database', '014_quota.sql', to_regclass('reelbus.quota') IS NOT NULL, 'is missing: run setup'),"
    " (9, 'database', 'reelbus.video', coalesce(has_table_privilege(to_regclass('reelbus.video'), 'SELECT')"
    "  AND has_table_privilege(to_regclass('reelbus.video'), 'INSERT')"
    "  AND has_table_privilege(to_regclass('reelbus.video'), 'UPDATE'), true), 'may not be read and written by us'),"
    " (10, 'database', $reelbus${table}$reelbus$, " APPLICATION " IS NOT NULL, 'is missing: option table names the application''s'),"
    " (11, 'database', $reelbus${table}$reelbus$, coalesce(has_table_privilege(" APPLICATION ", 'SELECT'), true),"
    "  'may not be read by us')"
    ") AS wanted (place, step, name, is_there, result) WHERE NOT is_there"
    " UNION ALL SELECT 'database', $reelbus${table}$reelbus$ || '.' || c, 'is missing: the options column_... name them'"
    "  FROM unnest($1::text[]) AS c WHERE " APPLICATION " IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute"
    "  WHERE attrelid = " APPLICATION " AND attname = c AND NOT attisdropped)"
    " UNION ALL SELECT 'database', $reelbus${table}$reelbus$ || '.' || a.attname, 'may not be written by us'"
    "  FROM pg_attribute a WHERE a.attrelid = " APPLICATION " AND a.attname = ANY (($1::text[])[4:5]) AND NOT a.attisdropped"
    "  AND NOT has_column_privilege(" APPLICATION ", a.attnum, 'UPDATE')";

/* May we see in which version the files were applied? What somebody has run by hand was not noted, and is not compared. */
static const char noted_sql[] = "SELECT coalesce(has_table_privilege(to_regclass('reelbus.setup'), 'SELECT'), false)";

/* Added to the above. $2 the versions of this program. */
static const char outdated_sql[] =
    " UNION ALL SELECT 'database', s.file, 'is there in another version: run setup' FROM reelbus.setup s"
    "  JOIN json_each_text($2::json) AS ours ON ours.key = s.file WHERE ours.value <> s.version";

/* $1 bucket. Where there is no such schema, it is another database than the project's: setup says what to do then. */
static const char policies_sql[] =
    "SELECT 'policies', $1, 'are missing: run setup' WHERE to_regclass('storage.objects') IS NOT NULL AND NOT EXISTS"
    " (SELECT FROM pg_policy WHERE polrelid = to_regclass('storage.objects') AND polname = 'users watch their own '"
    " || CASE WHEN octet_length($1) <= 40 THEN $1 ELSE md5($1) END)";
/* clang-format on */

/* A list as SQL writes it; names in it are quoted. */
static char *list_of(const struct rb_common_options *options)
{
    const char *names[] = {options->column_id, options->column_user_id, options->column_created_at,
                           options->column_video_url, options->column_status};
    RB_AUTO_BUFFER list = {0};

    for (size_t i = 0; i < RB_COUNT(names); i++) {
        rb_buffer_print(&list, i == 0 ? "{\"" : ",\"");
        for (const char *at = names[i]; *at != '\0'; at++)
            rb_buffer_print(&list, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
        rb_buffer_print(&list, "\"");
    }
    rb_buffer_print(&list, "}");
    return rb_buffer_steal(&list);
}

/* All borrowed. */
struct question {
    const char *sql;
    int count;
    const char *const *values;
    const char *step; /* with what, and that all is well: said when nothing is missing */
    const char *what;
    const char *all_well;
};

/* Each row of the answer is something that is missing. */
static int say_lacks(PGconn *conn, const struct question *question, int *ret_lacks, struct rb_error *err)
{
    PGresult *result = PQexecParams(conn, question->sql, question->count, NULL, question->values, NULL, NULL, 0);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    int rows = PQntuples(result);

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        rb_fail(err, rb_errmap_sqlstate(state), 0, "the database answers: %.*s",
                (int)strcspn(PQerrorMessage(conn), "\n"), PQerrorMessage(conn));
        rb_url_hide(err->message);
        PQclear(result);
        return -1;
    }
    for (int i = 0; i < rows; i++)
        rb_say(PQgetvalue(result, i, 0), PQgetvalue(result, i, 1), PQgetvalue(result, i, 2));
    if (rows == 0)
        rb_say(question->step, question->what, question->all_well);
    *ret_lacks += rows;
    PQclear(result);
    return 0;
}

static int connect_for_check(const struct consumer_options *options, PGconn **ret_conn, struct rb_error *err)
{
    PGconn *conn = rb_setup_sql_connect(options);

    if (PQstatus(conn) == CONNECTION_OK) {
        *ret_conn = conn;
        return 0;
    }
    rb_fail(err, RB_E_DB_AWAY, 0, "cannot connect to Postgres: %.*s", (int)strcspn(PQerrorMessage(conn), "\n"),
            PQerrorMessage(conn));
    PQfinish(conn);
    return -1;
}

static bool has_notes(PGconn *conn)
{
    PGresult *result = PQexec(conn, noted_sql);
    bool has = PQresultStatus(result) == PGRES_TUPLES_OK && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

    PQclear(result);
    return has;
}

int rb_setup_sql_check_tables(const struct consumer_options *options, int *ret_lacks, struct rb_error *err)
{
    RB_AUTO_TEXT *lacks = rb_tables_sql(&options->common, lacks_template);
    RB_AUTO_TEXT *columns = list_of(&options->common);
    RB_AUTO_TEXT *versions = rb_setup_sql_versions();
    const char *values[] = {columns, versions};
    PGconn *conn = NULL;
    int result;

    RB_TRY(connect_for_check(options, &conn, err));

    bool noted = has_notes(conn);
    RB_AUTO_TEXT *sql = rb_xprintf("%s%s", lacks, noted ? outdated_sql : "");

    result = say_lacks(conn, &(struct question){sql, noted ? 2 : 1, values, "database", "schema reelbus", "is there"},
                       ret_lacks, err);
    PQfinish(conn);
    return result;
}

int rb_setup_sql_check_policies(const struct consumer_options *options, int *ret_lacks, struct rb_error *err)
{
    const char *values[] = {options->bucket};
    PGconn *conn = NULL;
    int result;

    if (strcmp(options->store, "supabase") != 0 || !options->supabase_policies)
        return 0;
    RB_TRY(connect_for_check(options, &conn, err));
    result = say_lacks(conn, &(struct question){policies_sql, 1, values, "policies", options->bucket, "are there"},
                       ret_lacks, err);
    PQfinish(conn);
    return result;
}
