/*
 * admin.c — what operators and their machines ask by HTTP.
 *
 * Way:  [admin]
 */
#include "consumer/admin.h"

#include "common/metrics_page.h"
#include "consumer/metrics_table.h"

static void reply_text(struct rb_exchange *exchange, unsigned status, const char *type, const char *text)
{
    const struct rb_reply reply = {.status = status, .content_type = type, .body = text, .body_bytes = strlen(text)};

    rb_exchange_reply(exchange, &reply);
}

static bool fallback_is_up(const struct rb_parts *parts)
{
    return parts->fallback_probe != NULL && rb_store_probe_is_up(parts->fallback_probe);
}

static void serve_metrics(struct rb_exchange *exchange, void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    rb_metrics_set(&parts->metrics, METRIC_KAFKA_UP, rb_consume_is_up(parts->consume));
    rb_metrics_set(&parts->metrics, METRIC_IN_FLIGHT, parts->in_flight.used_bytes);
    rb_metrics_set(&parts->metrics, METRIC_DB_UP, rb_pg_is_up(parts->pg));
    rb_metrics_set(&parts->metrics, METRIC_STORE_UP, rb_store_probe_is_up(parts->probe));
    rb_metrics_set(&parts->metrics, METRIC_FALLBACK_UP, fallback_is_up(parts));
    rb_metrics_serve(&parts->metrics, exchange);
}

static void serve_health(struct rb_exchange *exchange, void *arg)
{
    (void)arg;
    reply_text(exchange, 200, "application/json", "{\"alive\":true}");
}

static const char *yes_or_no(bool value)
{
    return value ? "true" : "false";
}

/* One store of two is enough. */
static void serve_ready(struct rb_exchange *exchange, void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);
    bool kafka = rb_consume_is_up(parts->consume);
    bool database = rb_pg_is_up(parts->pg);
    bool store = rb_store_probe_is_up(parts->probe);
    bool fallback = fallback_is_up(parts);
    bool ready = kafka && database && (store || fallback);
    RB_AUTO_BUFFER text = {0};

    rb_buffer_print(&text, "{\"ready\":%s,\"kafka\":%s,\"database\":%s,\"store\":%s", yes_or_no(ready),
                    yes_or_no(kafka), yes_or_no(database), yes_or_no(store));
    if (parts->fallback_probe != NULL)
        rb_buffer_print(&text, ",\"fallback\":%s", yes_or_no(fallback));
    if (rb_hold_is_paused(parts->hold)) /* by an operator, so all is well */
        rb_buffer_print(&text, ",\"paused\":true");
    rb_buffer_print(&text, "}");
    reply_text(exchange, ready ? 200 : 503, "application/json", text.bytes);
}

int rb_admin_open(struct rb_parts *parts, struct rb_error *err)
{
    parts->routes[0] = (struct rb_route){.method = "GET", .path = "/metrics", .fn = serve_metrics, .arg = parts};
    parts->routes[1] = (struct rb_route){.method = "GET", .path = "/healthz", .fn = serve_health, .arg = parts};
    parts->routes[2] = (struct rb_route){.method = "GET", .path = "/readyz", .fn = serve_ready, .arg = parts};

    const struct rb_httpd_config config = {
        .listen = parts->options->metrics_listen,
        .routes = parts->routes,
        .route_count = RB_COUNT(parts->routes),
        .idle_timeout_ms = 30000,
        .max_connections = 64,
    };

    return config.listen[0] != '\0' ? rb_httpd_new(parts->loop, &config, &parts->httpd, err) : 0;
}
