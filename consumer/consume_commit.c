/*
 * consume_commit.c — the offsets that go into a transaction, and what became of them.
 *
 * Way:  Kafka -> [consume] <- offsets, commit
 */
#include "common/failpoint.h"
#include "common/log.h"
#include "consumer/consume_inside.h"

/* Whoever has staged it has a job, and jobs do not outlive their partition. */
static bool stage(const struct rb_origin *origin, void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    struct partition *partition = consume_find(consume, origin->topic, origin->partition);

    if (partition == NULL || consume->group == NULL)
        return false;
    rb_offsets_stage(&partition->offsets, origin->offset);
    partition->changed = true;
    return true;
}

static uint64_t seed_of(const struct partition *partition)
{
    return rb_offset_map_seed(partition->topic, partition->number);
}

/* Adds what has changed of a partition; the list is made when there is something to put into it. */
static void collect_partition(struct partition *partition, rd_kafka_topic_partition_list_t **list)
{
    char text[RB_OFFSET_MAP_TEXT_BYTES];
    struct rb_offset_map map = {0};
    int64_t offset = rb_offsets_snapshot(&partition->offsets, &map);
    rd_kafka_topic_partition_t *entry;

    partition->changed = false;
    if (offset >= 0)
        rb_offset_map_write(&map, seed_of(partition), offset, text);
    rb_offset_map_done(&map);
    if (offset < 0 || (offset == partition->committed && strcmp(text, partition->map) == 0))
        return;
    if (*list == NULL)
        *list = rd_kafka_topic_partition_list_new(8);
    entry = rd_kafka_topic_partition_list_add(*list, partition->topic, partition->number);
    entry->offset = offset;
    entry->metadata = rb_xstrdup(text);
    entry->metadata_size = strlen(text);
}

/* The membership that we had when we got the partitions, not the one of now: brokers check nothing else about them. */
static rd_kafka_consumer_group_metadata_t *copy_group(const rd_kafka_consumer_group_metadata_t *group)
{
    rd_kafka_consumer_group_metadata_t *copy = NULL;
    void *bytes = NULL;
    size_t count = 0;

    if (rd_kafka_consumer_group_metadata_write(group, &bytes, &count) != NULL ||
        rd_kafka_consumer_group_metadata_read(&copy, bytes, count) != NULL)
        RB_BUG("librdkafka does not read what it has written");
    rd_kafka_mem_free(NULL, bytes);
    return copy;
}

static rd_kafka_topic_partition_list_t *collect(rd_kafka_consumer_group_metadata_t **ret_group, void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    rd_kafka_topic_partition_list_t *list = NULL;

    if (consume->group == NULL)
        return NULL;
    for (struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        if (partition->changed)
            collect_partition(partition, &list);
    if (list == NULL)
        return NULL;
    consume->in_flight = consume->assignment;
    *ret_group = copy_group(consume->group);
    return list;
}

static void settle_partition(struct partition *partition, const rd_kafka_topic_partition_t *entry, bool committed)
{
    if (!committed) {
        partition->changed = true;
        return;
    }
    partition->committed = entry->offset;
    free(partition->map);
    partition->map = rb_xstrdup(entry->metadata);
}

static void settle(bool committed, const rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    bool ours = consume->in_flight == consume->assignment;

    consume->in_flight = 0;
    for (struct partition *partition = consume->partitions; ours && partition != NULL; partition = partition->next)
        rb_offsets_settle(&partition->offsets, committed);
    for (int i = 0; ours && i < list->cnt; i++) {
        struct partition *partition = consume_find(consume, list->elems[i].topic, list->elems[i].partition);

        if (partition != NULL)
            settle_partition(partition, &list->elems[i], committed);
    }
    if (rb_timer_is_started(consume->revoke_timer))
        consume_finish_revoke(consume);
    consume_adapt_pause(consume);
}

void consume_commit_soon(struct rb_consume *consume)
{
    bool changed = false;

    for (const struct partition *partition = consume->partitions; partition != NULL; partition = partition->next)
        changed = changed || partition->changed;
    if (changed)
        rb_commit_poke(consume->commit);
}

void consume_on_commit_timer(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);

    consume_commit_soon(consume);
    rb_timer_start(consume->commit_timer, consume->commit_interval_ms);
    consume_adapt_pause(consume);
}

/* -- after doubt --------------------------------------------------------------------------------------------------- */

/* No two transactions of ours commit the same for a partition, and nobody else commits for it while it is ours. */
static bool is_there(const rd_kafka_topic_partition_t *wanted, const rd_kafka_topic_partition_list_t *list)
{
    const rd_kafka_topic_partition_t *found =
        rd_kafka_topic_partition_list_find(list, wanted->topic, wanted->partition);

    return found != NULL && found->offset == wanted->offset && found->metadata_size == wanted->metadata_size &&
           (found->metadata_size == 0 || memcmp(found->metadata, wanted->metadata, found->metadata_size) == 0);
}

static void on_looked(void *arg)
{
    struct consume_fetch *fetch = arg;
    struct rb_consume *consume = RB_CAST(rb_consume, fetch->consume, CONSUME_MAGIC);
    bool committed;

    fetch->call = NULL;
    if (consume->in_flight == consume->assignment && !consume_fetch_take(fetch)) {
        rb_timer_start(consume->again_timer, CONSUME_AGAIN_MS);
        return;
    }
    committed = consume->in_flight == consume->assignment && is_there(&consume->wanted->elems[0], fetch->list);
    rd_kafka_topic_partition_list_destroy(consume->wanted);
    consume->wanted = NULL;
    consume_fetch_done(fetch);
    rb_commit_looked(consume->commit, committed);
}

/* When the partitions are not ours any more, nothing that was about them is sent again, whatever came of it. */
static void look(const rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);

    RB_FAIL_HERE(txn_look);
    if (consume->in_flight != consume->assignment) {
        rb_commit_looked(consume->commit, false);
        return;
    }
    consume->wanted = rd_kafka_topic_partition_list_copy(list);
    consume->looking.list = rd_kafka_topic_partition_list_copy(list);
    consume_fetch_start(consume, &consume->looking, on_looked);
}

void consume_look_again(struct rb_consume *consume)
{
    if (consume->looking.list != NULL && consume->looking.call == NULL)
        consume_fetch_start(consume, &consume->looking, on_looked);
}

void consume_hook_commit(struct rb_consume *consume)
{
    const struct rb_commit_offsets offsets = {stage, collect, settle, look, consume};

    rb_commit_set_offsets(consume->commit, &offsets);
}
