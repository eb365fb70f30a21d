/*
 * consume.c — membership of the consumer group.
 *
 * Way:  Kafka -> [consume] -> job
 *
 * The group uses the eager range assignor: partitions of the same number of all topics go to the same member, so that
 * records about one video meet in one process; the cooperative one of librdkafka parts them (README.md says more).
 */
#include "consumer/consume.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/errmap.h"
#include "common/log.h"
#include "consumer/consume_inside.h"
#include "consumer/metrics_table.h"

#define CLOSE_WAIT_MS  5000
#define COMMIT_WAIT_MS 3000
#define SERVE_STEP_MS  50

/* The topics that bring work. */
static const enum rb_event input_events[] = {RB_EVENT_VIDEO_WEBHOOK_RECEIVED, RB_EVENT_VIDEO_POLL_RESULT,
                                             RB_EVENT_VIDEO_STORE_RETRY};

_Static_assert(RB_COUNT(input_events) == CONSUME_TOPICS, "one name for each topic");

rd_kafka_t *consume_handle(const struct rb_consume *consume)
{
    return rb_kafka_handle(consume->kafka);
}

struct partition *consume_find(struct rb_consume *consume, const char *topic, int32_t number)
{
    for (struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        if (partition->number == number && strcmp(partition->topic, topic) == 0)
            return partition;
    return NULL;
}

static void sweep(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);

    while (consume->finished != NULL)
        consume_work_free(consume, consume->finished);
    rb_delay_poke(consume->env.delay);
    consume_adapt_pause(consume);
}

/* Called by the job itself: it is freed when it is not on the stack any more. */
static void on_finished(struct rb_job *job, void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    struct work *work = rb_job_owner(job);
    int64_t offset = rb_job_message(job)->origin.offset;

    if (rb_offsets_is_open(&work->partition->offsets, offset)) { /* else it was committed with what it has led to */
        rb_offsets_finish(&work->partition->offsets, offset);
        work->partition->changed = true;
    }
    consume_work_unlink(work);
    consume_work_link(&consume->finished, work);
    rb_task_queue(&consume->sweep);
}

/*
 * A record that is not above the last one: librdkafka 2.0.2 fetches some twice after a pause. But a log that ends below what was
 * read of it is another one, of the same name: Kafka says nothing of that, and its records were never seen.
 */
static bool is_another_log(struct rb_consume *consume, const struct partition *partition)
{
    int64_t low, high;

    return rd_kafka_get_watermark_offsets(consume_handle(consume), partition->topic, partition->number, &low, &high) ==
               RD_KAFKA_RESP_ERR_NO_ERROR &&
           high >= 0 && high < partition->offsets.next;
}

static enum rb_offsets_begun begin_record(struct rb_consume *consume, struct partition *partition, int64_t offset)
{
    enum rb_offsets_begun begun = rb_offsets_begin(&partition->offsets, offset);

    if (begun == RB_OFFSETS_SEEN && is_another_log(consume, partition)) {
        rb_log(NULL, RB_EV_LOG_ANEW, "topic=%s partition=%" PRId32 " offset=%" PRId64, partition->topic,
               partition->number, offset);
        consume_drop_works(consume, partition, false);
        rb_offsets_done(&partition->offsets);
        begun = rb_offsets_begin(&partition->offsets, offset);
    }
    if (begun == RB_OFFSETS_FINISHED)
        rb_metrics_add(consume->env.metrics, METRIC_SKIPPED, 1);
    partition->changed = partition->changed || begun == RB_OFFSETS_FINISHED;
    return begun;
}

static void take_record(struct rb_consume *consume, const rd_kafka_message_t *message)
{
    struct partition *partition = consume_find(consume, rd_kafka_topic_name(message->rkt), message->partition);
    struct work *work;

    if (partition == NULL || consume->draining || begin_record(consume, partition, message->offset) != RB_OFFSETS_NEW)
        return;
    work = rb_xalloc(sizeof(*work));
    work->partition = partition;
    consume_work_link(&partition->works, work);
    work->job = rb_job_new(&consume->env, rb_message_new(message, partition->topic), partition->event, work);
    consume->count++;
    consume_adapt_pause(consume);
}

static void take_fetched(struct rb_consume *consume, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    struct rb_error err = {0};

    while ((message = rd_kafka_event_message_next(event)) != NULL) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take_record(consume, message);
        } else {
            rb_fail(&err, rb_errmap_kafka(message->err), message->err, "%.200s", rd_kafka_message_errstr(message));
            rb_log_error(NULL, RB_EV_KAFKA_TROUBLE, &err, "topic=%s partition=%" PRId32,
                         message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "-", message->partition);
        }
    }
}

/* All is read, also the markers of transactions that are no records: so nothing seems to be left to do. */
static void take_end(struct rb_consume *consume, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_t *end = rd_kafka_event_topic_partition(event);
    struct partition *partition = end != NULL ? consume_find(consume, end->topic, end->partition) : NULL;

    if (partition != NULL && !consume->draining && rb_offsets_reach(&partition->offsets, end->offset))
        partition->changed = true;
    if (end != NULL)
        rd_kafka_topic_partition_destroy(end);
}

static void on_event(rd_kafka_event_t *event, void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    struct rb_error err = {0};

    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_FETCH:
        take_fetched(consume, event);
        break;
    case RD_KAFKA_EVENT_REBALANCE:
        consume_take_rebalance(consume, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            take_end(consume, event);
        break;
    default:
        break;
    }
    if (rb_kafka_check_fatal(consume->kafka, &err) < 0)
        consume->env.on_fatal(&err, consume->env.fatal_arg);
}

static int subscribe(struct rb_consume *consume, struct rb_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(CONSUME_TOPICS);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < CONSUME_TOPICS; i++)
        rd_kafka_topic_partition_list_add(list, consume->topics[i].name, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(consume_handle(consume), list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rb_fail(err, RB_E_BAD_OPTION, code, "cannot subscribe: %s", rd_kafka_err2str(code));
    return 0;
}

static int consume_open(struct rb_consume *consume, const struct rb_consume_config *config, struct rb_error *err)
{
    const char *const settings[] = {
        "group.id",
        config->group,
        "auto.offset.reset",
        "earliest",
        "partition.assignment.strategy",
        "range",
        "queued.max.messages.kbytes",
        "8192", /* what waits in librdkafka; bounds its memory */
        /* last, so that an empty one can be left out: */
        config->instance_id[0] != '\0' ? "group.instance.id" : NULL,
        config->instance_id,
        NULL,
    };

    RB_TRY(rb_kafka_open(consume->env.loop, RD_KAFKA_CONSUMER, &config->kafka, settings, on_event, consume,
                         &consume->kafka, err));
    return subscribe(consume, err);
}

static struct consume_topic topic_of(enum rb_event event, const char *prefix)
{
    return (struct consume_topic){rb_xprintf("%s%s", prefix, rb_event_info(event)->topic), event};
}

int rb_consume_new(const struct rb_consume_config *config, const struct rb_job_env *env,
                   struct rb_consume **ret_consume, struct rb_error *err)
{
    struct rb_consume *consume = rb_xalloc(sizeof(*consume));

    *consume = (struct rb_consume){
        .magic = CONSUME_MAGIC,
        .env = *env,
        .records_max = config->records_max,
        .commit_interval_ms = config->commit_interval_ms,
        .at_risk_ms = config->at_risk_ms,
        .is_outage = config->is_outage,
        .outage_arg = config->outage_arg,
        .commit = rb_emit_commit(env->emit),
        .assignment = 1,
    };
    consume->env.on_finished = on_finished;
    consume->env.finished_arg = consume;
    consume->env.on_outage = consume_on_outage;
    consume->env.outage_arg = consume;
    rb_delay_set_room(env->delay, consume_room, consume);
    consume->look_timer = rb_timer_new(env->loop, consume_on_look, consume);
    consume->again_timer = rb_timer_new(env->loop, consume_on_again, consume);
    consume->revoke_timer = rb_timer_new(env->loop, consume_on_revoke_timer, consume);
    consume_hook_commit(consume);
    for (size_t i = 0; i < CONSUME_TOPICS; i++)
        consume->topics[i] = topic_of(input_events[i], config->topic_prefix);
    rb_task_init(&consume->sweep, env->loop, sweep, consume);
    consume->commit_timer = rb_timer_new(env->loop, consume_on_commit_timer, consume);
    if (consume_open(consume, config, err) < 0) {
        (void)rb_consume_free(consume);
        return -1;
    }
    rb_timer_start(consume->commit_timer, consume->commit_interval_ms);
    consume_lag_start(consume);
    *ret_consume = consume;
    return 0;
}

void rb_consume_drain(struct rb_consume *consume)
{
    consume->draining = true;
    consume_adapt_pause(consume);
    for (struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        consume_drop_works(consume, partition, true);
    consume_commit_soon(consume);
}

size_t rb_consume_running(const struct rb_consume *consume)
{
    size_t count = 0;

    for (const struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        for (const struct work *work = partition->works; work != NULL; work = work->next)
            count += rb_job_only_waits(work->job) ? 0 : 1;
    return count;
}

size_t rb_consume_count(const struct rb_consume *consume)
{
    return consume->count;
}

void rb_consume_poke(struct rb_consume *consume)
{
    for (struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        for (struct work *work = partition->works; work != NULL; work = work->next)
            rb_job_poke(work->job);
}

bool rb_consume_is_up(const struct rb_consume *consume)
{
    return rb_kafka_is_up(consume->kafka);
}

/*
 * Leaving the group may hang in librdkafka 2.0.2 when the coordinator is away. Nothing depends on it, so it is bounded;
 * gives false when the time was up. After a fatal error there is nothing to leave.
 */
static bool leave_group(struct rb_consume *consume)
{
    rd_kafka_t *handle = consume_handle(consume);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle);
    int64_t until_ms = rb_clock_ms() + CLOSE_WAIT_MS;

    rd_kafka_error_t *refused = rd_kafka_consumer_close_queue(handle, queue);
    bool left = refused != NULL;

    while (!left && rb_clock_ms() < until_ms) {
        (void)rb_kafka_serve(consume->kafka, SERVE_STEP_MS);
        left = rd_kafka_consumer_closed(handle) != 0;
    }
    rd_kafka_error_destroy(refused);
    rd_kafka_queue_destroy(queue);
    return left;
}

/* All that talks to Kafka; false when something hangs. */
static bool consume_close(struct rb_consume *consume)
{
    consume->closing = true;
    sweep(consume);
    consume_drop_partitions(consume);
    rb_commit_wait(consume->commit, COMMIT_WAIT_MS);
    rb_commit_set_offsets(consume->commit, NULL);
    return consume_end_assignment(consume) && leave_group(consume) &&
           rb_kafka_close_within(consume->kafka, CLOSE_WAIT_MS);
}

bool rb_consume_free(struct rb_consume *consume)
{
    bool ended;

    if (consume == NULL)
        return true;
    ended = consume->kafka == NULL || consume_close(consume);
    if (!ended)
        return false; /* the end of the process closes what hangs */
    rb_commit_set_offsets(consume->commit, NULL);
    if (consume->wanted != NULL)
        rd_kafka_topic_partition_list_destroy(consume->wanted);
    rb_task_done(&consume->sweep);
    rb_timer_free(consume->commit_timer);
    rb_timer_free(consume->look_timer);
    rb_timer_free(consume->again_timer);
    rb_timer_free(consume->revoke_timer);
    rb_timer_free(consume->lag.timer);
    rb_delay_set_room(consume->env.delay, NULL, NULL);
    for (size_t i = 0; i < CONSUME_TOPICS; i++)
        free(consume->topics[i].name);
    consume->magic = 0;
    free(consume);
    return true;
}
