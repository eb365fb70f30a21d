/*
 * app.c — the parts of reelbus-producer.
 *
 * Way:  producer
 */
#include "producer/app.h"

#include <openssl/crypto.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/metrics_page.h"
#include "common/version.h"
#include "common/watchdog.h"
#include "producer/metrics_table.h"

#define PROGRESS_POINTS 10    /* percent points of a generation that are worth an event */
#define USAGE_QUERY_MS  25000 /* the page waits 30 s */

static const struct rb_metric metric_rows[] = {PRODUCER_METRICS(RB_METRIC_ROW)};

void rb_app_show_metrics(FILE *file)
{
    rb_metrics_print_table(metric_rows, RB_COUNT(metric_rows), file);
}

static const enum rb_event written_events[] = {RB_EVENT_VIDEO_WEBHOOK_RECEIVED, RB_EVENT_VIDEO_POLL_RESULT};

static void on_codec_change(void *arg)
{
    (void)arg; /* whoever wants to publish asks whether the codec is ready */
}

static void open_database(struct rb_app *app)
{
    const struct rb_pg_config config = rb_pg_config_of(&app->options->common, "reelbus-producer");

    app->pg = rb_pg_new(app->loop, &config);
    app->lookup = rb_lookup_new(app->loop, app->pg, &app->options->common);
}

/* Its sums go over many rows. A query that takes too long costs the connection, which must not be the one that webhooks need. */
static void open_usage(struct rb_app *app)
{
    struct rb_pg_config config = rb_pg_config_of(&app->options->common, "reelbus-producer usage");

    config.query_timeout_ms = RB_MAX(config.query_timeout_ms, USAGE_QUERY_MS);
    app->usage_pg = rb_pg_new(app->loop, &config);
    app->totals = rb_totals_new(app->usage_pg);
}

static void open_frontend(struct rb_app *app)
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
    if (app->options->status_page)
        open_usage(app);
}

static int open_kafka(struct rb_app *app, struct rb_error *err)
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
static int open_poller(struct rb_app *app, struct rb_error *err)
{
    const struct producer_options *options = app->options;
    const struct rb_poller_config config = {
        .pg = app->pg,
        .publish = app->publish,
        .heard = app->heard,
        .metrics = &app->metrics,
        .tracer = app->tracer,
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

static int open_gate(struct rb_app *app, struct rb_error *err)
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

static int open_receive(struct rb_app *app, struct rb_error *err)
{
    const struct rb_receive_config receive = {
        .lookup = app->lookup,
        .resolve = app->resolve = rb_resolve_new(app->loop, app->options->resolve_timeout_ms),
        .publish = app->publish,
        .heard = app->heard = rb_heard_new(app->loop, app->pg, &app->metrics, app->options->poll_grace_ms),
        .metrics = &app->metrics,
        .tracer = app->tracer,
        .retry_after_s = app->options->retry_after_s,
        .check_videos = app->options->check_videos,
    };

    app->receive = rb_receive_new(&receive);
    app->roster = rb_roster_new(
        &(struct rb_roster_config){app->loop, app->all_options, app->receive, app->poll_mode != RB_POLL_ONLY});
    return rb_roster_read(app->roster, err);
}

/* What is in use stays in use when what is there now is wrong. */
static void reload_tls(struct rb_app *app)
{
    struct rb_error err = {0};

    if (app->options->tls_cert[0] == '\0')
        return;
    if (rb_httpd_reload(app->httpd, &err) < 0)
        rb_log_error(NULL, RB_EV_TLS_KEPT, &err, "");
    else
        rb_log(NULL, RB_EV_TLS_LOADED, "cert=%s", app->options->tls_cert);
}

static void reload_roster(struct rb_app *app)
{
    struct rb_error err = {0};

    if (rb_roster_read(app->roster, &err) < 0)
        rb_log_error(NULL, RB_EV_PROVIDERS_REFUSED, &err, "");
    else if (app->poller != NULL)
        rb_poller_reload(app->poller, rb_roster_providers(app->roster));
    else if (open_poller(app, &err) < 0)
        rb_log_error(NULL, RB_EV_PROVIDERS_REFUSED, &err, "");
}

static int read_keys(struct rb_app *app, struct rb_error *err)
{
    char *text = NULL;

    RB_TRY(rb_options_read_secret(app->all_options, "status_api_keys", &text, err));

    int result = rb_gate_set_keys(app->gate, text, err);

    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return result;
}

static void reload_keys(struct rb_app *app)
{
    struct rb_error err = {0};

    if (read_keys(app, &err) < 0)
        rb_log_error(NULL, RB_EV_STATUS_KEYS_KEPT, &err, "");
}

void rb_app_reload(struct rb_app *app)
{
    reload_tls(app);
    reload_keys(app);
    reload_roster(app);
}

/* Only a producer that takes webhooks needs their secret. */
static int read_mode(struct rb_app *app, struct rb_error *err)
{
    RB_TRY(rb_poller_mode(app->options->poll, &app->poll_mode, err));
    if (app->poll_mode != RB_POLL_ONLY && app->options->webhook_secret[0] == '\0')
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'webhook_secret' is needed, unless poll is 'only': set it with a flag, in "
                       "REELBUS_WEBHOOK_SECRET or VIDEO_WEBHOOK_SECRET or in the config file");
    return 0;
}

static int open_tracer(struct rb_app *app, struct rb_error *err)
{
    const struct rb_tracer_config tracer = {
        .url = app->options->common.otlp_url,
        .headers = app->options->common.otlp_headers,
        .service = "reelbus-producer",
        .sampler = app->options->common.traces_sampler,
        .sampler_arg = app->options->common.traces_sampler_arg,
        .metrics = &app->metrics,
        .sent = METRIC_SPANS_SENT,
        .dropped = METRIC_SPANS_DROPPED,
    };

    return rb_tracer_new(app->loop, &tracer, &app->tracer, err);
}

int rb_app_open(struct rb_app *app, struct rb_error *err)
{
    RB_TRY(rb_log_start(app->options->common.log_level, app->options->common.log_format, err));
    RB_TRY(read_mode(app, err));
    rb_metrics_init(&app->metrics, metric_rows, RB_COUNT(metric_rows));
    app->loop = rb_loop_new();
    rb_loop_on_log_signals(app->loop);
    app->watchdog = rb_watchdog_new(app->loop, app->options->common.watchdog_ms);
    rb_log(NULL, RB_EV_START, "program=reelbus-producer version=%s pid=%d", RB_VERSION, (int)getpid());
    RB_TRY(open_tracer(app, err));
    open_database(app);
    RB_TRY(open_kafka(app, err));
    RB_TRY(open_receive(app, err));
    RB_TRY(open_poller(app, err));
    open_frontend(app);
    if (app->options->media_dir[0] != '\0')
        RB_TRY(rb_media_init(app->options->media_dir, &app->media, err));
    return open_gate(app, err);
}

/* In the order of the way: whoever still waits for a part gets its answer when that part goes. */
void rb_app_close(struct rb_app *app)
{
    rb_watchdog_close(app->watchdog);
    RB_FAIL_HERE(program_closing);
    if (app->live != NULL)
        rb_live_stop(app->live);
    if (app->receive != NULL)
        rb_receive_stop(app->receive);
    rb_lookup_free(app->lookup);
    rb_pg_free(app->pg);
    rb_pg_free(app->usage_pg);
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
    rb_totals_free(app->totals);
    rb_story_free(app->story);
    rb_recent_free(app->recent);
    rb_feed_free(app->feed);
    rb_state_free(app->state);
    rb_live_free(app->live);
    if (app->media.dir_fd >= 0)
        rb_media_done(&app->media);
    rb_tracer_free(app->tracer);
    rb_timer_free(app->drain);
    rb_loop_free(app->loop);
    rb_metrics_done(&app->metrics);
    rb_watchdog_free(app->watchdog);
}
