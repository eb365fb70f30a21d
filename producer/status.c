/*
 * status.c — answers the frontend.
 *
 * Way:  [status]
 */
#include "producer/status.h"

#include <inttypes.h>

#include "common/embed.h"
#include "common/json.h"
#include "common/random.h"
#include "common/units.h"
#include "producer/metrics_table.h"
#include "producer/view.h"

#define STATUS_MAGIC 0x53544154u
#define LIST_DEFAULT 50
#define LIST_MAX     200

RB_EMBED(page_html, "producer/page/index.html");
RB_EMBED(page_css, "producer/page/page.css");
RB_EMBED(page_js, "producer/page/page.js");

struct rb_status {
    uint32_t magic;
    struct rb_status_config config;
    char *video_sql;
    char *list_sql;
};

#define TIME_FORMAT "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'"
#define UTC(column) "to_char(v." column " AT TIME ZONE 'UTC', " TIME_FORMAT ") AS " column
#define COLUMNS                                                                                                        \
    "h.{id}::text AS video_id, h.{user_id}::text AS user_id, h.{video_url} AS video_url, v.state, v.source_url,"       \
    " v.bytes::text AS bytes, v.tries::text AS tries, v.error_class, v.error_code, v.error_message,"                   \
    " " UTC("expires_at") ", " UTC("stored_at") ", " UTC("updated_at")

static const char video_template[] =
    "SELECT " COLUMNS " FROM {table} h LEFT JOIN reelbus.video v ON v.video_id = h.{id} WHERE h.{id} = $1::uuid";

/* What reelbus works on, and what it waits for; each side is bounded before they are put together. */
static const char list_template[] =
    "WITH known AS (SELECT video_id AS id, updated_at AS at FROM reelbus.video ORDER BY updated_at DESC LIMIT $1::int),"
    " waiting AS (SELECT h.{id} AS id, h.{created_at}::timestamptz AS at FROM {table} h"
    " WHERE NOT EXISTS (SELECT FROM reelbus.video v WHERE v.video_id = h.{id})"
    " ORDER BY h.{created_at} DESC NULLS LAST LIMIT $1::int),"
    " recent AS (SELECT id, at FROM known UNION ALL SELECT id, at FROM waiting ORDER BY at DESC NULLS LAST LIMIT $1::int)"
    " SELECT " COLUMNS " FROM recent JOIN {table} h ON h.{id} = recent.id"
    " LEFT JOIN reelbus.video v ON v.video_id = h.{id} ORDER BY recent.at DESC NULLS LAST";

struct rb_status *rb_status_new(const struct rb_status_config *config)
{
    struct rb_status *status = rb_xalloc(sizeof(*status));

    *status = (struct rb_status){
        .magic = STATUS_MAGIC,
        .config = *config,
        .video_sql = rb_tables_sql(config->options, video_template),
        .list_sql = rb_tables_sql(config->options, list_template),
    };
    return status;
}

void rb_status_free(struct rb_status *status)
{
    if (status == NULL)
        return;
    free(status->video_sql);
    free(status->list_sql);
    status->magic = 0;
    free(status);
}

static struct rb_view view_of(const PGresult *result, int row)
{
    return (struct rb_view){
        .video_id = rb_pg_text(result, row, "video_id"),
        .user_id = rb_pg_text(result, row, "user_id"),
        .video_url = rb_pg_text(result, row, "video_url"),
        .state = rb_pg_text(result, row, "state"),
        .source_url = rb_pg_text(result, row, "source_url"),
        .bytes = rb_pg_text(result, row, "bytes"),
        .tries = rb_pg_text(result, row, "tries"),
        .expires_at = rb_pg_text(result, row, "expires_at"),
        .stored_at = rb_pg_text(result, row, "stored_at"),
        .updated_at = rb_pg_text(result, row, "updated_at"),
        .error_class = rb_pg_text(result, row, "error_class"),
        .error_code = rb_pg_text(result, row, "error_code"),
        .error_message = rb_pg_text(result, row, "error_message"),
    };
}

static void reply_object(struct rb_exchange *exchange, unsigned http_status, const json_t *object)
{
    RB_AUTO_TEXT *text = json_dumps(object, JSON_COMPACT);

    rb_exchange_reply_json(exchange, http_status, text != NULL ? text : "{}", NULL);
}

static void reply_away(struct rb_exchange *exchange)
{
    rb_exchange_reply_error(exchange, 503, "the database cannot be asked now", &(struct rb_header){"Retry-After", "2"});
}

static void on_video(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_exchange *exchange = arg;

    if (err != NULL) {
        reply_away(exchange);
    } else if (PQntuples(result) == 0) {
        rb_exchange_reply_error(exchange, 404, "videoId is not known", NULL);
    } else {
        struct rb_view view = view_of(result, 0);
        RB_AUTO_JSON *object = rb_view_json(&view);

        reply_object(exchange, 200, object);
    }
}

void rb_status_video(struct rb_exchange *exchange, void *arg)
{
    struct rb_status *status = RB_CAST(rb_status, arg, STATUS_MAGIC);
    char video_id[RB_UUID_TEXT_BYTES];
    struct rb_error err = {0};

    if (!rb_uuid_parse(rb_exchange_query(exchange, "videoId"), video_id)) {
        rb_exchange_reply_error(exchange, 400, "videoId must be a UUID", NULL);
        return;
    }
    if (rb_pg_send(status->config.pg, status->video_sql, 1, (const char *const[]){video_id}, on_video, exchange, NULL,
                   &err) < 0)
        reply_away(exchange);
}

static void on_list(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_exchange *exchange = arg;

    if (err != NULL) {
        reply_away(exchange);
        return;
    }

    RB_AUTO_JSON *object = json_object();
    json_t *videos = json_array();

    for (int row = 0; row < PQntuples(result); row++) {
        struct rb_view view = view_of(result, row);

        json_array_append_new(videos, rb_view_json(&view));
    }
    json_object_set_new(object, "videos", videos);
    reply_object(exchange, 200, object);
}

void rb_status_list(struct rb_exchange *exchange, void *arg)
{
    struct rb_status *status = RB_CAST(rb_status, arg, STATUS_MAGIC);
    const char *text = rb_exchange_query(exchange, "limit");
    int64_t limit = LIST_DEFAULT;
    char limit_text[16];
    struct rb_error err = {0};

    if (text != NULL && (rb_units_parse_number(text, &limit) < 0 || limit < 1 || limit > LIST_MAX)) {
        rb_exchange_reply_error(exchange, 400, "limit must be a number from 1 to 200", NULL);
        return;
    }
    snprintf(limit_text, sizeof(limit_text), "%" PRId64, limit);
    if (rb_pg_send(status->config.pg, status->list_sql, 1, (const char *const[]){limit_text}, on_list, exchange, NULL,
                   &err) < 0)
        reply_away(exchange);
}

void rb_status_page(struct rb_exchange *exchange, void *arg)
{
    const char *path = rb_exchange_path(exchange);
    struct rb_reply reply = {
        .status = 200,
        .content_type = "text/html; charset=utf-8",
        .body = page_html,
        .body_bytes = RB_EMBEDDED_BYTES(page_html),
        .body_is_static = true,
        .headers = {{"Cache-Control", "no-cache"},
                    {"Content-Security-Policy",
                     "default-src 'self'; media-src 'self' http: https:; frame-ancestors 'none'; base-uri 'none'"},
                    {"Referrer-Policy", "no-referrer"}},
    };

    (void)arg;
    if (strcmp(path, "/page.css") == 0) {
        reply.content_type = "text/css; charset=utf-8";
        reply.body = page_css;
        reply.body_bytes = RB_EMBEDDED_BYTES(page_css);
    } else if (strcmp(path, "/page.js") == 0) {
        reply.content_type = "text/javascript; charset=utf-8";
        reply.body = page_js;
        reply.body_bytes = RB_EMBEDDED_BYTES(page_js);
    }
    rb_exchange_reply(exchange, &reply);
}

void rb_status_health(struct rb_exchange *exchange, void *arg)
{
    (void)arg;
    rb_exchange_reply_json(exchange, 200, "{\"alive\":true}", NULL);
}

void rb_status_ready(struct rb_exchange *exchange, void *arg)
{
    struct rb_status *status = RB_CAST(rb_status, arg, STATUS_MAGIC);
    RB_AUTO_JSON *object = json_object();
    json_t *reasons = json_array();
    struct rb_error err = {0};
    bool ready = rb_publish_check(status->config.publish, &err) == 0;

    if (!ready)
        json_array_append_new(reasons, json_string(err.message));
    if (!rb_pg_is_up(status->config.pg))
        json_array_append_new(reasons, json_string("the database is away; webhooks are accepted unchecked"));
    json_object_set_new(object, "ready", json_boolean(ready));
    json_object_set_new(object, "reasons", reasons);
    reply_object(exchange, ready ? 200 : 503, object);
}

static void set_http_metrics(struct rb_metrics *metrics, const struct rb_httpd_counts *counts)
{
    rb_metrics_set(metrics, METRIC_HTTP_CONNECTIONS, (int64_t)counts->connections);
    rb_metrics_set(metrics, METRIC_HTTP_REFUSED, (int64_t)counts->refused);
    rb_metrics_set(metrics, METRIC_HTTP_EVICTED, (int64_t)counts->evicted);
    rb_metrics_set(metrics, METRIC_HTTP_TIMEOUTS, (int64_t)counts->timeouts);
    rb_metrics_set(metrics, METRIC_HTTP_BAD, (int64_t)counts->bad);
}

void rb_status_metrics(struct rb_exchange *exchange, void *arg)
{
    struct rb_status *status = RB_CAST(rb_status, arg, STATUS_MAGIC);
    struct rb_error err = {0};
    RB_AUTO_BUFFER text = {0};

    rb_metrics_set(status->config.metrics, METRIC_DB_UP, rb_pg_is_up(status->config.pg));
    rb_metrics_set(status->config.metrics, METRIC_KAFKA_UP, rb_publish_check(status->config.publish, &err) == 0);
    set_http_metrics(status->config.metrics, rb_httpd_counts(rb_exchange_httpd(exchange)));
    rb_metrics_print(status->config.metrics, &text);

    const struct rb_reply reply = {
        .status = 200,
        .content_type = "text/plain; version=0.0.4",
        .body = text.bytes,
        .body_bytes = text.used,
    };

    rb_exchange_reply(exchange, &reply);
}
