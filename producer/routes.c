/*
 * routes.c — which path leads to which part, and the HTTP server that they hang on.
 *
 * Way:  producer
 */
#include "producer/app.h"
#include "producer/page.h"

static void add_route(struct rb_app *app, const char *method, const char *path, rb_route_fn fn, void *arg)
{
    RB_ASSERT(app->route_count < RB_APP_ROUTES);
    app->routes[app->route_count++] = (struct rb_route){.method = method, .path = path, .fn = fn, .arg = arg};
}

static void add_webhook(struct rb_app *app, const char *path, rb_route_fn fn)
{
    struct rb_route *route = &app->routes[app->route_count];

    add_route(app, "POST", path, fn, app->receive);
    route->max_body_bytes = (size_t)app->options->body_max_bytes;
    route->content_type = "application/json";
}

static void add_routes(struct rb_app *app)
{
    if (app->poll_mode != RB_POLL_ONLY) {
        add_webhook(app, "/api/webhook/video-complete", rb_receive_plain);
        add_webhook(app, RB_RECEIVE_PROVIDERS_PATH "*", rb_receive_provider);
    }
    add_route(app, "GET", "/api/video/status", rb_state_serve, app->state);
    add_route(app, "GET", "/api/video/events", rb_feed_serve, app->feed);
    add_route(app, "GET", "/healthz", rb_status_health, app->status);
    add_route(app, "GET", "/readyz", rb_status_ready, app->status);
    add_route(app, "GET", "/metrics", rb_status_metrics, app->status);
    if (app->options->status_page) {
        add_route(app, "GET", RB_PAGE_PATH, rb_page_serve, NULL);
        add_route(app, "GET", RB_PAGE_USAGE, rb_page_serve, NULL);
        add_route(app, "GET", RB_PAGE_FILES, rb_page_serve, NULL);
        add_route(app, "GET", RB_PAGE_CLIENT, rb_page_serve, NULL);
        add_route(app, "GET", "/api/videos", rb_recent_serve, app->recent);
        add_route(app, "GET", "/api/video/history", rb_story_serve, app->story);
        add_route(app, "GET", "/api/usage", rb_totals_serve, app->totals);
    }
    if (app->media.dir_fd >= 0)
        add_route(app, "GET", RB_MEDIA_PATH "*", rb_media_serve, &app->media);
}

static int parse_mode(const char *text, int64_t *ret_mode, struct rb_error *err)
{
    char *end;
    long mode = strtol(text, &end, 8);

    if (*end != '\0' || mode <= 0 || mode > 0777)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'listen_mode': '%s' is no mode in octal such as 0660", text);
    *ret_mode = mode;
    return 0;
}

int rb_app_serve(struct rb_app *app, struct rb_error *err)
{
    int64_t mode = 0;

    RB_TRY(parse_mode(app->options->listen_mode, &mode, err));
    add_routes(app);
    app->traffic = rb_traffic_new(app->routes, app->route_count, &app->metrics);

    const struct rb_httpd_config config = {
        .listen = app->options->listen,
        .routes = app->routes,
        .route_count = app->route_count,
        .tls_cert = app->options->tls_cert,
        .tls_key = app->options->tls_key,
        .unix_mode = mode,
        .head_timeout_ms = app->options->head_timeout_ms,
        .request_timeout_ms = app->options->request_timeout_ms,
        .idle_timeout_ms = app->options->idle_timeout_ms,
        .max_connections = app->options->max_connections,
        .max_connections_per_address = app->options->max_connections_per_address,
        .limit_exempt = rb_gate_peer_is_proxy,
        .limit_exempt_arg = app->gate,
        .max_requests = app->options->max_requests_per_connection,
        .before = rb_gate_filter,
        .before_arg = app->gate,
        .answered = rb_traffic_answered,
        .answered_arg = app->traffic,
    };

    return rb_httpd_new(app->loop, &config, &app->httpd, err);
}
