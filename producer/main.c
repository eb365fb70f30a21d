/*
 * main.c — reelbus-producer: builds the parts, runs the loop, drains on SIGTERM.
 *
 * Way:  producer
 */
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "common/providers.h"
#include "common/random.h"
#include "common/version.h"
#include "producer/feed.h"
#include "producer/gate.h"
#include "producer/live.h"
#include "producer/media.h"
#include "producer/metrics_table.h"
#include "producer/options.h"
#include "producer/page.h"
#include "producer/poller.h"
#include "producer/receive.h"
#include "producer/recent.h"
#include "producer/roster.h"
#include "producer/state.h"
#include "producer/status.h"
#include "producer/story.h"
#include "producer/traffic.h"

#define COMMON_ROW(name, type, default_, min, max, also, help)                                                         \
    RB_OPTION_ROW(producer_options, common.name, name, type, default_, min, max, also, help)
#define PRODUCER_ROW(name, type, default_, min, max, also, help)                                                       \
    RB_OPTION_ROW(producer_options, name, name, type, default_, min, max, also, help)

static const struct rb_option option_rows[] = {RB_COMMON_OPTIONS(COMMON_ROW) PRODUCER_OPTIONS(PRODUCER_ROW)};

static const struct rb_option_spec option_spec = {
    .program = "reelbus-producer",
    .summary = "Takes webhooks that say a video is ready, verifies them and publishes them on Kafka.",
    .rows = option_rows,
    .count = RB_COUNT(option_rows),
    .values_bytes = sizeof(struct producer_options),
    .examples = "Example:\n"
                "  VIDEO_WEBHOOK_SECRET=... DATABASE_URL=postgresql://app@db/app \\\n"
                "    reelbus-producer --kafka-brokers kafka-1:9092 --listen '*:8080'\n",
};

static const struct rb_metric metric_rows[] = {PRODUCER_METRICS(RB_METRIC_ROW)};

static const enum rb_event written_events[] = {RB_EVENT_VIDEO_WEBHOOK_RECEIVED, RB_EVENT_VIDEO_POLL_RESULT};

#define APP_MAGIC       0x50415050u
#define MAX_ROUTES      24
#define DRAIN_STEP_MS   20
#define PROGRESS_POINTS 10 /* percent points of a generation that are worth an event */

struct app {
    uint32_t magic;
    const struct rb_options *all_options;   /* borrowed */
    const struct producer_options *options; /* borrowed; the values of all_options */
    struct rb_loop *loop;
    struct rb_metrics metrics;
    struct rb_pg *pg;
    struct rb_codec *codec;
    struct rb_publish *publish;
    struct rb_lookup *lookup;
    struct rb_resolve *resolve;
    enum rb_poll_mode poll_mode;
    struct rb_heard *heard;
    struct rb_poller *poller; /* NULL when there is nobody to ask */
    struct rb_receive *receive;
    struct rb_roster *roster;
    struct rb_status *status;
    struct rb_live *live;
    struct rb_state *state;
    struct rb_feed *feed;
    struct rb_recent *recent;
    struct rb_story *story;
    struct rb_media media; /* dir_fd -1 when files are not served */
    struct rb_route routes[MAX_ROUTES];
    size_t route_count;
    struct rb_gate *gate;
    struct rb_traffic *traffic;
    struct rb_httpd *httpd;
    struct rb_timer *drain;
    int64_t drain_until_ms; /* 0 while it runs */
};

static void on_codec_change(void *arg)
{
    (void)arg; /* whoever wants to publish asks whether the codec is ready */
}

static void open_database(struct app *app)
{
    const struct rb_pg_config config = rb_pg_config_of(&app->options->common, "reelbus-producer");

    app->pg = rb_pg_new(app->loop, &config);
    app->lookup = rb_lookup_new(app->loop, app->pg, &app->options->common);
}

static void open_frontend(struct app *app)
{
    const struct rb_live_config live = {
        .pg = app->pg,
        .listen_url = app->options->listen_url,
        .options = &app->options->common,
        .metrics = &app->metrics,
        .looks_max = (size_t)app->options->looks_max,
    };
    const struct rb_status_config status = {app->pg, app->publish, &app->metrics};

    app->live = rb_live_new(app->loop, &live);
    app->state = rb_state_new(app->loop, app->live);
    app->feed = rb_feed_new(app->loop, app->live, &app->metrics);
    app->recent = rb_recent_new(app->pg, &app->options->common);
    app->story = rb_story_new(app->pg, &app->options->common);
    app->status = rb_status_new(&status);
}

static int open_kafka(struct app *app, struct rb_error *err)
{
    const struct rb_common_options *common = &app->options->common;
    const struct rb_codec_config codec = rb_codec_config_of(common, written_events, RB_COUNT(written_events));

    app->codec = rb_codec_new(app->loop, &codec, on_codec_change, app);

    const struct rb_publish_config publish = {
        .kafka = {common->kafka_brokers, "reelbus-producer", common->kafka},
        .timeout_ms = app->options->publish_timeout_ms,
        .codec = app->codec,
        .topic_prefix = common->topic_prefix,
        .spool = app->options->spool,
        .spool_max_bytes = app->options->spool_max_bytes,
        .metrics = &app->metrics,
    };

    return rb_publish_new(app->loop, &publish, &app->publish, err);
}

/* Nothing to do when nobody has an API; after the providers file was read again, somebody may. */
static int open_poller(struct app *app, struct rb_error *err)
{
    const struct producer_options *options = app->options;
    const struct rb_poller_config config = {
        .pg = app->pg,
        .publish = app->publish,
        .heard = app->heard,
        .metrics = &app->metrics,
        .options = &options->common,
        .providers = rb_roster_providers(app->roster),
        .policy =
            {
                .interval_ms = options->poll_interval_ms,
                .grace_ms = options->poll_grace_ms,
                .trust_ms = app->poll_mode == RB_POLL_ONLY ? 0 : options->poll_webhook_trust_ms,
                .deadline_ms = options->poll_deadline_ms,
                .missing_ms = options->poll_missing_ms,
                .announce_ms = options->poll_announce_ms,
                .progress_points = PROGRESS_POINTS,
            },
        .publish_timeout_ms = options->publish_timeout_ms,
        .adopt_age_ms = options->poll_adopt_age_ms,
        .adopt_statuses = options->poll_adopt_status,
    };

    if (app->poll_mode == RB_POLL_OFF)
        return 0;
    if (!rb_poller_has_work(config.providers))
        return app->poll_mode == RB_POLL_AUTO
                   ? 0
                   : rb_fail(err, RB_E_BAD_OPTION, 0, "poll is 'only', but no provider with an API is configured");
    rb_heard_both_ways(app->heard, app->poll_mode == RB_POLL_AUTO);
    return rb_poller_new(app->loop, &config, &app->poller, err);
}

static void add_route(struct app *app, const char *method, const char *path, rb_route_fn fn, void *arg)
{
    RB_ASSERT(app->route_count < MAX_ROUTES);
    app->routes[app->route_count++] = (struct rb_route){.method = method, .path = path, .fn = fn, .arg = arg};
}

static void add_webhook(struct app *app, const char *path, rb_route_fn fn)
{
    struct rb_route *route = &app->routes[app->route_count];

    add_route(app, "POST", path, fn, app->receive);
    route->max_body_bytes = (size_t)app->options->body_max_bytes;
    route->content_type = "application/json";
}

static void add_routes(struct app *app)
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
        add_route(app, "GET", RB_PAGE_FILES, rb_page_serve, NULL);
        add_route(app, "GET", RB_PAGE_CLIENT, rb_page_serve, NULL);
        add_route(app, "GET", "/api/videos", rb_recent_serve, app->recent);
        add_route(app, "GET", "/api/video/history", rb_story_serve, app->story);
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

static int open_gate(struct app *app, struct rb_error *err)
{
    const struct rb_gate_config config = {
        .trusted_proxies = app->options->trusted_proxies,
        .client_header = app->options->client_header,
        .rate_limit_address = app->options->rate_limit_address,
        .rate_limit_scheme = app->options->rate_limit_scheme,
        .rate_limit_status = app->options->rate_limit_status,
        .status_api_keys = app->options->status_api_keys,
        .cors_origins = app->options->cors_origins,
        .metrics = &app->metrics,
    };

    return rb_gate_new(&config, &app->gate, err);
}

static int open_receive(struct app *app, struct rb_error *err)
{
    const struct rb_receive_config receive = {
        .lookup = app->lookup,
        .resolve = app->resolve = rb_resolve_new(app->loop, app->options->resolve_timeout_ms),
        .publish = app->publish,
        .heard = app->heard = rb_heard_new(app->loop, app->pg, &app->metrics, app->options->poll_grace_ms),
        .metrics = &app->metrics,
        .retry_after_s = app->options->retry_after_s,
    };

    app->receive = rb_receive_new(&receive);
    app->roster = rb_roster_new(
        &(struct rb_roster_config){app->loop, app->all_options, app->receive, app->poll_mode != RB_POLL_ONLY});
    return rb_roster_read(app->roster, err);
}

static int open_http(struct app *app, struct rb_error *err)
{
    int64_t mode = 0;

    RB_TRY(parse_mode(app->options->listen_mode, &mode, err));

    open_frontend(app);
    if (app->options->media_dir[0] != '\0')
        RB_TRY(rb_media_init(app->options->media_dir, &app->media, err));
    add_routes(app);
    RB_TRY(open_gate(app, err));
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
        .before = rb_gate_filter,
        .before_arg = app->gate,
        .answered = rb_traffic_answered,
        .answered_arg = app->traffic,
        .idle_timeout_ms = app->options->idle_timeout_ms,
        .max_connections = app->options->max_connections,
        .max_connections_per_address = app->options->max_connections_per_address,
        .limit_exempt = rb_gate_peer_is_proxy,
        .limit_exempt_arg = app->gate,
        .max_requests = app->options->max_requests_per_connection,
    };

    return rb_httpd_new(app->loop, &config, &app->httpd, err);
}

/* Accept nothing new, answer what was taken, then leave; at the latest when the time is up. */
static void drain_step(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    if (rb_httpd_pending(app->httpd) + rb_poller_pending(app->poller) == 0 || rb_clock_ms() >= app->drain_until_ms)
        rb_loop_stop(app->loop);
    else
        rb_timer_start(app->drain, DRAIN_STEP_MS);
}

static void on_signal(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    if (app->drain_until_ms != 0) {
        rb_loop_stop(app->loop); /* asked a second time: at once */
        return;
    }
    rb_log(NULL, RB_EV_STOP, "reason=signal pending=%zu", rb_httpd_pending(app->httpd));
    app->drain_until_ms = rb_clock_ms() + app->options->common.shutdown_ms;
    rb_httpd_quiesce(app->httpd);
    rb_state_drain(app->state);
    rb_poller_stop(app->poller);
    rb_timer_start(app->drain, 0);
}

/* What is in use stays in use when what is there now is wrong. */
static void reload_tls(struct app *app)
{
    struct rb_error err = {0};

    if (app->options->tls_cert[0] == '\0')
        return;
    if (rb_httpd_reload(app->httpd, &err) < 0)
        rb_log_error(NULL, RB_EV_TLS_KEPT, &err, "");
    else
        rb_log(NULL, RB_EV_TLS_LOADED, "cert=%s", app->options->tls_cert);
}

static void reload_roster(struct app *app)
{
    struct rb_error err = {0};

    if (rb_roster_read(app->roster, &err) < 0)
        rb_log_error(NULL, RB_EV_PROVIDERS_REFUSED, &err, "");
    else if (app->poller != NULL)
        rb_poller_reload(app->poller, rb_roster_providers(app->roster));
    else if (open_poller(app, &err) < 0)
        rb_log_error(NULL, RB_EV_PROVIDERS_REFUSED, &err, "");
}

static void on_hangup(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    reload_tls(app);
    reload_roster(app);
}

/* Only a producer that takes webhooks needs their secret. */
static int read_mode(struct app *app, struct rb_error *err)
{
    RB_TRY(rb_poller_mode(app->options->poll, &app->poll_mode, err));
    if (app->poll_mode != RB_POLL_ONLY && app->options->webhook_secret[0] == '\0')
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'webhook_secret' is needed, unless poll is 'only': set it with a flag, in "
                       "REELBUS_WEBHOOK_SECRET or VIDEO_WEBHOOK_SECRET or in the config file");
    return 0;
}

static int app_open(struct app *app, struct rb_error *err)
{
    RB_TRY(rb_log_set_level(app->options->common.log_level, err));
    RB_TRY(read_mode(app, err));
    rb_metrics_init(&app->metrics, metric_rows, RB_COUNT(metric_rows));
    app->loop = rb_loop_new();
    app->drain = rb_timer_new(app->loop, drain_step, app);
    rb_log(NULL, RB_EV_START, "program=reelbus-producer version=%s pid=%d", RB_VERSION, (int)getpid());
    open_database(app);
    RB_TRY(open_kafka(app, err));
    RB_TRY(open_receive(app, err));
    RB_TRY(open_poller(app, err));
    RB_TRY(open_http(app, err));
    rb_loop_on_signal(app->loop, on_signal, app);
    rb_loop_on_hangup(app->loop, on_hangup, app);
    return 0;
}

/* In the order of the way: whoever still waits for a part gets its answer when that part goes. */
static void app_close(struct app *app)
{
    if (app->live != NULL)
        rb_live_stop(app->live);
    if (app->receive != NULL)
        rb_receive_stop(app->receive);
    rb_lookup_free(app->lookup);
    rb_pg_free(app->pg);
    rb_resolve_free(app->resolve);
    if (app->publish != NULL)
        rb_publish_stop(app->publish);
    rb_poller_free(app->poller);
    rb_heard_free(app->heard);
    rb_httpd_free(app->httpd);
    rb_gate_free(app->gate);
    rb_traffic_free(app->traffic);
    rb_publish_free(app->publish);
    rb_codec_free(app->codec);
    rb_receive_free(app->receive);
    rb_roster_free(app->roster);
    rb_status_free(app->status);
    rb_story_free(app->story);
    rb_recent_free(app->recent);
    rb_feed_free(app->feed);
    rb_state_free(app->state);
    rb_live_free(app->live);
    if (app->media.dir_fd >= 0)
        rb_media_done(&app->media);
    rb_timer_free(app->drain);
    rb_loop_free(app->loop);
    rb_metrics_done(&app->metrics);
}

static int run(const struct rb_options *all_options)
{
    const struct producer_options *options = all_options->values;
    struct app app = {.magic = APP_MAGIC, .all_options = all_options, .options = options, .media = {.dir_fd = -1}};
    struct rb_error err = {0};
    int status = 0;

    if (app_open(&app, &err) < 0) {
        rb_log_error(NULL, RB_EV_FATAL, &err, "");
        status = err.code == RB_E_BAD_OPTION ? 2 : 1;
    } else {
        rb_log(NULL, RB_EV_READY, "listen=%s", options->listen);
        rb_loop_run(app.loop);
        rb_log(NULL, RB_EV_STOPPED, "left=%zu", rb_httpd_pending(app.httpd));
    }
    app_close(&app);
    return status;
}

int main(int argc, char **argv)
{
    struct rb_options options = {0};
    int status = rb_options_read(&option_spec, argc, argv, environ, &options);

    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = run(&options);
    curl_global_cleanup();
    rb_options_done(&options);
    return status;
}
