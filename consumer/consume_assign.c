/*
 * consume_assign.c — the group gives us partitions, and wants them back.
 *
 * Way:  Kafka -> [consume] -> job
 *
 * librdkafka waits for our answer to both, and we need not give it at once. Before partitions are read, the group's offsets
 * and the maps beside them are fetched, in one read. Before they are given back, the transaction that has their offsets comes to
 * its end: nothing depends on it, because whoever reads these offsets next waits for it too, but it saves them the wait.
 */
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "consumer/consume_inside.h"

#define REVOKE_MS 10000 /* that the transaction is waited for */
#define END_MS    6000  /* more than one answer may take */
#define SERVE_MS  10

/* -- given --------------------------------------------------------------------------------------------------------- */

static void on_fetched(void *arg);

static void start_fetch(struct rb_consume *consume, rd_kafka_topic_partition_list_t *list)
{
    consume->assigning.list = list;
    consume_fetch_start(consume, &consume->assigning, on_fetched);
}

/* The answer is about partitions that are not ours any more. Those that came after them have waited for it. */
static void drop_answer(struct rb_consume *consume)
{
    rd_kafka_topic_partition_list_t *given = consume->given;

    consume_fetch_done(&consume->assigning);
    consume->abandoned = false;
    consume->given = NULL;
    if (given != NULL)
        start_fetch(consume, given);
}

static void on_fetched(void *arg)
{
    struct consume_fetch *fetch = arg;
    struct rb_consume *consume = RB_CAST(rb_consume, fetch->consume, CONSUME_MAGIC);

    fetch->call = NULL;
    if (consume->closing)
        return;
    if (consume->abandoned) {
        drop_answer(consume);
        return;
    }
    if (!consume_fetch_take(fetch)) {
        rb_timer_start(consume->again_timer, CONSUME_AGAIN_MS);
        return;
    }
    for (int i = 0; i < fetch->list->cnt; i++)
        consume_add_partition(consume, &fetch->list->elems[i], &fetch->maps[i]);
    RB_FAIL_HERE(partitions_taken);
    rd_kafka_assign(consume_handle(consume), fetch->list);
    consume_fetch_done(fetch);
    consume_adapt_pause(consume);
}

void consume_on_again(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);

    if (consume->assigning.list != NULL && consume->assigning.call == NULL)
        consume_fetch_start(consume, &consume->assigning, on_fetched);
    consume_look_again(consume);
}

/*
 * Brokers take offsets from whoever says that he is no member: from generation -1. So what is not a membership must not be used
 * as one; librdkafka gives such when the group has dropped us meanwhile.
 */
static bool is_membership(const rd_kafka_consumer_group_metadata_t *group)
{
    static const char magic[] = "CGMDv2:"; /* librdkafka 2 shows the generation in no other way */
    const size_t behind = sizeof(magic) - 1;
    int32_t generation = -1;
    void *bytes = NULL;
    size_t count = 0;

    if (rd_kafka_consumer_group_metadata_write(group, &bytes, &count) != NULL)
        RB_BUG("librdkafka does not write a membership");
    if (count >= behind + sizeof(generation) && memcmp(bytes, magic, behind) == 0)
        memcpy(&generation, (const char *)bytes + behind, sizeof(generation));
    rd_kafka_mem_free(NULL, bytes);
    return generation >= 0;
}

static void take_membership(struct rb_consume *consume)
{
    consume->group = rd_kafka_consumer_group_metadata(consume_handle(consume));
    if (consume->group == NULL || is_membership(consume->group))
        return;
    rd_kafka_consumer_group_metadata_destroy(consume->group);
    consume->group = NULL; /* nothing is committed until we get partitions anew */
}

static void begin_assign(struct rb_consume *consume, const rd_kafka_topic_partition_list_t *list)
{
    RB_FAIL_HERE(partitions_given);
    take_membership(consume);
    if (consume->assigning.call == NULL)
        start_fetch(consume, rd_kafka_topic_partition_list_copy(list));
    else
        consume->given = rd_kafka_topic_partition_list_copy(list);
}

/* -- and taken away ------------------------------------------------------------------------------------------------ */

void consume_finish_revoke(struct rb_consume *consume)
{
    rb_timer_stop(consume->revoke_timer);
    rd_kafka_assign(consume_handle(consume), NULL);
}

void consume_on_revoke_timer(void *arg)
{
    consume_finish_revoke(RB_CAST(rb_consume, arg, CONSUME_MAGIC));
}

/* The jobs are gone, and with them what they had sent and no transaction has yet. */
static void begin_revoke(struct rb_consume *consume)
{
    if (consume->in_flight == 0 || consume->closing)
        consume_finish_revoke(consume);
    else
        rb_timer_start(consume->revoke_timer, REVOKE_MS);
}

/* What is being asked about the partitions of before. librdkafka waits with the next rebalance until then, but who knows. */
static void abandon_fetch(struct rb_consume *consume)
{
    if (consume->given != NULL)
        rd_kafka_topic_partition_list_destroy(consume->given);
    consume->given = NULL;
    consume->abandoned = consume->assigning.call != NULL;
    if (!consume->abandoned)
        consume_fetch_done(&consume->assigning);
}

void consume_take_rebalance(struct rb_consume *consume, rd_kafka_event_t *event)
{
    bool assigned = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;

    consume_drop_partitions(consume);
    abandon_fetch(consume);
    if (assigned && !consume->closing)
        begin_assign(consume, rd_kafka_event_topic_partition_list(event));
    else
        begin_revoke(consume);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* A call on the pool, that is NULL once it is done. */
static bool call_ends(struct rb_consume *consume, struct rb_pool_call *const *call)
{
    int64_t until_ms = rb_clock_ms() + END_MS;

    while (*call != NULL && !rb_pool_has_ended(*call) && rb_clock_ms() < until_ms)
        (void)rb_kafka_serve(consume->kafka, SERVE_MS);
    if (*call == NULL)
        return true;
    if (!rb_pool_has_ended(*call))
        return false;
    rb_pool_finish(*call);
    return true;
}

bool consume_end_assignment(struct rb_consume *consume)
{
    bool assigning = consume->assigning.list != NULL;

    if (!call_ends(consume, &consume->assigning.call) || !call_ends(consume, &consume->looking.call) ||
        !call_ends(consume, &consume->lag.call))
        return false;
    if (assigning || rb_timer_is_started(consume->revoke_timer))
        consume_finish_revoke(consume);
    abandon_fetch(consume);
    consume_fetch_done(&consume->looking);
    return true;
}
