/*
 * recent.c — GET /api/videos: which videos there are, page by page.
 *
 * Way:  Postgres -> [recent]
 */
#include "producer/recent.h"

#include <inttypes.h>

#include "common/buffer.h"
#include "common/random.h"
#include "common/units.h"
#include "producer/view_row.h"

#define RECENT_MAGIC  0x52454345u
#define LIMIT_DEFAULT 50
#define LIMIT_MAX     200
#define SCAN_MAX      "2000" /* rows of the application that are looked at for one page */

/* A subquery, which is a look into the index for each row; of a join the planner would make a walk over all videos. */
#define STATE_OF_SCANNED "coalesce((SELECT v.state FROM reelbus.video v WHERE v.video_id = s.id), 'waiting')"

struct rb_recent {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed, as are the options */
    const struct rb_common_options *options;
};

/* What is asked for. Text is borrowed; NULL when it is absent. */
struct wish {
    int64_t limit;
    const char *state; /* one of the list below */
    const char *user;
    const char *prefix;
    char first_id[RB_UUID_TEXT_BYTES], last_id[RB_UUID_TEXT_BYTES]; /* between which the ids with the prefix lie */
    bool has_cursor;
    int64_t cursor_us; /* in pages by time */
    char cursor_id[RB_UUID_TEXT_BYTES];
};

static const char *const states[] = {"waiting", "processing", "stored", "failed"};

/* SQL that grows, and its parameters. */
struct query {
    struct rb_buffer sql;
    const char *values[8];
    int count;
    char numbers[2][24];
};

struct asker {
    struct rb_exchange *exchange;
    int64_t limit;
};

static int read_prefix(const char *text, struct wish *wish, struct rb_error *err)
{
    static const char shape[] = "00000000-0000-0000-0000-000000000000";
    size_t length = strlen(text);

    snprintf(wish->first_id, sizeof(wish->first_id), "%s", shape);
    snprintf(wish->last_id, sizeof(wish->last_id), "ffffffff-ffff-ffff-ffff-ffffffffffff");
    for (size_t i = 0; i < length; i++) {
        bool fits =
            i < strlen(shape) && (shape[i] == '-' ? text[i] == '-' : strchr("0123456789abcdefABCDEF", text[i]) != NULL);

        if (!fits)
            return rb_fail(err, RB_E_BAD_REQUEST, 0, "q must be the beginning of a UUID");
        wish->first_id[i] = wish->last_id[i] = text[i];
    }
    wish->prefix = text;
    return 0;
}

/* "MICROSECONDS.UUID" */
static int read_cursor(const char *text, struct wish *wish, struct rb_error *err)
{
    const char *dot = strchr(text, '.');
    char number[24] = "";

    if (dot != NULL && (size_t)(dot - text) < sizeof(number))
        memcpy(number, text, (size_t)(dot - text));
    if (dot == NULL || rb_units_parse_number(number, &wish->cursor_us) < 0 || !rb_uuid_parse(dot + 1, wish->cursor_id))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "before must be the next of another page");
    wish->has_cursor = true;
    return 0;
}

static int read_state(const char *text, struct wish *wish, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(states); i++)
        if (strcmp(text, states[i]) == 0)
            wish->state = states[i];
    return wish->state != NULL
               ? 0
               : rb_fail(err, RB_E_BAD_REQUEST, 0, "state must be waiting, processing, stored or failed");
}

/* A parameter that is there and not empty: a form sends empty ones. */
static const char *parameter(struct rb_exchange *exchange, const char *name)
{
    const char *text = rb_exchange_query(exchange, name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int read_wish(struct rb_exchange *exchange, struct wish *wish, struct rb_error *err)
{
    const char *limit = parameter(exchange, "limit");
    const char *state = parameter(exchange, "state");
    const char *prefix = parameter(exchange, "q");
    const char *before = parameter(exchange, "before");

    *wish = (struct wish){.limit = LIMIT_DEFAULT, .user = parameter(exchange, "user")};
    if (limit != NULL && (rb_units_parse_number(limit, &wish->limit) < 0 || wish->limit < 1 || wish->limit > LIMIT_MAX))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "limit must be a number from 1 to %d", LIMIT_MAX);
    if (state != NULL)
        RB_TRY(read_state(state, wish, err));
    if (prefix != NULL)
        RB_TRY(read_prefix(prefix, wish, err));
    if (before != NULL)
        RB_TRY(read_cursor(before, wish, err));
    return 0;
}

static int add_value(struct query *query, const char *value)
{
    RB_ASSERT((size_t)query->count < RB_COUNT(query->values));
    query->values[query->count++] = value;
    return query->count;
}

/* Behind the cursor, in the order of a page by time. */
static void add_cursor(struct query *query, const char *at, const char *id, int time, int place)
{
    if (time > 0)
        rb_buffer_print(&query->sql,
                        " AND (%s, %s) < (timestamptz 'epoch' + $%d::bigint * interval '1 microsecond', $%d::uuid)", at,
                        id, time, place);
}

/* Those that wait have no row of ours, or one that says so. They come in the order in which they were made. */
static void add_scan_by_time(struct query *query, const struct wish *wish, int user, int time, int place)
{
    rb_buffer_print(&query->sql, "scan AS (SELECT h.{id} AS id, h.{created_at}::timestamptz AS at FROM {table} h"
                                 " WHERE h.{created_at} IS NOT NULL");
    if (wish->state != NULL && strcmp(wish->state, "waiting") != 0)
        rb_buffer_print(&query->sql, " AND false");
    if (user > 0)
        rb_buffer_print(&query->sql, " AND h.{user_id} = $%d", user);
    add_cursor(query, "h.{created_at}", "h.{id}", time, place);
    rb_buffer_print(&query->sql, " ORDER BY h.{created_at} DESC, h.{id} DESC LIMIT " SCAN_MAX "),"
                                 " horizon AS (SELECT at, id FROM scan WHERE (SELECT count(*) FROM scan) = " SCAN_MAX
                                 " ORDER BY at, id LIMIT 1),");
}

static void add_page_by_time(struct query *query, const struct wish *wish)
{
    int limit = 1;
    int user = wish->user != NULL ? add_value(query, wish->user) : 0;
    int user_text = wish->user != NULL ? add_value(query, wish->user) : 0; /* of another type */
    int time = wish->has_cursor ? add_value(query, query->numbers[1]) : 0;
    int place = wish->has_cursor ? add_value(query, wish->cursor_id) : 0;

    add_scan_by_time(query, wish, user, time, place);
    rb_buffer_print(&query->sql, " known AS (SELECT v.video_id AS id, v.updated_at AS at FROM reelbus.video v"
                                 " WHERE v.state <> 'waiting'");
    if (wish->state != NULL && strcmp(wish->state, "waiting") == 0)
        rb_buffer_print(&query->sql, " AND false"); /* the planner does not see it by itself, and may look at all */
    else if (wish->state != NULL)
        rb_buffer_print(&query->sql, " AND v.state = '%s'", wish->state);
    if (user_text > 0)
        rb_buffer_print(&query->sql, " AND v.user_id = $%d::text", user_text);
    add_cursor(query, "v.updated_at", "v.video_id", time, place);
    rb_buffer_print(&query->sql,
                    " ORDER BY v.updated_at DESC, v.video_id DESC LIMIT $%d::int),"
                    " waiting AS (SELECT s.id, s.at FROM scan s WHERE " STATE_OF_SCANNED " = 'waiting'"
                    " ORDER BY s.at DESC, s.id DESC LIMIT $%d::int),"
                    " page AS (SELECT p.id, p.at, row_number() OVER (ORDER BY p.at DESC, p.id DESC) AS place"
                    " FROM (SELECT * FROM known UNION ALL SELECT * FROM waiting) AS p"
                    " WHERE NOT EXISTS (SELECT FROM horizon z WHERE (p.at, p.id) < (z.at, z.id))"
                    " ORDER BY place LIMIT $%d::int)",
                    limit, limit, limit);
}

static void add_page_by_id(struct query *query, const struct wish *wish)
{
    int limit = 1;
    int first = add_value(query, wish->first_id);
    int last = add_value(query, wish->last_id);

    rb_buffer_print(&query->sql,
                    "scan AS (SELECT h.{id} AS id, h.{user_id}::text AS user_id FROM {table} h"
                    " WHERE h.{id} BETWEEN $%d::uuid AND $%d::uuid",
                    first, last);
    if (wish->has_cursor)
        rb_buffer_print(&query->sql, " AND h.{id} > $%d::uuid", add_value(query, wish->cursor_id));
    rb_buffer_print(&query->sql,
                    " ORDER BY h.{id} LIMIT " SCAN_MAX "),"
                    " horizon AS (SELECT NULL::timestamptz AS at, id FROM scan"
                    " WHERE (SELECT count(*) FROM scan) = " SCAN_MAX " ORDER BY id DESC LIMIT 1),"
                    " page AS (SELECT s.id, NULL::timestamptz AS at, row_number() OVER (ORDER BY s.id) AS place"
                    " FROM scan s WHERE true");
    if (wish->state != NULL)
        rb_buffer_print(&query->sql, " AND " STATE_OF_SCANNED " = '%s'", wish->state);
    if (wish->user != NULL)
        rb_buffer_print(&query->sql, " AND s.user_id = $%d::text", add_value(query, wish->user));
    rb_buffer_print(&query->sql, " ORDER BY place LIMIT $%d::int)", limit);
}

/* At least one row comes, with the horizon: how far was looked for this page, when that was less than all. */
static const char end_template[] =
    " SELECT (extract(epoch FROM page.at) * 1000000)::bigint::text AS page_at, page.id::text AS page_id,"
    " (extract(epoch FROM horizon.at) * 1000000)::bigint::text AS horizon_at, horizon.id::text AS horizon_id,"
    " " RB_VIEW_COLUMNS " FROM (SELECT 1) AS one LEFT JOIN horizon ON true LEFT JOIN page ON true"
    " " RB_VIEW_ROWS("page.id") " ORDER BY page.place";

static json_t *next_cursor(const PGresult *result, int rows, int64_t limit)
{
    bool full = rows == limit;
    const char *at = rb_pg_text(result, PQntuples(result) - 1, full ? "page_at" : "horizon_at");
    const char *id = rb_pg_text(result, PQntuples(result) - 1, full ? "page_id" : "horizon_id");

    return id != NULL ? json_sprintf("%s.%s", at != NULL ? at : "0", id) : json_null();
}

static void reply_page(struct rb_exchange *exchange, const PGresult *result, int64_t limit)
{
    json_t *videos = json_array();
    int rows = 0;

    for (int row = 0; row < PQntuples(result); row++) {
        rows += rb_pg_text(result, row, "page_id") != NULL;
        if (rb_pg_text(result, row, "video_id") == NULL)
            continue; /* none, or one that the application has no more */

        const struct rb_view view = rb_view_of_row(result, row);

        json_array_append_new(videos, rb_view_json(&view));
    }

    RB_AUTO_JSON *object = json_pack("{s:o, s:o}", "videos", videos, "next", next_cursor(result, rows, limit));
    RB_AUTO_TEXT *text = json_dumps(object, JSON_COMPACT);

    rb_exchange_reply_json(exchange, 200, text, NULL);
}

static void reply_failure(struct rb_exchange *exchange, const struct rb_error *err)
{
    if (err->code == RB_E_DB_DATA)
        rb_exchange_reply_error(exchange, 400, "user is not an id of a user", NULL);
    else
        rb_exchange_reply_error(exchange, 503, "the database cannot be asked now",
                                &(struct rb_header){"Retry-After", "2"});
}

static void on_rows(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct asker *asker = arg;

    if (err == NULL)
        reply_page(asker->exchange, result, asker->limit);
    else
        reply_failure(asker->exchange, err);
    free(asker);
}

static void ask(struct rb_recent *recent, const struct wish *wish, struct rb_exchange *exchange)
{
    struct query query = {0};
    struct asker *asker = rb_xalloc(sizeof(*asker));
    struct rb_error err = {0};

    *asker = (struct asker){exchange, wish->limit};
    snprintf(query.numbers[0], sizeof(query.numbers[0]), "%" PRId64, wish->limit);
    snprintf(query.numbers[1], sizeof(query.numbers[1]), "%" PRId64, wish->cursor_us);
    add_value(&query, query.numbers[0]);
    rb_buffer_print(&query.sql, "WITH ");
    if (wish->prefix != NULL)
        add_page_by_id(&query, wish);
    else
        add_page_by_time(&query, wish);
    rb_buffer_print(&query.sql, "%s", end_template);

    RB_AUTO_TEXT *sql = rb_tables_sql(recent->options, query.sql.bytes);

    if (rb_pg_send(recent->pg, sql, query.count, query.values, on_rows, asker, NULL, &err) < 0)
        on_rows(NULL, &err, asker);
    rb_buffer_done(&query.sql);
}

void rb_recent_serve(struct rb_exchange *exchange, void *arg)
{
    struct rb_recent *recent = RB_CAST(rb_recent, arg, RECENT_MAGIC);
    struct wish wish;
    struct rb_error err = {0};

    if (read_wish(exchange, &wish, &err) < 0)
        rb_exchange_reply_error(exchange, 400, err.message, NULL);
    else
        ask(recent, &wish, exchange);
}

struct rb_recent *rb_recent_new(struct rb_pg *pg, const struct rb_common_options *options)
{
    struct rb_recent *recent = rb_xalloc(sizeof(*recent));

    *recent = (struct rb_recent){.magic = RECENT_MAGIC, .pg = pg, .options = options};
    return recent;
}

void rb_recent_free(struct rb_recent *recent)
{
    if (recent == NULL)
        return;
    recent->magic = 0;
    free(recent);
}
