/*
 * consume_lag.c — how far behind we are: in records, in their age, and in what is left of the URLs' lives.
 *
 * Way:  Kafka -> [consume] -> job
 *
 * Where a partition ends is known from what is fetched of it. Of one that is paused nothing is fetched: Kafka is asked.
 */
#include "common/clock.h"
#include "consumer/consume_inside.h"
#include "consumer/metrics_table.h"

#define ASK_EVERY_MS 2000
#define ASK_MS       5000 /* for an answer */

_Static_assert(METRIC_LAG_RETRY - METRIC_LAG_WEBHOOK == CONSUME_TOPICS - 1, "a row for each topic, in their order");

/* -- where paused partitions end ----------------------------------------------------------------------------------- */

/* On the pool. */
static void on_ask(void *arg)
{
    struct consume_lag *lag = arg;

    lag->code = rd_kafka_offsets_for_times(lag->handle, lag->list, ASK_MS);
    if (lag->code == RD_KAFKA_RESP_ERR_NO_ERROR && lag->begins->cnt > 0)
        lag->code = rd_kafka_offsets_for_times(lag->handle, lag->begins, ASK_MS);
}

static void take(struct rb_consume *consume, const rd_kafka_topic_partition_list_t *list, bool ends)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *told = &list->elems[i];
        struct partition *partition = consume_find(consume, told->topic, told->partition);

        if (partition != NULL && told->err == RD_KAFKA_RESP_ERR_NO_ERROR && told->offset >= 0)
            *(ends ? &partition->end : &partition->begin) = told->offset;
    }
}

static void drop_lists(struct consume_lag *lag)
{
    rd_kafka_topic_partition_list_destroy(lag->list);
    rd_kafka_topic_partition_list_destroy(lag->begins);
    lag->list = lag->begins = NULL;
}

static void on_told(void *arg)
{
    struct consume_lag *lag = arg;
    struct rb_consume *consume = RB_CAST(rb_consume, lag->consume, CONSUME_MAGIC);

    lag->call = NULL;
    if (lag->code == RD_KAFKA_RESP_ERR_NO_ERROR && !consume->closing) {
        take(consume, lag->list, true);
        take(consume, lag->begins, false);
    }
    drop_lists(lag);
    if (!consume->closing)
        rb_timer_start(lag->timer, ASK_EVERY_MS);
}

static void add(rd_kafka_topic_partition_list_t *list, const struct partition *partition, int64_t wanted)
{
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset = wanted;
}

static void list_paused(const struct rb_consume *consume, struct consume_lag *lag)
{
    lag->list = rd_kafka_topic_partition_list_new(8);
    lag->begins = rd_kafka_topic_partition_list_new(8);
    for (const struct partition *partition = consume->partitions; partition != NULL; partition = partition->next) {
        if (!partition->paused)
            continue;
        add(lag->list, partition, RD_KAFKA_OFFSET_END);
        if (rb_offsets_committable(&partition->offsets) < 0)
            add(lag->begins, partition, RD_KAFKA_OFFSET_BEGINNING);
    }
}

static void on_timer(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    struct consume_lag *lag = &consume->lag;

    list_paused(consume, lag);
    lag->handle = consume_handle(consume);
    if (lag->list->cnt > 0) {
        lag->call = rb_pool_start(consume->env.loop, on_ask, on_told, lag);
        return;
    }
    drop_lists(lag);
    rb_timer_start(lag->timer, ASK_EVERY_MS);
}

/* -- what is shown ------------------------------------------------------------------------------------------------- */

/* Behind the last record of the partition, as far as we know; -1 when we do not. */
static int64_t end_of(const struct rb_consume *consume, const struct partition *partition)
{
    int64_t low, high = -1;

    if (partition->paused && partition->end >= 0)
        return partition->end;
    if (rd_kafka_get_watermark_offsets(consume_handle(consume), partition->topic, partition->number, &low, &high) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return partition->end;
    return high >= 0 ? high : partition->end;
}

/* A new group has nothing to read that is gone already. */
static int64_t begin_of(const struct rb_consume *consume, const struct partition *partition)
{
    int64_t low = -1, high;

    if (partition->begin >= 0)
        return partition->begin;
    if (rd_kafka_get_watermark_offsets(consume_handle(consume), partition->topic, partition->number, &low, &high) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return RB_MAX(low, 0);
}

static int64_t lag_of(const struct rb_consume *consume, const struct partition *partition)
{
    int64_t end = end_of(consume, partition);
    int64_t finished = rb_offsets_committable(&partition->offsets);
    int64_t from = finished >= 0 ? finished : begin_of(consume, partition);

    return end >= 0 ? RB_MAX(end - from, 0) : 0;
}

static void show_records(const struct rb_consume *consume, struct rb_metrics *metrics)
{
    int64_t lags[CONSUME_TOPICS] = {0};

    for (const struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        for (size_t i = 0; i < CONSUME_TOPICS; i++)
            if (consume->topics[i].event == partition->event)
                lags[i] += lag_of(consume, partition);
    for (size_t i = 0; i < CONSUME_TOPICS; i++)
        rb_metrics_set(metrics, METRIC_LAG_WEBHOOK + i, lags[i]);
}

/* What all jobs together come to. Milliseconds since 1970; INT64_MAX for none. */
struct outlook {
    int64_t oldest;
    int64_t expiry;
    int64_t at_risk; /* how many */
};

static void look_at(const struct rb_job *job, int64_t risk_before, struct outlook *outlook)
{
    int64_t expires_at = rb_job_expires_at(job);

    if (rb_job_since(job) != RB_NO_LONG)
        outlook->oldest = RB_MIN(outlook->oldest, rb_job_since(job));
    if (expires_at == RB_NO_LONG)
        return;
    outlook->expiry = RB_MIN(outlook->expiry, expires_at);
    outlook->at_risk += expires_at <= risk_before ? 1 : 0;
}

static void show(struct rb_metrics *metrics, void *arg)
{
    const struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    struct outlook outlook = {INT64_MAX, INT64_MAX, 0};
    int64_t now = rb_clock_unix_ms();

    for (const struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        for (const struct work *work = partition->works; work != NULL; work = work->next)
            look_at(work->job, now + consume->at_risk_ms, &outlook);
    show_records(consume, metrics);
    rb_metrics_set(metrics, METRIC_OLDEST, RB_MAX(now - outlook.oldest, 0) / 1000);
    rb_metrics_set(metrics, METRIC_NEXT_EXPIRY,
                   outlook.expiry != INT64_MAX ? (outlook.expiry - now) / 1000 : RB_METRIC_NEVER);
    rb_metrics_set(metrics, METRIC_AT_RISK, outlook.at_risk);
}

void consume_lag_start(struct rb_consume *consume)
{
    consume->lag.consume = consume;
    consume->lag.timer = rb_timer_new(consume->env.loop, on_timer, consume);
    rb_timer_start(consume->lag.timer, ASK_EVERY_MS);
    rb_metrics_on_show(consume->env.metrics, show, consume);
}
