/*
 * main.c — reelbus-consumer: reads the options, runs the loop or a command, drains on SIGTERM.
 *
 * Way:  consumer
 */
#include <signal.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exit_codes.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/supervisor.h"
#include "consumer/admin.h"
#include "consumer/command_table.h"
#include "consumer/commands.h"

#define DRAIN_STEP_MS 20

#define COMMON_ROW(name, type, default_, min, max, also, help)                                                         \
    RB_OPTION_ROW(consumer_options, common.name, name, type, default_, min, max, also, help)
#define CONSUMER_ROW(name, type, default_, min, max, also, help)                                                       \
    RB_OPTION_ROW(consumer_options, name, name, type, default_, min, max, also, help)

#define COMMAND_ROW(name, commands, type, default_, min, max, help)                                                    \
    {#name, RB_OPTION_##type, default_, min, max, "", help, offsetof(struct consumer_options, command.name), commands},
#define COMMAND(name, function, operands, min, max, unneeded, help, description, examples)                             \
    {#name, help, operands, min, max, unneeded, description, examples},

static const struct rb_option option_rows[] = {RB_COMMON_OPTIONS(COMMON_ROW) CONSUMER_OPTIONS(CONSUMER_ROW)
                                                   COMMAND_OPTIONS(COMMAND_ROW)};

static const struct rb_option_command commands[] = {{.name = "run", .help = "store videos until told to stop"},
                                                    RB_COMMANDS(COMMAND)};

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
                "  reelbus-consumer run --config /etc/reelbus/consumer.conf\n"
                "  reelbus-consumer tail --help\n",
};

static bool is_drained(const struct rb_parts *parts)
{
    return rb_consume_count(parts->consume) == 0 && rb_history_is_idle(parts->history) &&
           rb_remove_count(parts->remove) == 0 && rb_tracer_drain(parts->tracer) &&
           (rb_commit_is_idle(rb_emit_commit(parts->emit)) || !rb_emit_is_up(parts->emit));
}

/* Take nothing new, finish what was begun, then leave; at the latest when the time is up. */
static void drain_step(void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    rb_consume_drain(parts->consume);
    rb_history_flush(parts->history);
    if (is_drained(parts) || rb_clock_ms() >= parts->drain_until_ms)
        rb_loop_stop(parts->loop);
    else
        rb_timer_start(parts->drain, DRAIN_STEP_MS);
}

static void on_signal(void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    if (parts->drain_until_ms != 0) {
        rb_loop_stop(parts->loop); /* asked a second time: at once */
        return;
    }
    rb_supervisor_tell("STOPPING=1");
    rb_log(NULL, RB_EV_STOP, "reason=signal jobs=%zu", rb_consume_count(parts->consume));
    if (parts->retention != NULL)
        rb_retain_schedule_stop(parts->retention);
    parts->drain_until_ms = rb_clock_ms() + parts->options->common.shutdown_ms;
    rb_timer_start(parts->drain, 0);
}

static void on_hangup(void *arg)
{
    rb_parts_reload(RB_CAST(rb_parts, arg, RB_PARTS_MAGIC));
}

static int start(struct rb_parts *parts, struct rb_error *err)
{
    RB_TRY(rb_parts_open(parts, err));
    parts->drain = rb_timer_new(parts->loop, drain_step, parts);
    RB_TRY(rb_admin_open(parts, err));
    rb_loop_on_signal(parts->loop, on_signal, parts);
    rb_loop_on_hangup(parts->loop, on_hangup, parts);
    return 0;
}

static int run(const struct rb_options *all_options)
{
    const struct consumer_options *options = all_options->values;
    struct rb_parts parts = {.magic = RB_PARTS_MAGIC, .all_options = all_options, .options = options};
    struct rb_error err = {0};

    if (start(&parts, &err) < 0) {
        rb_log_error(NULL, RB_EV_FATAL, &err, "");
        parts.exit_status = err.code == RB_E_BAD_OPTION ? RB_EXIT_USAGE : RB_EXIT_FAILED;
    } else {
        rb_log(NULL, RB_EV_READY, "group=%s bucket=%s store=%s", options->group, options->bucket,
               parts.stores.first.store->ops->kind);
        rb_supervisor_tell("READY=1");
        rb_loop_run(parts.loop);
        rb_log(NULL, RB_EV_STOPPED, "left=%zu", rb_consume_count(parts.consume));
    }
    if (!rb_parts_close(&parts))
        _exit(parts.exit_status); /* nothing depends on how it ends; joining threads would wait for what hangs */
    return parts.exit_status;
}

int main(int argc, char **argv)
{
    struct rb_options options = {0};
    int status = rb_failpoint_start("consumer", argc, argv, getenv("REELBUS_FAIL"));

    if (status >= 0)
        return status;
    if (argc == 2 && strcmp(argv[1], "--show-job-states") == 0) {
        rb_job_print_states(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--show-metrics") == 0) {
        rb_parts_show_metrics(stdout);
        return 0;
    }
    status = rb_options_read(&option_spec, argc, argv, environ, &options);
    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", "32", 0); /* half of them may wait for names, which others need not wait for */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = strcmp(options.command->name, "run") == 0 ? run(&options) : rb_commands_run(&options);
    curl_global_cleanup();
    rb_options_done(&options);
    return status;
}
