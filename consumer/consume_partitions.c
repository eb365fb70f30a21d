/*
 * consume_partitions.c — partitions come and go, and their jobs with them.
 *
 * Way:  Kafka -> [consume] -> job
 */
#include <inttypes.h>

#include "common/failpoint.h"
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

static int64_t count_of(const struct rb_offset_map *map)
{
    int64_t count = 0;

    for (size_t i = 0; i < map->count; i++)
        count += map->runs[i].to - map->runs[i].from;
    return count;
}

static void resume_partition(struct partition *partition, const rd_kafka_topic_partition_t *from,
                             struct rb_offset_map *map)
{
    bool committed = from->offset >= 0;

    if (committed && map->count == 0 && from->metadata_size > 0)
        rb_log(NULL, RB_EV_OFFSETS_FOREIGN, "topic=%s partition=%" PRId32 " offset=%" PRId64, partition->topic,
               partition->number, from->offset);
    rb_log(NULL, RB_EV_PARTITIONS_TAKEN, "topic=%s partition=%" PRId32 " offset=%" PRId64 " finished=%" PRId64,
           partition->topic, partition->number, committed ? from->offset : -1, count_of(map));
    partition->committed = committed ? from->offset : -1;
    partition->map = committed && map->count > 0 ? rb_xstrndup(from->metadata, from->metadata_size) : rb_xstrdup("");
    rb_offsets_init(&partition->offsets);
    rb_offsets_resume(&partition->offsets, partition->committed, map);
}

void consume_add_partition(struct rb_consume *consume, const rd_kafka_topic_partition_t *from,
                           struct rb_offset_map *map)
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
            .end = -1,
            .begin = -1,
            .next = consume->partitions,
        };
        resume_partition(partition, from, map);
        consume->partitions = partition;
        rb_metrics_add(consume->env.metrics, METRIC_PARTITIONS, 1);
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

    if (consume->partitions != NULL)
        RB_FAIL_HERE(partitions_lost);
    consume_resume_all(consume); /* librdkafka remembers pauses over a rebalance */
    while ((partition = consume->partitions) != NULL) {
        size_t dropped = consume_drop_works(consume, partition, false);

        rb_log(NULL, RB_EV_PARTITIONS_LOST, "topic=%s partition=%" PRId32 " dropped=%zu", partition->topic,
               partition->number, dropped);
        consume->partitions = partition->next;
        rb_offsets_done(&partition->offsets);
        free(partition->map);
        free(partition);
    }
    if (consume->group != NULL)
        rd_kafka_consumer_group_metadata_destroy(consume->group);
    consume->group = NULL;
    consume->assignment++;
    rb_metrics_set(consume->env.metrics, METRIC_PARTITIONS, 0);
}
