/*
 * story.c — GET /api/video/history: one video, and all that happened to it.
 *
 * Way:  Postgres -> [story]
 */
#include "producer/story.h"

#include "common/notify.h"
#include "producer/ask.h"
#include "producer/view_row.h"

#define STORY_MAGIC 0x53544f52u

struct rb_story {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed */
    char *sql;
};

/* One row for each event, and one at least, with the view beside it. The application's row is the first event. */
static const char sql_template[] =
    "SELECT " RB_VIEW_COLUMNS
    ", e.what, e.detail, e.topic, e.partition::text AS partition, e.\"offset\"::text AS \"offset\","
    " to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS at"
    " FROM {table} h LEFT JOIN reelbus.video v ON v.video_id = h.{id} LEFT JOIN LATERAL ("
    "SELECT 0 AS id, h.{created_at}::timestamptz AS at, 'expected' AS what, NULL AS detail, NULL AS topic,"
    " NULL::int AS partition, NULL::bigint AS \"offset\" WHERE h.{created_at} IS NOT NULL"
    " UNION ALL (SELECT k.id, k.at, k.what, k.detail, k.topic, k.partition, k.\"offset\" FROM reelbus.history k"
    " WHERE k.video_id = h.{id} ORDER BY k.id DESC LIMIT " RB_HISTORY_MAX ")) AS e ON true"
    " WHERE h.{id} = $1::uuid ORDER BY e.at, e.id";

struct rb_story *rb_story_new(struct rb_pg *pg, const struct rb_common_options *options)
{
    struct rb_story *story = rb_xalloc(sizeof(*story));

    *story = (struct rb_story){.magic = STORY_MAGIC, .pg = pg, .sql = rb_tables_sql(options, sql_template)};
    return story;
}

void rb_story_free(struct rb_story *story)
{
    if (story == NULL)
        return;
    free(story->sql);
    story->magic = 0;
    free(story);
}

static json_t *text_or_null(const PGresult *result, int row, const char *column)
{
    const char *text = rb_pg_text(result, row, column);

    return text != NULL ? json_string(text) : json_null();
}

static json_t *number_or_null(const PGresult *result, int row, const char *column)
{
    const char *text = rb_pg_text(result, row, column);

    return text != NULL ? json_integer(strtoll(text, NULL, 10)) : json_null();
}

static json_t *event_of_row(const PGresult *result, int row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "at", text_or_null(result, row, "at"), "what",
                     text_or_null(result, row, "what"), "detail", text_or_null(result, row, "detail"), "topic",
                     text_or_null(result, row, "topic"), "partition", number_or_null(result, row, "partition"),
                     "offset", number_or_null(result, row, "offset"));
}

static void reply_away(struct rb_exchange *exchange)
{
    rb_exchange_reply_error(exchange, 503, "the database cannot be asked now", &(struct rb_header){"Retry-After", "2"});
}

static void on_rows(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_exchange *exchange = arg;

    if (err != NULL) {
        reply_away(exchange);
        return;
    }
    if (PQntuples(result) == 0) {
        rb_exchange_reply_error(exchange, 404, "videoId is not known", NULL);
        return;
    }

    const struct rb_view view = rb_view_of_row(result, 0);
    json_t *history = json_array();
    RB_AUTO_JSON *object = json_pack("{s:o, s:o}", "video", rb_view_json(&view), "history", history);

    for (int row = 0; row < PQntuples(result); row++)
        if (rb_pg_text(result, row, "what") != NULL)
            json_array_append_new(history, event_of_row(result, row));

    RB_AUTO_TEXT *text = json_dumps(object, JSON_COMPACT);

    rb_exchange_reply_json(exchange, 200, text, NULL);
}

void rb_story_serve(struct rb_exchange *exchange, void *arg)
{
    struct rb_story *story = RB_CAST(rb_story, arg, STORY_MAGIC);
    struct rb_ask_ids ids;
    struct rb_error err = {0};

    if (rb_ask_ids(rb_exchange_query(exchange, "videoId"), &ids, &err) < 0 || ids.many) {
        rb_exchange_reply_error(exchange, 400, "videoId must be a UUID", NULL);
        return;
    }
    if (rb_pg_send(story->pg, story->sql, 1, (const char *const[]){ids.list[0]}, on_rows, exchange, NULL, &err) < 0)
        reply_away(exchange);
}
