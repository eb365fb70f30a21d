/*
 * parts.c — the parts of reelbus-consumer.
 *
 * Way:  consumer
 */
#include "consumer/parts.h"

#include <unistd.h>

#include "common/exit_codes.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/metrics_page.h"
#include "common/version.h"
#include "consumer/metrics_table.h"

#define ASKS_MAX      16 /* questions to providers at once ... */
#define HOST_ASKS_MAX 4  /* ... and to one of them */
#define PROBE_JOIN_MS 30000

static const struct rb_metric metric_rows[] = {CONSUMER_METRICS(RB_METRIC_ROW)};

void rb_parts_show_metrics(FILE *file)
{
    rb_metrics_print_table(metric_rows, RB_COUNT(metric_rows), file);
}

/* The last one only by redrive_auto. */
static const enum rb_event written_events[] = {RB_EVENT_VIDEO_STORED, RB_EVENT_VIDEO_STORE_FAILED,
                                               RB_EVENT_VIDEO_DELETED, RB_EVENT_VIDEO_STORE_RETRY,
                                               RB_EVENT_VIDEO_WEBHOOK_RECEIVED};

static void on_codec_change(void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    if (parts->consume != NULL)
        rb_consume_poke(parts->consume);
    if (parts->on_codec != NULL)
        parts->on_codec(parts->command);
}

static void on_fatal(const struct rb_error *err, void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    if (parts->exit_status == 0)
        rb_log_error(NULL, RB_EV_FATAL, err, "");
    parts->exit_status =
        err->code == RB_E_TXN_FENCED || err->code == RB_E_GROUP_FENCED ? RB_EXIT_GIVEN_UP : RB_EXIT_FAILED;
    if (parts->on_end != NULL)
        parts->on_end(parts->command);
    else
        rb_loop_stop(parts->loop);
}

static void open_database(struct rb_parts *parts)
{
    const struct consumer_options *options = parts->options;
    const struct rb_pg_config config = rb_pg_config_of(&options->common, "reelbus-consumer");
    const struct rb_record_names names = {&options->common, options->status_completed, options->status_failed};

    parts->pg = rb_pg_new(parts->loop, &config);
    parts->record = rb_record_new(parts->pg, &names);
    parts->progress = rb_progress_new(parts->loop, parts->pg);
    parts->history = rb_history_new(parts->loop, parts->pg);
}

/*
 * The same after each restart, or what was under way when the process died would be pending until it times out; and of no other
 * process, or the two throw each other out.
 */
static char *transactional_id_of(const struct rb_parts *parts)
{
    const struct consumer_options *options = parts->options;
    char host[256] = "";

    if (parts->transactional_id != NULL)
        return rb_xstrdup(parts->transactional_id);
    if (options->transactional_id[0] != '\0')
        return rb_xstrdup(options->transactional_id);
    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = '\0';
    return rb_xprintf("%s%s.%s", options->common.topic_prefix, options->group,
                      options->group_instance_id[0] != '\0' ? options->group_instance_id : host);
}

static void open_codec(struct rb_parts *parts, bool announces)
{
    const struct rb_common_options *common = &parts->options->common;
    size_t count = RB_COUNT(written_events) - (parts->options->redrive_auto[0] == '\0' ? 1 : 0);
    const struct rb_codec_config codec = rb_codec_config_of(common, written_events, announces ? count : 0);

    parts->codec = rb_codec_new(parts->loop, &codec, on_codec_change, parts);
}

static int open_output(struct rb_parts *parts, struct rb_error *err)
{
    const struct rb_common_options *common = &parts->options->common;
    RB_AUTO_TEXT *transactional_id = transactional_id_of(parts);
    const struct rb_commit_config commit = {
        .txn = {.kafka = {common->kafka_brokers, "reelbus-consumer", common->kafka},
                .transactional_id = transactional_id,
                .timeout_ms = parts->options->transaction_timeout_ms},
        .wait_ms = parts->options->transaction_wait_ms,
        .timeout_ms = parts->options->publish_timeout_ms,
        .metrics = &parts->metrics,
        .on_fatal = on_fatal,
        .fatal_arg = parts,
    };
    const struct rb_emit_config emit = {
        .commit = commit,
        .codec = parts->codec,
        .topic_prefix = common->topic_prefix,
        .group = parts->options->group,
    };

    return rb_emit_new(parts->loop, &emit, &parts->emit, err);
}

/* What jobs stand in line for. */
static void open_lines(struct rb_parts *parts)
{
    const struct consumer_options *options = parts->options;
    size_t transfers_max = (size_t)options->transfers_max;
    size_t host_max = (size_t)options->host_transfers_max;

    parts->turns = rb_turns_new();
    parts->delay = rb_delay_new(parts->loop, (size_t)options->delayed_max);
    parts->slots = rb_slots_new(transfers_max, host_max > 0 ? host_max : RB_MAX(transfers_max * 3 / 4, 1));
    parts->asks = rb_slots_new(ASKS_MAX, HOST_ASKS_MAX);
    parts->ask_http = rb_http_new(parts->loop, 0);

    struct rb_circuit_config circuit = {
        .of = RB_CIRCUIT_OF_FALLBACK,
        .metrics = &parts->metrics,
        .first_ms = options->store_probe_first_ms,
        .max_ms = options->store_probe_max_ms,
        .join_ms = PROBE_JOIN_MS,
        .spill_after_ms = options->fallback_after_ms,
    };

    if (parts->stores.fallback.store != NULL)
        parts->fallback_circuit = rb_circuit_new(parts->loop, &circuit);
    circuit.of = RB_CIRCUIT_OF_FIRST;
    circuit.slots = parts->slots;
    circuit.fallback = parts->fallback_circuit;
    parts->circuit = rb_circuit_new(parts->loop, &circuit);
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
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    return !rb_pg_is_up(parts->pg) || !rb_emit_is_up(parts->emit) || rb_circuit_blocks(parts->circuit);
}

struct rb_job_env rb_parts_env(struct rb_parts *parts)
{
    return (struct rb_job_env){
        .loop = parts->loop,
        .codec = parts->codec,
        .record = parts->record,
        .transfer = &parts->transfer,
        .policy = &parts->policy,
        .variants = &parts->variants,
        .first_store = &parts->stores.first,
        .fallback_store = parts->stores.fallback.store != NULL ? &parts->stores.fallback : NULL,
        .usage = parts->usage,
        .make_room = parts->make_room,
        .emit = parts->emit,
        .progress = parts->progress,
        .history = parts->history,
        .turns = parts->turns,
        .delay = parts->delay,
        .slots = parts->slots,
        .circuit = parts->circuit,
        .fallback_circuit = parts->fallback_circuit,
        .lifetimes = &parts->lifetimes,
        .asks = parts->asks,
        .ask_http = parts->ask_http,
        .metrics = &parts->metrics,
        .tracer = parts->tracer,
        .retry = retry_policy_of(parts->options),
        .on_fatal = on_fatal,
        .fatal_arg = parts,
    };
}

static int open_input(struct rb_parts *parts, struct rb_error *err)
{
    const struct consumer_options *options = parts->options;
    const struct rb_job_env env = rb_parts_env(parts);
    const struct rb_consume_config config = {
        .kafka = {options->common.kafka_brokers, "reelbus-consumer", options->common.kafka},
        .topic_prefix = options->common.topic_prefix,
        .group = options->group,
        .instance_id = options->group_instance_id,
        .records_max = (size_t)options->records_max,
        .is_outage = is_outage,
        .outage_arg = parts,
        .commit_interval_ms = options->commit_interval_ms,
        .at_risk_ms = options->at_risk_ms,
    };

    return rb_consume_new(&config, &env, &parts->consume, err);
}

static void on_hold(bool held, void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    rb_slots_hold(parts->slots, RB_SLOTS_OPERATOR, held);
    rb_consume_hold(parts->consume, held);
}

static size_t count_running(void *arg)
{
    return rb_consume_running(RB_CAST(rb_parts, arg, RB_PARTS_MAGIC)->consume);
}

static void open_hold(struct rb_parts *parts)
{
    RB_AUTO_TEXT *member = transactional_id_of(parts);
    const struct rb_hold_config config = {
        .pg = parts->pg,
        .metrics = &parts->metrics,
        .group = parts->options->group,
        .member = member,
        .on_change = on_hold,
        .running = count_running,
        .arg = parts,
    };

    parts->hold = rb_hold_new(parts->loop, &config);
}

static bool may_redrive(void *arg)
{
    struct rb_parts *parts = RB_CAST(rb_parts, arg, RB_PARTS_MAGIC);

    return parts->drain_until_ms == 0 && !rb_hold_is_paused(parts->hold) && rb_emit_is_up(parts->emit);
}

static int open_redrive(struct rb_parts *parts, struct rb_error *err)
{
    const struct consumer_options *options = parts->options;
    struct rb_redrive_auto_config config = {
        .pg = parts->pg,
        .commit = rb_emit_commit(parts->emit),
        .codec = parts->codec,
        .metrics = &parts->metrics,
        .causes = options->redrive_auto,
        .topic_prefix = options->common.topic_prefix,
        .store = parts->stores.first.store->ops->kind,
        .bucket = options->bucket,
        .every_ms = options->quota_check_ms,
        .redrives_max = options->redrives_max,
        .may_go = may_redrive,
        .arg = parts,
    };

    rb_usage_marks(parts->usage, &config.all, &config.user);
    return rb_redrive_auto_new(parts->loop, &config, &parts->redrive_auto, err);
}

static int open_tracer(struct rb_parts *parts, struct rb_error *err)
{
    const struct rb_tracer_config tracer = {
        .url = parts->options->common.otlp_url,
        .headers = parts->options->common.otlp_headers,
        .service = "reelbus-consumer",
        .sampler = parts->options->common.traces_sampler,
        .sampler_arg = parts->options->common.traces_sampler_arg,
        .metrics = &parts->metrics,
        .sent = METRIC_SPANS_SENT,
        .dropped = METRIC_SPANS_DROPPED,
    };

    return rb_tracer_new(parts->loop, &tracer, &parts->tracer, err);
}

int rb_parts_open_jobs(struct rb_parts *parts, bool announces, struct rb_error *err)
{
    rb_metrics_init(&parts->metrics, metric_rows, RB_COUNT(metric_rows));
    parts->loop_is_ours = parts->loop == NULL;
    if (parts->loop_is_ours) {
        parts->loop = rb_loop_new();
        rb_loop_on_log_signals(parts->loop);
        parts->watchdog = rb_watchdog_new(parts->loop, parts->options->common.watchdog_ms);
    }
    rb_log(NULL, RB_EV_START, "program=reelbus-consumer version=%s pid=%d", RB_VERSION, (int)getpid());
    RB_TRY(open_tracer(parts, err));
    open_database(parts);
    RB_TRY(rb_parts_open_transfers(parts, err));
    open_lines(parts);
    open_codec(parts, announces);
    if (!announces)
        return 0;
    RB_TRY(open_output(parts, err));
    return rb_parts_open_removal(parts, err);
}

int rb_parts_open(struct rb_parts *parts, struct rb_error *err)
{
    RB_TRY(rb_log_start(parts->options->common.log_level, parts->options->common.log_format, err));
    RB_TRY(rb_parts_open_jobs(parts, true, err));
    RB_TRY(open_input(parts, err));
    open_hold(parts);
    return open_redrive(parts, err);
}

bool rb_parts_close(struct rb_parts *parts)
{
    rb_watchdog_close(parts->watchdog);
    RB_FAIL_HERE(program_closing);
    rb_httpd_free(parts->httpd);
    rb_hold_free(parts->hold);
    rb_redrive_auto_free(parts->redrive_auto);
    if (!rb_consume_free(parts->consume))
        return false;
    rb_make_room_free(parts->make_room);
    rb_usage_free(parts->usage);
    rb_retain_schedule_free(parts->retention);
    rb_remove_free(parts->remove);
    rb_pg_free(parts->pg);
    if (!rb_emit_free(parts->emit))
        return false;
    rb_history_free(parts->history);
    rb_progress_free(parts->progress);
    rb_codec_free(parts->codec);
    rb_http_free(parts->media_http);
    rb_http_free(parts->ask_http);
    rb_providers_unref(parts->transfer.providers);
    rb_store_probe_free(parts->probe);
    rb_store_probe_free(parts->fallback_probe);
    rb_stores_close(&parts->stores);
    rb_record_free(parts->record);
    rb_turns_free(parts->turns);
    rb_delay_free(parts->delay);
    rb_circuit_free(parts->circuit);
    rb_circuit_free(parts->fallback_circuit);
    rb_slots_free(parts->slots);
    rb_slots_free(parts->asks);
    rb_tracer_free(parts->tracer);
    rb_timer_free(parts->drain);
    if (parts->loop_is_ours)
        rb_loop_free(parts->loop);
    rb_metrics_done(&parts->metrics);
    rb_watchdog_free(parts->watchdog);
    return true;
}
