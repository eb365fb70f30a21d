/*
 * consume_pause.c — takes no more records than can be worked on, and none while our own side is away or
 * an operator wants it so.
 *
 * Way:  Kafka -> [consume] -> job
 */
#include "consumer/consume_inside.h"
#include "consumer/metrics_table.h"

#define LOOK_MS     250    /* at whether our own side is back */
#define OFFSETS_MAX 100000 /* of one partition, that wait for an older one: bounds the memory */

/* Records that are worked on now. */
static size_t working(const struct rb_consume *consume)
{
    return consume->count - rb_delay_count(consume->env.delay);
}

/* Our own side is away, and there are records to find out by when it is back. */
static bool waits_for_outage(const struct rb_consume *consume)
{
    return consume->outage && working(consume) > 0;
}

/* How many delayed records may be worked on beside these. */
size_t consume_room(void *arg)
{
    const struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    size_t count = working(consume);

    if (consume->draining || consume->held || waits_for_outage(consume) || count >= consume->records_max)
        return 0;
    return consume->records_max - count;
}

static bool should_pause(const struct rb_consume *consume, const struct partition *partition)
{
    if (consume->draining || consume->held || consume->full || waits_for_outage(consume))
        return true;
    if (rb_offsets_count(&partition->offsets) >= (partition->paused ? OFFSETS_MAX / 2 : OFFSETS_MAX))
        return true;
    if (!rb_offsets_has_room(&partition->offsets, partition->paused ? 2 : 1))
        return true; /* the map of what is finished would not fit beside the offset */
    return partition->event == RB_EVENT_VIDEO_STORE_RETRY && rb_delay_is_full(consume->env.delay);
}

typedef bool (*wanted_fn)(const struct rb_consume *consume, const struct partition *partition);

static bool never(const struct rb_consume *consume, const struct partition *partition)
{
    (void)consume;
    (void)partition;
    return false;
}

/* Resuming what is not paused would fetch records again that we have: so each partition knows how it is. */
static void pause_or_resume(struct rb_consume *consume, bool pause, wanted_fn wanted)
{
    rd_kafka_topic_partition_list_t *list = NULL; /* most of the time there is nothing to do */

    for (struct partition *partition = consume->partitions; partition != NULL; partition = partition->next) {
        if (partition->paused == pause || wanted(consume, partition) != pause)
            continue;
        if (list == NULL)
            list = rd_kafka_topic_partition_list_new(8);
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
        partition->paused = pause;
    }
    if (list == NULL)
        return;
    if (pause)
        rd_kafka_pause_partitions(consume_handle(consume), list);
    else
        rd_kafka_resume_partitions(consume_handle(consume), list);
    rd_kafka_topic_partition_list_destroy(list);
}

void consume_resume_all(struct rb_consume *consume)
{
    pause_or_resume(consume, false, never);
}

/* The group does not notice: we go on serving its queue, and so stay a member. */
void consume_adapt_pause(struct rb_consume *consume)
{
    size_t count = working(consume);

    if (count >= consume->records_max)
        consume->full = true;
    else if (count <= consume->records_max / 2)
        consume->full = false;
    pause_or_resume(consume, true, should_pause);
    pause_or_resume(consume, false, should_pause);
    rb_metrics_set(consume->env.metrics, METRIC_PAUSED,
                   consume->draining || consume->held || consume->full || waits_for_outage(consume));
    rb_metrics_set(consume->env.metrics, METRIC_DELAYED, (int64_t)rb_delay_count(consume->env.delay));
}

void rb_consume_hold(struct rb_consume *consume, bool hold)
{
    consume->held = hold;
    rb_delay_poke(consume->env.delay);
    consume_adapt_pause(consume);
}

/* A job has met it. No more records are taken until it is over; those that are worked on wait by themselves. */
void consume_on_outage(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);

    consume->outage = true;
    if (!rb_timer_is_started(consume->look_timer))
        rb_timer_start(consume->look_timer, LOOK_MS);
    consume_adapt_pause(consume);
}

void consume_on_look(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);

    if (consume->is_outage != NULL && consume->is_outage(consume->outage_arg)) {
        rb_timer_start(consume->look_timer, LOOK_MS);
        return;
    }
    consume->outage = false;
    rb_delay_poke(consume->env.delay);
    consume_adapt_pause(consume);
}
