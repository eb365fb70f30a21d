/*
 * redrive_send.c — what goes back, and that it did, in one transaction.
 *
 * Way:  consumer redrive -> [redrive] -> Kafka -> consume
 *
 * Offsets of the group <group>.redrive say which dead letters went back, out of their order, as a consumer's do (offset_map.h).
 * Before the map stands the last page of failures that was sent. Nobody is a member of the group: two runs throw each other out
 * by the transactional id.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/errmap.h"
#include "consumer/redrive_inside.h"

#define ANSWER_MS  10000
#define READY_MS   60000
#define TRIES      5
#define PAGE_TEXT  24
#define PAGE_PLACE 0 /* the partition that says which page it was */

/* -- the client ---------------------------------------------------------------------------------------------------- */

static void on_event(rd_kafka_event_t *event, void *arg)
{
    (void)event; /* what is read is asked for; errors are in the log */
    (void)arg;
}

static void on_ready(void *arg)
{
    rb_command_wake(RB_CAST(redrive, arg, REDRIVE_MAGIC)->command);
}

static void on_ended(enum rb_txn_end end, const struct rb_error *err, void *arg)
{
    struct redrive *redrive = RB_CAST(redrive, arg, REDRIVE_MAGIC);

    redrive->ended = true;
    redrive->end = end;
    if (err != NULL)
        redrive->error = *err;
    rb_command_wake(redrive->command);
}

static void on_fatal(const struct rb_error *err, void *arg)
{
    struct redrive *redrive = RB_CAST(redrive, arg, REDRIVE_MAGIC);

    redrive->fatal = true;
    redrive->error = *err;
    rb_command_wake(redrive->command);
}

static int open_txn(struct redrive *redrive, struct rb_error *err)
{
    const struct consumer_options *options = redrive->command->options;
    RB_AUTO_TEXT *id = rb_xprintf("%s%s", options->common.topic_prefix, redrive->group);
    const struct rb_txn_config config = {
        .kafka = {options->common.kafka_brokers, "reelbus-redrive", options->common.kafka},
        .transactional_id = id,
        .topics = (const char *const *)redrive->topics,
        .timeout_ms = options->transaction_timeout_ms,
        .on_ready = on_ready,
        .on_ended = on_ended,
        .on_fatal = on_fatal,
        .arg = redrive,
    };

    return rb_txn_new(redrive->command->loop, &config, &redrive->txn, err);
}

static int wait_until_ready(struct redrive *redrive, struct rb_error *err)
{
    rb_timer_start(redrive->timer, READY_MS);
    while (!rb_txn_is_ready(redrive->txn) && !redrive->fatal && rb_timer_is_started(redrive->timer) &&
           rb_command_wait(redrive->command))
        continue;
    rb_timer_stop(redrive->timer);
    if (redrive->fatal) {
        *err = redrive->error;
        return -1;
    }
    if (!rb_txn_is_ready(redrive->txn))
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "Kafka lets no transaction begin");
    return 0;
}

/* -- how far earlier runs have come -------------------------------------------------------------------------------- */

struct question {
    struct redrive *redrive;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
};

static rd_kafka_resp_err_t ask_count(struct question *question, int32_t *ret_count)
{
    rd_kafka_t *handle = rb_kafka_handle(question->redrive->kafka);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, question->redrive->letters, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 0, topic, &metadata, ANSWER_MS);

    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    *ret_count = code == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    return code;
}

/* On the pool. */
static void ask(void *arg)
{
    struct question *question = arg;
    struct redrive *redrive = question->redrive;
    rd_kafka_t *handle = rb_kafka_handle(redrive->kafka);
    int32_t count = 0;

    question->code = ask_count(question, &count);
    if (question->code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    redrive->parts = rb_xalloc((size_t)count * sizeof(*redrive->parts));
    redrive->part_count = (size_t)count;
    for (int32_t i = 0; i < count; i++) {
        int64_t low = 0;

        rd_kafka_topic_partition_list_add(question->list, redrive->letters, i);
        rb_offsets_init(&redrive->parts[i].offsets);
        redrive->parts[i].number = i;
        if (question->code == RD_KAFKA_RESP_ERR_NO_ERROR)
            question->code =
                rd_kafka_query_watermark_offsets(handle, redrive->letters, i, &low, &redrive->parts[i].end, ANSWER_MS);
    }
    if (question->code == RD_KAFKA_RESP_ERR_NO_ERROR)
        question->code = rd_kafka_committed(handle, question->list, ANSWER_MS);
}

static void take_committed(struct redrive *redrive, const rd_kafka_topic_partition_t *entry)
{
    struct redrive_part *part = &redrive->parts[entry->partition];
    RB_AUTO_TEXT *text = rb_xstrndup(entry->metadata != NULL ? entry->metadata : "", entry->metadata_size);
    const char *map_text = strchr(text, ' ');
    struct rb_offset_map map = {0};

    part->from = RB_MAX(entry->offset, 0);
    if (entry->offset >= 0 && map_text != NULL) {
        if (entry->partition == PAGE_PLACE)
            redrive->page = strtoll(text, NULL, 10);
        map_text++;
        (void)rb_offset_map_read(map_text, strlen(map_text), rb_offset_map_seed(redrive->letters, entry->partition),
                                 entry->offset, &map);
    }
    rb_offsets_resume(&part->offsets, part->from, &map);
}

static int read_committed(struct redrive *redrive, struct rb_error *err)
{
    struct question question = {.redrive = redrive, .list = rd_kafka_topic_partition_list_new(8)};

    rb_command_block(redrive->command, ask, &question);
    for (int i = 0; i < question.list->cnt && question.code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        question.code = question.list->elems[i].err;
    for (int i = 0; i < question.list->cnt && question.code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        take_committed(redrive, &question.list->elems[i]);
    rd_kafka_topic_partition_list_destroy(question.list);
    if (question.code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return rb_fail(err, RB_E_KAFKA_AWAY, question.code, "Kafka does not tell about the dead letters: %s",
                   rd_kafka_err2str(question.code));
}

/* First whatever a killed run has left is ended, then it is read how far that one has come. */
int redrive_open(struct redrive *redrive, struct rb_error *err)
{
    const struct rb_common_options *options = &redrive->command->options->common;
    const struct rb_kafka_config config = {options->kafka_brokers, "reelbus-redrive", options->kafka};
    const char *const settings[] = {
        "group.id", redrive->group, "auto.offset.reset", "earliest", "queued.max.messages.kbytes", "4096", NULL,
    };

    redrive->timer = rb_timer_new(redrive->command->loop, rb_command_wake, redrive->command);
    RB_TRY(rb_kafka_open(redrive->command->loop, RD_KAFKA_CONSUMER, &config, settings, on_event, redrive,
                         &redrive->kafka, err));
    if (!redrive_flags(redrive)->dry_run) {
        RB_TRY(open_txn(redrive, err));
        RB_TRY(wait_until_ready(redrive, err));
    }
    return read_committed(redrive, err);
}

static void drop_items(struct redrive *redrive)
{
    for (size_t i = 0; i < redrive->item_count; i++)
        redrive_item_free(redrive->items[i]);
    redrive->item_count = 0;
    redrive->item_bytes = 0;
}

bool redrive_close(struct redrive *redrive)
{
    bool ended = rb_txn_free(redrive->txn);

    if (!ended)
        return false;
    drop_items(redrive);
    rb_kafka_close(redrive->kafka);
    rb_timer_free(redrive->timer);
    for (size_t i = 0; i < redrive->part_count; i++)
        rb_offsets_done(&redrive->parts[i].offsets);
    free(redrive->parts);
    return true;
}

/* -- a batch ------------------------------------------------------------------------------------------------------- */

void redrive_item_free(struct redrive_item *item)
{
    if (item == NULL)
        return;
    if (item->send.record.headers != NULL)
        rd_kafka_headers_destroy(item->send.record.headers);
    rb_message_free(item->message);
    rb_buffer_done(&item->value);
    json_decref(item->line);
    free(item);
}

void redrive_add(struct redrive *redrive, struct redrive_item *item)
{
    redrive->items[redrive->item_count++] = item;
    redrive->item_bytes += item->send.record.value_bytes;
}

static void say_items(struct redrive *redrive)
{
    for (size_t i = 0; i < redrive->item_count; i++) {
        redrive_say(redrive, json_incref(redrive->items[i]->line), NULL);
        redrive->sent++;
    }
    rb_bar_add(redrive->command->bar, (int64_t)redrive->item_count);
    drop_items(redrive);
}

/* When the next one may go, by --rate. */
static void wait_for_turn(struct redrive *redrive)
{
    int64_t rate = redrive_flags(redrive)->rate;
    int64_t left_ms = rate > 0 ? redrive->began_ms + redrive->sent * 1000 / rate - rb_clock_ms() : 0;

    if (left_ms > 0 && redrive->txn != NULL)
        (void)rb_command_pause(redrive->command, left_ms);
}

/* Gives false when what is finished does not fit beside the offset. */
static bool add_place(struct redrive *redrive, struct redrive_part *part, int64_t page,
                      rd_kafka_topic_partition_list_t *list)
{
    char text[PAGE_TEXT + RB_OFFSET_MAP_TEXT_BYTES];
    uint64_t seed = rb_offset_map_seed(redrive->letters, part->number);
    struct rb_offset_map map = {0}, again = {0};
    int64_t offset = RB_MAX(rb_offsets_snapshot(&part->offsets, &map), 0);
    int used = snprintf(text, PAGE_TEXT, "%" PRId64 " ", page);
    size_t length = rb_offset_map_write(&map, seed, offset, text + used);
    bool fits =
        map.count == 0 || (rb_offset_map_read(text + used, length, seed, offset, &again) && again.count == map.count &&
                           again.runs[again.count - 1].to == map.runs[map.count - 1].to);
    rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, redrive->letters, part->number);

    entry->offset = offset;
    entry->metadata = rb_xstrdup(text);
    entry->metadata_size = strlen(text);
    rb_offset_map_done(&map);
    rb_offset_map_done(&again);
    return fits;
}

static void stage_items(const struct redrive *redrive, struct redrive_part *part)
{
    for (size_t i = 0; part != NULL && i < redrive->item_count; i++)
        rb_offsets_stage(&part->offsets, redrive->items[i]->message->origin.offset);
}

static int wait_for_end(struct redrive *redrive, struct rb_error *err)
{
    while (!redrive->ended && !redrive->fatal && rb_command_wait(redrive->command))
        continue;
    if (redrive->ended && redrive->end == RB_TXN_COMMITTED)
        return 0;
    if (!redrive->ended && !redrive->fatal)
        return rb_fail(err, RB_E_SYSTEM, 0, "ended before it was known what was sent; the next run finds out");
    *err = redrive->error;
    if (redrive->ended && redrive->end == RB_TXN_UNKNOWN)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "nobody knows whether the last ones were sent; the next run finds out");
    return -1;
}

/* An aborted one is made anew. */
static int send_batch(struct redrive *redrive, const rd_kafka_topic_partition_list_t *list, struct rb_error *err)
{
    struct rb_txn_record *records[REDRIVE_BATCH_MAX];
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(redrive->group);
    const struct rb_txn_batch batch = {records, redrive->item_count, list, group};
    int result = -1;

    for (size_t i = 0; i < redrive->item_count; i++)
        records[i] = &redrive->items[i]->send;
    for (int tries = 0; tries < TRIES && result < 0; tries++) {
        redrive->ended = false;
        result = wait_until_ready(redrive, err);
        if (result < 0)
            break;
        rb_txn_begin(redrive->txn, &batch);
        result = wait_for_end(redrive, err);
        if (result < 0 && (redrive->fatal || !redrive->ended || redrive->end != RB_TXN_ABORTED))
            break;
    }
    if (!redrive->ended)
        redrive->fatal = true; /* it is still under way: what it borrows stays until it is given up */
    if (!redrive->ended && !rb_txn_free(RB_STEAL(redrive->txn)))
        _exit(RB_EXIT_INTERRUPTED);
    rd_kafka_consumer_group_metadata_destroy(group);
    return result;
}

int redrive_flush(struct redrive *redrive, struct redrive_part *part, int64_t page, struct rb_error *err)
{
    rd_kafka_topic_partition_list_t *list;
    int64_t new_page = RB_MAX(page, redrive->page);
    int result = 0;
    bool fits;

    if (redrive->item_count == 0)
        return 0;
    if (redrive->txn == NULL) {
        say_items(redrive);
        return 0;
    }
    list = rd_kafka_topic_partition_list_new(2);
    stage_items(redrive, part);
    fits = add_place(redrive, &redrive->parts[PAGE_PLACE], new_page, list);
    if (part != NULL && part->number != PAGE_PLACE)
        fits = add_place(redrive, part, new_page, list) && fits;
    if (fits)
        result = send_batch(redrive, list, err);
    if (part != NULL)
        rb_offsets_settle(&part->offsets, fits && result == 0);
    rd_kafka_topic_partition_list_destroy(list);
    redrive->no_room = redrive->no_room || !fits;
    if (!fits || result < 0) {
        drop_items(redrive);
        return result;
    }
    redrive->page = new_page;
    say_items(redrive);
    wait_for_turn(redrive);
    return 0;
}
