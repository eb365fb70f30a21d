/*
 * consume_commit.c — commits the offsets below which all is finished.
 *
 * Way:  Kafka -> [consume] <- offsets
 */
#include "common/clock.h"
#include "common/errmap.h"
#include "common/log.h"
#include "consumer/consume_inside.h"

#define COMMIT_WAIT_MS 3000

/* What may be committed and has not been. NULL when there is nothing. */
static rd_kafka_topic_partition_list_t *list_committable(const struct rb_consume *consume)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (const struct partition *partition = consume->partitions; partition != NULL; partition = partition->next) {
        int64_t offset = rb_offsets_committable(&partition->offsets);

        if (offset >= 0 && offset != partition->committed)
            rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset = offset;
    }
    if (list->cnt > 0)
        return list;
    rd_kafka_topic_partition_list_destroy(list);
    return NULL;
}

static void log_commit_failed(rd_kafka_resp_err_t code)
{
    struct rb_error err = {0};

    rb_fail(&err, rb_errmap_kafka(code), code, "offsets were not committed: %s", rd_kafka_err2str(code));
    rb_log_error(NULL, RB_EV_COMMIT_FAILED, &err, "");
}

void consume_take_committed(struct rb_consume *consume, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);

    consume->committing = false;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET)
        log_commit_failed(code);
    for (int i = 0; list != NULL && code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        struct partition *partition = consume_find(consume, list->elems[i].topic, list->elems[i].partition);

        if (partition != NULL && list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            partition->committed = list->elems[i].offset;
    }
}

void consume_on_commit_timer(void *arg)
{
    struct rb_consume *consume = RB_CAST(rb_consume, arg, CONSUME_MAGIC);
    rd_kafka_topic_partition_list_t *list = consume->committing ? NULL : list_committable(consume);

    if (list != NULL) {
        /* rd_kafka_commit would do, but librdkafka 2.0.2 makes no event of its result */
        rd_kafka_resp_err_t code =
            rd_kafka_commit_queue(consume_handle(consume), list, rb_kafka_queue(consume->kafka), NULL, NULL);

        consume->committing = code == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            log_commit_failed(code);
        rd_kafka_topic_partition_list_destroy(list);
    }
    rb_timer_start(consume->commit_timer, consume->commit_interval_ms);
    consume_adapt_pause(consume);
}

/* Before partitions go: what is finished is committed, or the next owner does it again. Bounded: Kafka may be away. */
void consume_commit_and_wait(struct rb_consume *consume)
{
    rd_kafka_topic_partition_list_t *list = list_committable(consume);
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;

    if (list == NULL)
        return;
    queue = rd_kafka_queue_new(consume_handle(consume));
    if (rd_kafka_commit_queue(consume_handle(consume), list, queue, NULL, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        event = rd_kafka_queue_poll(queue, COMMIT_WAIT_MS);
        if (event == NULL)
            log_commit_failed(RD_KAFKA_RESP_ERR__TIMED_OUT);
        else if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
            log_commit_failed(rd_kafka_event_error(event));
        if (event != NULL)
            rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
}
