/*
 * consume_partitions.c — partitions come and go, and their jobs with them.
 *
 * Way:  Kafka -> [consume] -> job
 */
#include <inttypes.h>

#include "common/log.h"
#include "consumer/consume_inside.h"
#include "consumer/metrics_table.h"

void consume_work_link(struct work **list, struct work *work)
{
    work->next = *list;
    work->link = list;
    if (work->next != NULL)
        work->next->link = &work->next;
    *list = work;
}

void consume_work_unlink(struct work *work)
{
    *work->link = work->next;
    if (work->next != NULL)
        work->next->link = work->link;
}

void consume_work_free(struct rb_consume *consume, struct work *work)
{
    consume_work_unlink(work);
    rb_job_free(work->job);
    free(work);
    consume->count--;
}

static void add_partition(struct rb_consume *consume, const rd_kafka_topic_partition_t *from)
{
    for (size_t i = 0; i < CONSUME_TOPICS; i++) {
        struct partition *partition;

        if (strcmp(consume->topics[i].name, from->topic) != 0)
            continue;
        partition = rb_xalloc(sizeof(*partition));
        *partition = (struct partition){
            .topic = consume->topics[i].name,
            .event = consume->topics[i].event,
            .number = from->partition,
            .committed = -1,
            .next = consume->partitions,
        };
        rb_offsets_init(&partition->offsets);
        consume->partitions = partition;
        rb_metrics_add(consume->env.metrics, METRIC_PARTITIONS, 1);
        rb_log(NULL, RB_EV_PARTITIONS_TAKEN, "topic=%s partition=%" PRId32, partition->topic, partition->number);
    }
}

size_t consume_drop_works(struct rb_consume *consume, struct partition *partition, bool idle_only)
{
    size_t dropped = 0;

    for (struct work *work = partition->works, *next; work != NULL; work = next) {
        next = work->next;
        if (idle_only && !rb_job_is_idle(work->job))
            continue;
        rb_log(NULL, RB_EV_JOB_DROPPED, "topic=%s partition=%" PRId32 " offset=%" PRId64 " state=%s", partition->topic,
               partition->number, rb_job_message(work->job)->origin.offset, rb_job_state_name(work->job));
        consume_work_free(consume, work);
        dropped++;
    }
    return dropped;
}

/* Their unfinished records go to whoever has the partitions next. */
void consume_drop_partitions(struct rb_consume *consume)
{
    struct partition *partition;

    consume_resume_all(consume); /* librdkafka remembers pauses over a rebalance */
    while ((partition = consume->partitions) != NULL) {
        size_t dropped = consume_drop_works(consume, partition, false);

        rb_log(NULL, RB_EV_PARTITIONS_LOST, "topic=%s partition=%" PRId32 " dropped=%zu", partition->topic,
               partition->number, dropped);
        consume->partitions = partition->next;
        rb_offsets_done(&partition->offsets);
        free(partition);
    }
    rb_metrics_set(consume->env.metrics, METRIC_PARTITIONS, 0);
}

void consume_take_rebalance(struct rb_consume *consume, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    bool assigned = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;

    if (!rd_kafka_assignment_lost(consume_handle(consume)))
        consume_commit_and_wait(consume);
    consume_drop_partitions(consume);
    if (!assigned) {
        rd_kafka_assign(consume_handle(consume), NULL);
        return;
    }
    for (int i = 0; i < list->cnt; i++)
        add_partition(consume, &list->elems[i]);
    rd_kafka_assign(consume_handle(consume), list);
    consume_adapt_pause(consume);
}
