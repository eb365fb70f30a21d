/*
 * main.c — reelbus-producer: reads the options, runs the loop, drains on SIGTERM.
 *
 * Way:  producer
 */
#include <inttypes.h>
#include <signal.h>

#include "common/clock.h"
#include "common/exit_codes.h"
#include "common/failpoint.h"
#include "common/http.h"
#include "common/log.h"
#include "common/supervisor.h"
#include "producer/app.h"

#define DRAIN_STEP_MS 20

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

/* Accept nothing new, answer what has begun to come, then leave; at the latest when the time is up. */
static void drain_step(void *arg)
{
    struct rb_app *app = RB_CAST(rb_app, arg, RB_APP_MAGIC);

    bool done = rb_httpd_unfinished(app->httpd) + rb_poller_pending(app->poller) == 0 && rb_tracer_drain(app->tracer);

    if (done || rb_clock_ms() >= app->drain_until_ms)
        rb_loop_stop(app->loop);
    else
        rb_timer_start(app->drain, DRAIN_STEP_MS);
}

static void on_signal(void *arg)
{
    struct rb_app *app = RB_CAST(rb_app, arg, RB_APP_MAGIC);

    if (app->drain_until_ms != 0) {
        rb_loop_stop(app->loop); /* asked a second time: at once */
        return;
    }
    rb_supervisor_tell("STOPPING=1");
    rb_log(NULL, RB_EV_STOP, "reason=signal pending=%zu", rb_httpd_pending(app->httpd));
    app->drain_until_ms = rb_clock_ms() + app->options->common.shutdown_ms;
    rb_httpd_quiesce(app->httpd);
    rb_state_drain(app->state);
    rb_poller_stop(app->poller);
    rb_timer_start(app->drain, DRAIN_STEP_MS); /* what is in the sockets is read before */
}

/* While it drains nothing is begun any more. */
static void on_hangup(void *arg)
{
    struct rb_app *app = RB_CAST(rb_app, arg, RB_APP_MAGIC);

    if (app->drain_until_ms == 0)
        rb_app_reload(app);
}

static int start(struct rb_app *app, struct rb_error *err)
{
    RB_TRY(rb_app_open(app, err));
    app->drain = rb_timer_new(app->loop, drain_step, app);
    RB_TRY(rb_app_serve(app, err));
    rb_loop_on_signal(app->loop, on_signal, app);
    rb_loop_on_hangup(app->loop, on_hangup, app);
    return 0;
}

static int run(const struct rb_options *all_options)
{
    const struct producer_options *options = all_options->values;
    struct rb_app app = {
        .magic = RB_APP_MAGIC, .all_options = all_options, .options = options, .media = {.dir_fd = -1}};
    struct rb_error err = {0};
    int status = 0;

    if (start(&app, &err) < 0) {
        rb_log_error(NULL, RB_EV_FATAL, &err, "");
        status = err.code == RB_E_BAD_OPTION ? RB_EXIT_USAGE : RB_EXIT_FAILED;
    } else {
        rb_log(NULL, RB_EV_READY, "listen=%s", options->listen);
        rb_supervisor_tell("READY=1");
        rb_loop_run(app.loop);
        rb_log(NULL, RB_EV_STOPPED, "left=%zu", rb_httpd_pending(app.httpd));
    }
    rb_app_close(&app);
    return status;
}

int main(int argc, char **argv)
{
    struct rb_options options = {0};
    int status = rb_failpoint_start("producer", argc, argv, getenv("REELBUS_FAIL"));

    if (status < 0 && argc == 2 && strcmp(argv[1], "--show-metrics") == 0) {
        rb_app_show_metrics(stdout);
        return 0;
    }
    if (status < 0)
        status = rb_options_read(&option_spec, argc, argv, environ, &options);
    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its write */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = run(&options);
    curl_global_cleanup();
    rb_options_done(&options);
    return status;
}
