/*
 * main.c — reelbus-consumer: builds the parts, runs the loop, drains on SIGTERM.
 *
 * Way:  consumer
 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/httpd.h"
#include "common/log.h"
#include "common/version.h"
#include "consumer/cleanup.h"
#include "consumer/consume.h"
#include "consumer/container.h"
#include "consumer/key.h"
#include "consumer/metrics_table.h"
#include "consumer/options.h"
#include "consumer/setup.h"
#include "consumer/store_probe.h"
#include "consumer/stores.h"

#define COMMON_ROW(name, type, default_, min, max, also, help)                                                         \
    RB_OPTION_ROW(consumer_options, common.name, name, type, default_, min, max, also, help)
#define CONSUMER_ROW(name, type, default_, min, max, also, help)                                                       \
    RB_OPTION_ROW(consumer_options, name, name, type, default_, min, max, also, help)

static const struct rb_option option_rows[] = {RB_COMMON_OPTIONS(COMMON_ROW) CONSUMER_OPTIONS(CONSUMER_ROW)};

static const struct rb_option_command commands[] = {
    {"run", "store videos until told to stop"},
    {"setup", "make the tables, topics and schemas that are needed, and check the store; safe to run again"},
    {"cleanup", "remove what killed processes have left unfinished in the store"},
};

static const struct rb_option_spec option_spec = {
    .program = "reelbus-consumer",
    .summary = "Stores the videos that are announced on Kafka, and announces where they are.",
    .rows = option_rows,
    .count = RB_COUNT(option_rows),
    .values_bytes = sizeof(struct consumer_options),
    .commands = commands,
    .command_count = RB_COUNT(commands),
    .examples = "Examples:\n"
                "  reelbus-consumer setup --topic-partitions 12 --config /etc/reelbus/consumer.conf\n"
                "  reelbus-consumer run --config /etc/reelbus/consumer.conf\n",
};

static const struct rb_metric metric_rows[] = {CONSUMER_METRICS(RB_METRIC_ROW)};

static const enum rb_event written_events[] = {RB_EVENT_VIDEO_STORED, RB_EVENT_VIDEO_STORE_FAILED,
                                               RB_EVENT_VIDEO_STORE_RETRY};

#define APP_MAGIC     0x43415050u
#define DRAIN_STEP_MS 20
#define ASKS_MAX      16 /* questions to providers at once ... */
#define HOST_ASKS_MAX 4  /* ... and to one of them */
#define PROBE_JOIN_MS 30000

struct app {
    uint32_t magic;
    const struct rb_options *all_options;   /* borrowed */
    const struct consumer_options *options; /* borrowed; the values of all_options */
    struct rb_loop *loop;
    struct rb_metrics metrics;
    struct rb_pg *pg;
    struct rb_record *record;
    struct rb_progress *progress;
    struct rb_history *history;
    struct rb_codec *codec;
    struct rb_emit *emit;
    struct rb_stores stores;
    struct rb_usage *usage;
    struct rb_store_probe *probe;
    struct rb_http *media_http;
    struct rb_plan_policy policy;
    struct rb_transfer_config transfer;
    struct rb_turns *turns;
    struct rb_in_flight in_flight;
    struct rb_delay *delay;
    struct rb_slots *slots;
    struct rb_circuit *circuit;
    struct rb_lifetimes lifetimes;
    struct rb_slots *asks;
    struct rb_http *ask_http;
    struct rb_consume *consume;
    struct rb_route routes[3];
    struct rb_httpd *httpd; /* NULL when metrics are not served */
    struct rb_timer *drain;
    int64_t drain_until_ms; /* 0 while it runs */
    int exit_status;
};

static void on_codec_change(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    if (app->consume != NULL)
        rb_consume_poke(app->consume);
}

static void on_fatal(const struct rb_error *err, void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    if (app->exit_status == 0)
        rb_log_error(NULL, RB_EV_FATAL, err, "");
    app->exit_status = 1;
    rb_loop_stop(app->loop);
}

static void open_database(struct app *app)
{
    const struct consumer_options *options = app->options;
    const struct rb_pg_config config = rb_pg_config_of(&options->common, "reelbus-consumer");
    const struct rb_record_names names = {&options->common, options->status_completed, options->status_failed};

    app->pg = rb_pg_new(app->loop, &config);
    app->record = rb_record_new(app->pg, &names);
    app->progress = rb_progress_new(app->loop, app->pg);
    app->history = rb_history_new(app->loop, app->pg);
}

static int open_output(struct app *app, struct rb_error *err)
{
    const struct rb_common_options *common = &app->options->common;
    const struct rb_codec_config codec = rb_codec_config_of(common, written_events, RB_COUNT(written_events));

    app->codec = rb_codec_new(app->loop, &codec, on_codec_change, app);

    const struct rb_emit_config emit = {
        .kafka = {common->kafka_brokers, "reelbus-consumer", common->kafka},
        .timeout_ms = app->options->publish_timeout_ms,
        .codec = app->codec,
        .topic_prefix = common->topic_prefix,
        .group = app->options->group,
    };

    return rb_emit_new(app->loop, &emit, &app->emit, err);
}

/* The keys of providers: some give the bytes of their videos only to those who have one. */
static int read_providers(struct app *app, struct rb_error *err)
{
    const struct rb_common_options *common = &app->options->common;
    struct rb_providers_config config = {.path = common->providers, .openai_base_url = common->openai_base_url};
    struct rb_providers *before = app->transfer.providers;
    char *key = NULL;

    RB_TRY(rb_options_read_secret(app->all_options, "openai_api_key", &key, err));
    config.openai_api_key = key;

    int result = rb_providers_load(&config, &app->transfer.providers, err);

    OPENSSL_cleanse(key, strlen(key));
    free(key);
    RB_TRY(result);
    rb_providers_unref(before);
    rb_log(NULL, RB_EV_PROVIDERS_READ, "providers=%zu", app->transfer.providers->count);
    return 0;
}

/* While one that has begun waits for room, no further one begins: the order stays what the slots made it. */
static void on_in_flight_full(bool full, void *arg)
{
    rb_slots_hold(RB_CAST(app, arg, APP_MAGIC)->slots, full);
}

static int open_usage(struct app *app, struct rb_error *err)
{
    const struct consumer_options *options = app->options;
    struct rb_usage_config config = {
        .pg = app->pg,
        .metrics = &app->metrics,
        .store = app->stores.first.store->ops->kind,
        .bucket = options->bucket,
        .every_ms = options->quota_check_ms,
    };

    RB_TRY(rb_marks_read("quota_bytes", options->quota_bytes, options->quota_warn_at, options->quota_stop_at,
                         &config.all, err));
    RB_TRY(rb_marks_read("quota_user_bytes", options->quota_user_bytes, options->quota_user_warn_at,
                         options->quota_user_stop_at, &config.user, err));
    RB_TRY(rb_usage_then_read(options->quota_then, &config.then, err));
    if (config.then == RB_USAGE_SPILL && app->stores.fallback.store == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'quota_then' is 'spill', but there is no 'fallback_config'");
    app->usage = rb_usage_new(app->loop, &config);
    return 0;
}

static int open_transfers(struct app *app, struct rb_error *err)
{
    const struct consumer_options *options = app->options;
    bool accept_webm = false;
    const struct rb_guard_config guard = {
        .https_only = options->source_https_only,
        .allow_private = options->source_allow_private,
        .ports = options->source_ports,
        .hosts = options->source_hosts,
        .deny_hosts = options->source_deny_hosts,
        .allow_networks = options->source_allow_networks,
        .deny_networks = options->source_deny_networks,
    };

    app->policy = (struct rb_plan_policy){
        .key_template = options->key_template,
    };
    RB_TRY(rb_key_check(options->key_template, err));
    RB_TRY(rb_guard_init(&guard, &app->policy.guard, err));
    RB_TRY(rb_container_formats(options->formats, &accept_webm, err));
    RB_TRY(rb_stores_open(app->loop, app->all_options, &app->stores, err));
    app->probe = rb_store_probe_new(app->loop, app->stores.first.store, options->bucket, options->store_check_ms);
    RB_TRY(open_usage(app, err));
    app->media_http = rb_http_new(app->loop, 0);
    app->transfer = (struct rb_transfer_config){
        .loop = app->loop,
        .http = app->media_http,
        .guard = &app->policy.guard,
        .limits = {.max_bytes = options->video_max_bytes,
                   .connect_timeout_ms = options->connect_timeout_ms,
                   .first_byte_timeout_ms = options->first_byte_timeout_ms,
                   .low_speed_bytes = options->low_speed_bytes,
                   .low_speed_ms = options->low_speed_ms,
                   .resume_max = (unsigned)options->resume_max},
        .timeout_ms = options->transfer_timeout_ms,
        .accept_webm = accept_webm,
        .in_flight = &app->in_flight,
        .queue_bytes = (size_t)options->queue_bytes,
    };
    app->in_flight = (struct rb_in_flight){
        .max_bytes = options->in_flight_max_bytes,
        .on_full = on_in_flight_full,
        .arg = app,
    };
    return read_providers(app, err);
}

/* What jobs stand in line for. */
static void open_lines(struct app *app)
{
    const struct consumer_options *options = app->options;
    size_t transfers_max = (size_t)options->transfers_max;
    size_t host_max = (size_t)options->host_transfers_max;

    app->turns = rb_turns_new();
    app->delay = rb_delay_new(app->loop, (size_t)options->delayed_max);
    app->slots = rb_slots_new(transfers_max, host_max > 0 ? host_max : RB_MAX(transfers_max * 3 / 4, 1));
    app->asks = rb_slots_new(ASKS_MAX, HOST_ASKS_MAX);
    app->ask_http = rb_http_new(app->loop, 0);

    const struct rb_circuit_config circuit = {
        .slots = app->slots,
        .metrics = &app->metrics,
        .first_ms = options->store_probe_first_ms,
        .max_ms = options->store_probe_max_ms,
        .join_ms = PROBE_JOIN_MS,
        .spill_after_ms = app->stores.fallback.store != NULL ? options->fallback_after_ms : RB_NO_SPILL,
    };

    app->circuit = rb_circuit_new(app->loop, &circuit);
}

static struct rb_retry_policy retry_policy_of(const struct consumer_options *options)
{
    return (struct rb_retry_policy){
        .first_ms = options->retry_first_ms,
        .max_ms = options->retry_max_ms,
        .in_place_ms = options->retry_in_place_ms,
        .budget = {.unknown_ms = options->retry_for_ms,
                   .longest_ms = options->retry_longest_ms,
                   .keep_ms = options->retry_last_ms},
        .renew_for_ms = options->renew_for_ms,
    };
}

/* Is our own side away? */
static bool is_outage(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    return !rb_pg_is_up(app->pg) || !rb_emit_is_up(app->emit) || rb_circuit_blocks(app->circuit);
}

static int open_input(struct app *app, struct rb_error *err)
{
    const struct consumer_options *options = app->options;
    const struct rb_job_env env = {
        .loop = app->loop,
        .codec = app->codec,
        .record = app->record,
        .transfer = &app->transfer,
        .policy = &app->policy,
        .first_store = &app->stores.first,
        .fallback_store = app->stores.fallback.store != NULL ? &app->stores.fallback : NULL,
        .usage = app->usage,
        .emit = app->emit,
        .progress = app->progress,
        .history = app->history,
        .turns = app->turns,
        .delay = app->delay,
        .slots = app->slots,
        .circuit = app->circuit,
        .lifetimes = &app->lifetimes,
        .asks = app->asks,
        .ask_http = app->ask_http,
        .metrics = &app->metrics,
        .retry = retry_policy_of(options),
        .on_fatal = on_fatal,
        .fatal_arg = app,
    };
    const struct rb_consume_config config = {
        .kafka = {options->common.kafka_brokers, "reelbus-consumer", options->common.kafka},
        .topic_prefix = options->common.topic_prefix,
        .group = options->group,
        .instance_id = options->group_instance_id,
        .records_max = (size_t)options->records_max,
        .is_outage = is_outage,
        .outage_arg = app,
        .commit_interval_ms = options->commit_interval_ms,
    };

    return rb_consume_new(&config, &env, &app->consume, err);
}

static void reply_text(struct rb_exchange *exchange, unsigned status, const char *type, const char *text)
{
    const struct rb_reply reply = {.status = status, .content_type = type, .body = text, .body_bytes = strlen(text)};

    rb_exchange_reply(exchange, &reply);
}

static void serve_metrics(struct rb_exchange *exchange, void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);
    RB_AUTO_BUFFER text = {0};

    rb_metrics_set(&app->metrics, METRIC_KAFKA_UP, rb_consume_is_up(app->consume));
    rb_metrics_set(&app->metrics, METRIC_IN_FLIGHT, app->in_flight.used_bytes);
    rb_metrics_set(&app->metrics, METRIC_DB_UP, rb_pg_is_up(app->pg));
    rb_metrics_set(&app->metrics, METRIC_STORE_UP, rb_store_probe_is_up(app->probe));
    rb_metrics_print(&app->metrics, &text);
    reply_text(exchange, 200, "text/plain; version=0.0.4", text.bytes);
}

static void serve_health(struct rb_exchange *exchange, void *arg)
{
    (void)arg;
    reply_text(exchange, 200, "application/json", "{\"alive\":true}");
}

static void serve_ready(struct rb_exchange *exchange, void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);
    bool kafka = rb_consume_is_up(app->consume);
    bool database = rb_pg_is_up(app->pg);
    bool store = rb_store_probe_is_up(app->probe);
    bool ready = kafka && database && store;
    RB_AUTO_TEXT *text =
        rb_xprintf("{\"ready\":%s,\"kafka\":%s,\"database\":%s,\"store\":%s}", ready ? "true" : "false",
                   kafka ? "true" : "false", database ? "true" : "false", store ? "true" : "false");

    reply_text(exchange, ready ? 200 : 503, "application/json", text);
}

static int open_http(struct app *app, struct rb_error *err)
{
    app->routes[0] = (struct rb_route){.method = "GET", .path = "/metrics", .fn = serve_metrics, .arg = app};
    app->routes[1] = (struct rb_route){.method = "GET", .path = "/healthz", .fn = serve_health, .arg = app};
    app->routes[2] = (struct rb_route){.method = "GET", .path = "/readyz", .fn = serve_ready, .arg = app};

    const struct rb_httpd_config config = {
        .listen = app->options->metrics_listen,
        .routes = app->routes,
        .route_count = RB_COUNT(app->routes),
        .idle_timeout_ms = 30000,
        .max_connections = 64,
    };

    return config.listen[0] != '\0' ? rb_httpd_new(app->loop, &config, &app->httpd, err) : 0;
}

/* Take nothing new, finish what was begun, then leave; at the latest when the time is up. */
static void drain_step(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);

    rb_consume_drain(app->consume);
    rb_history_flush(app->history);
    if ((rb_consume_count(app->consume) == 0 && rb_history_is_idle(app->history)) ||
        rb_clock_ms() >= app->drain_until_ms)
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
    rb_log(NULL, RB_EV_STOP, "reason=signal jobs=%zu", rb_consume_count(app->consume));
    app->drain_until_ms = rb_clock_ms() + app->options->common.shutdown_ms;
    rb_timer_start(app->drain, 0);
}

/* A mistake in a file must not stop what works: it is told, and what was valid before stays. */
static void on_hangup(void *arg)
{
    struct app *app = RB_CAST(app, arg, APP_MAGIC);
    struct rb_error err = {0};

    if (read_providers(app, &err) < 0)
        rb_log_error(NULL, RB_EV_PROVIDERS_REFUSED, &err, "");
}

static int app_open(struct app *app, struct rb_error *err)
{
    RB_TRY(rb_log_set_level(app->options->common.log_level, err));
    rb_metrics_init(&app->metrics, metric_rows, RB_COUNT(metric_rows));
    app->loop = rb_loop_new();
    app->drain = rb_timer_new(app->loop, drain_step, app);
    rb_log(NULL, RB_EV_START, "program=reelbus-consumer version=%s pid=%d", RB_VERSION, (int)getpid());
    open_database(app);
    RB_TRY(open_transfers(app, err));
    open_lines(app);
    RB_TRY(open_output(app, err));
    RB_TRY(open_input(app, err));
    RB_TRY(open_http(app, err));
    rb_loop_on_signal(app->loop, on_signal, app);
    rb_loop_on_hangup(app->loop, on_hangup, app);
    return 0;
}

static void app_close(struct app *app)
{
    rb_httpd_free(app->httpd);
    rb_consume_free(app->consume);
    rb_usage_free(app->usage);
    rb_pg_free(app->pg);
    rb_emit_free(app->emit);
    rb_history_free(app->history);
    rb_progress_free(app->progress);
    rb_codec_free(app->codec);
    rb_http_free(app->media_http);
    rb_http_free(app->ask_http);
    rb_providers_unref(app->transfer.providers);
    rb_store_probe_free(app->probe);
    rb_stores_close(&app->stores);
    rb_record_free(app->record);
    rb_turns_free(app->turns);
    rb_delay_free(app->delay);
    rb_circuit_free(app->circuit);
    rb_slots_free(app->slots);
    rb_slots_free(app->asks);
    rb_timer_free(app->drain);
    rb_loop_free(app->loop);
    rb_metrics_done(&app->metrics);
}

static int run(const struct rb_options *all_options)
{
    const struct consumer_options *options = all_options->values;
    struct app app = {.magic = APP_MAGIC, .all_options = all_options, .options = options};
    struct rb_error err = {0};

    if (app_open(&app, &err) < 0) {
        rb_log_error(NULL, RB_EV_FATAL, &err, "");
        app.exit_status = err.code == RB_E_BAD_OPTION ? 2 : 1;
    } else {
        rb_log(NULL, RB_EV_READY, "group=%s bucket=%s store=%s", options->group, options->bucket,
               app.stores.first.store->ops->kind);
        rb_loop_run(app.loop);
        rb_log(NULL, RB_EV_STOPPED, "left=%zu", rb_consume_count(app.consume));
    }
    app_close(&app);
    return app.exit_status;
}

/* Both commands look after both stores. */
static int run_for_all(const struct rb_options *all_options, bool setup, struct rb_error *err)
{
    const struct consumer_options *options = all_options->values;
    struct rb_options fallback = {0};
    int result;

    RB_TRY(setup ? rb_setup(options, err) : rb_cleanup(options, err));
    RB_TRY(rb_stores_read_fallback(all_options, &fallback, err));
    if (fallback.values == NULL)
        return 0;
    result = setup ? rb_setup_store(fallback.values, err) : rb_cleanup(fallback.values, err);
    rb_options_done(&fallback);
    return result;
}

static int run_command(const struct rb_options *options)
{
    struct rb_error err = {0};

    if (run_for_all(options, strcmp(options->command, "setup") == 0, &err) == 0)
        return 0;
    fprintf(stderr, "reelbus-consumer %s: %s\n", options->command, err.message);
    return 1;
}

int main(int argc, char **argv)
{
    struct rb_options options = {0};
    int status;

    if (argc == 2 && strcmp(argv[1], "--show-job-states") == 0) {
        rb_job_print_states(stdout);
        return 0;
    }
    status = rb_options_read(&option_spec, argc, argv, environ, &options);
    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", "32", 0); /* half of them may wait for names, which others need not wait for */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = strcmp(options.command, "run") == 0 ? run(&options) : run_command(&options);
    curl_global_cleanup();
    rb_options_done(&options);
    return status;
}
