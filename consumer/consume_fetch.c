/*
 * consume_fetch.c — what the group has committed: offsets, and the maps beside them.
 *
 * Way:  Kafka -> [consume] <- offset_map
 */
#include <inttypes.h>

#include "common/errmap.h"
#include "common/log.h"
#include "consumer/consume_inside.h"

#define FETCH_MS 5000 /* for each answer */

static uint64_t seed_of(const rd_kafka_topic_partition_t *entry)
{
    return rb_offset_map_seed(entry->topic, entry->partition);
}

/* librdkafka asks whom it takes for the leader, and after a refusal the same one again, for minutes: it learns better only here. The
 * group waits for us meanwhile. What is told is of no interest, nor whether it is. */
static void look_for_leaders(rd_kafka_t *handle)
{
    const struct rd_kafka_metadata *metadata = NULL;

    if (rd_kafka_metadata(handle, /* all_topics= */ 1, NULL, &metadata, FETCH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
}

/* What is finished is in the log: a map that says more than that is about another one, made anew under the same name. */
static rd_kafka_resp_err_t check_map(rd_kafka_t *handle, const rd_kafka_topic_partition_t *entry,
                                     struct rb_offset_map *map)
{
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(handle, entry->topic, entry->partition, &low, &high, FETCH_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        look_for_leaders(handle);
    else if (map->runs[map->count - 1].to > high)
        rb_offset_map_done(map);
    return code;
}

static rd_kafka_resp_err_t read_map(rd_kafka_t *handle, const rd_kafka_topic_partition_t *entry,
                                    struct rb_offset_map *map)
{
    rb_offset_map_done(map);
    if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return entry->err;
    if (!rb_offset_map_read(entry->metadata, entry->metadata_size, seed_of(entry), entry->offset, map))
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    return check_map(handle, entry, map);
}

/* On the pool. librdkafka waits until no transaction is pending for these partitions, whoever has begun it. */
static void on_fetch(void *arg)
{
    struct consume_fetch *fetch = arg;

    fetch->code = rd_kafka_committed(fetch->handle, fetch->list, FETCH_MS);
    for (int i = 0; i < fetch->list->cnt && fetch->code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        fetch->code = read_map(fetch->handle, &fetch->list->elems[i], &fetch->maps[i]);
}

void consume_fetch_start(struct rb_consume *consume, struct consume_fetch *fetch, rb_loop_fn done)
{
    fetch->consume = consume;
    fetch->handle = consume_handle(consume);
    if (fetch->maps == NULL)
        fetch->maps = rb_xalloc((size_t)fetch->list->cnt * sizeof(*fetch->maps));
    fetch->call = rb_pool_start(consume->env.loop, on_fetch, done, fetch);
}

bool consume_fetch_take(struct consume_fetch *fetch)
{
    struct rb_error err = {0};

    if (fetch->code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rb_fail(&err, RB_E_KAFKA_AWAY, fetch->code, "the group's offsets are not told: %s", rd_kafka_err2str(fetch->code));
    rb_log_error(NULL, RB_EV_OFFSETS_UNREAD, &err, "");
    return false;
}

void consume_fetch_done(struct consume_fetch *fetch)
{
    if (fetch->list == NULL)
        return;
    for (int i = 0; fetch->maps != NULL && i < fetch->list->cnt; i++)
        rb_offset_map_done(&fetch->maps[i]);
    free(fetch->maps);
    rd_kafka_topic_partition_list_destroy(fetch->list);
    *fetch = (struct consume_fetch){0};
}
