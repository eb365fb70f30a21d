/*
 * replay_read.c — read some thousand records at a time, on the pool: which videos are they about?
 *
 * Way:  Kafka -> [replay_read] -> replay_ask
 *
 * While the database is asked about one batch the next one is read. Nobody reads ahead of that, so memory stays what it is.
 */
#include "common/clock.h"
#include "common/hash.h"
#include "consumer/replay_inside.h"

#define READ_MS    100 /* for records that may not come: the end of the range is waited for so long */
#define READ_SLICE 256
#define FEW_LEFT   (2 * REPLAY_BATCH)

/* -- on the pool --------------------------------------------------------------------------------------------------- */

static void drop_messages(struct replay_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->entries[i].message != NULL)
            rd_kafka_message_destroy(batch->entries[i].message);
    for (size_t i = 0; i < batch->named_count; i++)
        replay_row_free(batch->named[i].row);
    batch->count = batch->named_count = batch->message_count = batch->at = 0;
    batch->answered = false;
    batch->odd = 0;
}

/* The place of a video in the batch; a new one when it is not there yet. */
static size_t name_video(struct replay_batch *batch, const char id[RB_UUID_TEXT_BYTES])
{
    size_t slot = rb_hash_more(RB_HASH_BEGIN, id, RB_UUID_TEXT_BYTES - 1) % RB_COUNT(batch->slots);

    for (; batch->slots[slot] != 0; slot = (slot + 1) % RB_COUNT(batch->slots))
        if (memcmp(batch->named[batch->slots[slot] - 1].id, id, RB_UUID_TEXT_BYTES - 1) == 0)
            return (size_t)batch->slots[slot] - 1;
    batch->named[batch->named_count] = (struct replay_named){0};
    memcpy(batch->named[batch->named_count].id, id, RB_UUID_TEXT_BYTES);
    batch->slots[slot] = (uint16_t)++batch->named_count;
    return batch->named_count - 1;
}

/* The key is the video: it need not be decoded to know that. */
static bool read_key(const rd_kafka_message_t *message, char ret_id[RB_UUID_TEXT_BYTES])
{
    char text[RB_UUID_TEXT_BYTES];

    if (message->key_len != RB_UUID_TEXT_BYTES - 1)
        return false;
    memcpy(text, message->key, RB_UUID_TEXT_BYTES - 1);
    text[RB_UUID_TEXT_BYTES - 1] = '\0';
    return rb_uuid_parse(text, ret_id);
}

static void stop_part(struct replay *replay, size_t part)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    replay->parts_of[part].done = true;
    rd_kafka_topic_partition_list_add(list, replay->range.parts[part].topic->name, replay->range.parts[part].number);
    (void)rd_kafka_pause_partitions(rb_kafka_handle(replay->kafka), list);
    rd_kafka_topic_partition_list_destroy(list);
}

static size_t part_of(const struct replay *replay, const rd_kafka_message_t *message)
{
    const struct rb_tail_topic *topic = rd_kafka_topic_opaque(message->rkt);

    return topic->first + (size_t)(message->partition - replay->range.parts[topic->first].number);
}

/* Gives whether the batch has it now. */
static bool take_record(struct replay_batch *batch, rd_kafka_message_t *message, size_t part)
{
    struct replay *replay = batch->replay;
    struct replay_part *of = &replay->parts_of[part];
    char id[RB_UUID_TEXT_BYTES];

    if (message->offset < of->next || of->done)
        return false; /* after a pause librdkafka may give some twice */
    if (message->offset < replay->range.parts[part].to)
        of->next = message->offset + 1;
    if (message->offset + 1 >= replay->range.parts[part].to)
        stop_part(replay, part);
    if (message->offset >= replay->range.parts[part].to)
        return false;
    if (!read_key(message, id)) {
        batch->odd++;
        return false;
    }
    if (replay->filter.video[0] != '\0' && !replay->only_announces && strcmp(id, replay->filter.video) != 0)
        return false;
    batch->entries[batch->count] = (struct replay_entry){message, part, name_video(batch, id)};
    batch->named[batch->entries[batch->count].video].last = batch->count;
    batch->count++;
    return true;
}

/* The end of a partition, behind the markers of transactions. */
static void take_end(struct replay *replay, size_t part, int64_t offset)
{
    struct replay_part *of = &replay->parts_of[part];

    if (offset < replay->range.parts[part].to || of->done)
        return;
    of->next = replay->range.parts[part].to;
    stop_part(replay, part);
}

static size_t take_message(struct replay_batch *batch, rd_kafka_message_t *message)
{
    bool taken = false;
    size_t bytes = message->len;

    if (message->rkt != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        taken = take_record(batch, message, part_of(batch->replay, message));
    else if (message->rkt != NULL && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        take_end(batch->replay, part_of(batch->replay, message), message->offset);
    if (!taken)
        rd_kafka_message_destroy(message);
    return bytes;
}

static void print_ids(struct replay_batch *batch)
{
    batch->ids.used = 0;
    for (size_t i = 0; i < batch->named_count; i++) {
        rb_buffer_add(&batch->ids, i == 0 ? "{" : ",", 1);
        rb_buffer_add(&batch->ids, batch->named[i].id, RB_UUID_TEXT_BYTES - 1);
    }
    rb_buffer_add(&batch->ids, "}", 1);
}

/*
 * librdkafka fetches no more while many records wait. Once they are fewer, it finds that out when its thread for the broker has
 * something else to do, or after a second. So it is given something: a question whose answer nobody needs.
 */
static void wake_fetchers(struct replay *replay)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)replay->range.part_count);

    for (size_t i = 0; i < replay->range.part_count; i++)
        if (!replay->parts_of[i].done)
            rd_kafka_topic_partition_list_add(list, replay->range.parts[i].topic->name, replay->range.parts[i].number)
                ->offset = RD_KAFKA_OFFSET_END;
    if (list->cnt > 0 && rd_kafka_queue_length(replay->records) < FEW_LEFT)
        (void)rd_kafka_offsets_for_times(rb_kafka_handle(replay->kafka), list, READ_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

static void read_batch(void *arg)
{
    struct replay_batch *batch = arg;
    struct replay *replay = batch->replay;
    rd_kafka_message_t *messages[READ_SLICE];
    size_t bytes = 0;
    ssize_t count = READ_SLICE;

    drop_messages(batch);
    memset(batch->slots, 0, sizeof(batch->slots));
    while (count == READ_SLICE && batch->message_count + READ_SLICE <= REPLAY_BATCH && bytes < REPLAY_BATCH_BYTES) {
        count = rd_kafka_consume_batch_queue(replay->records, READ_MS, messages, READ_SLICE);
        for (ssize_t i = 0; i < count; i++)
            bytes += take_message(batch, messages[i]);
        batch->message_count += (size_t)RB_MAX(count, (ssize_t)0);
    }
    for (size_t i = 0; i < replay->range.part_count; i++)
        batch->reach[i] = replay->parts_of[i].next;
    print_ids(batch);
    wake_fetchers(replay);
}

/* -- on the loop --------------------------------------------------------------------------------------------------- */

bool replay_read_is_through(const struct replay *replay)
{
    for (size_t i = 0; i < replay->range.part_count; i++)
        if (!replay->parts_of[i].done)
            return false;
    return true;
}

static void on_read(void *arg)
{
    struct replay_batch *batch = arg;
    struct replay *replay = batch->replay;

    replay->call = NULL;
    replay->reading = NULL;
    batch->next = NULL;
    *replay->last = batch;
    replay->last = &batch->next;
    if (batch->message_count > 0)
        replay->moved_ms = rb_clock_ms();
    if (batch->named_count > 0 && !replay->over)
        replay_ask(batch);
    else
        batch->answered = true;
    replay_poke(replay);
}

static struct replay_batch *free_batch(struct replay *replay)
{
    for (size_t i = 0; i < REPLAY_BATCHES; i++) {
        bool used = replay->batches[i] == replay->reading;

        for (const struct replay_batch *batch = replay->first; batch != NULL; batch = batch->next)
            used = used || batch == replay->batches[i];
        if (!used)
            return replay->batches[i];
    }
    return NULL;
}

void replay_read_more(struct replay *replay)
{
    struct replay_batch *batch = free_batch(replay);

    if (replay->reading != NULL || batch == NULL || replay->enough || replay->over || replay_read_is_through(replay))
        return;
    replay->reading = batch;
    replay->call = rb_pool_start(replay->command->loop, read_batch, on_read, batch);
}

static struct replay_batch *batch_new(struct replay *replay)
{
    struct replay_batch *batch = rb_xalloc(sizeof(*batch));

    batch->replay = replay;
    batch->named = rb_xalloc(REPLAY_BATCH * sizeof(*batch->named));
    batch->reach = rb_xalloc(replay->range.part_count * sizeof(*batch->reach));
    return batch;
}

int replay_read_start(struct replay *replay, struct rb_error *err)
{
    replay->last = &replay->first;
    for (size_t i = 0; i < REPLAY_BATCHES; i++)
        replay->batches[i] = batch_new(replay);
    replay->records = rd_kafka_queue_new(rb_kafka_handle(replay->kafka));
    for (size_t i = 0; i < replay->range.part_count; i++) {
        struct rb_tail_part *part = &replay->range.parts[i];

        if (replay->parts_of[i].done)
            continue;
        if (rd_kafka_consume_start_queue(part->topic->topic, part->number, replay->parts_of[i].next, replay->records) <
            0)
            return rb_fail(err, RB_E_KAFKA_AWAY, 0, "cannot read the topic '%s': %s", part->topic->name,
                           rd_kafka_err2str(rd_kafka_last_error()));
        part->started = true;
    }
    return 0;
}

static void wait_a_little(void *arg)
{
    (void)arg;
    uv_sleep(READ_MS / 5);
}

static void batch_free(struct replay_batch *batch)
{
    if (batch == NULL)
        return;
    rb_pg_cancel(batch->query);
    drop_messages(batch);
    rb_buffer_done(&batch->ids);
    free(batch->named);
    free(batch->reach);
    free(batch);
}

void replay_read_stop(struct replay *replay)
{
    while (replay->call != NULL)
        rb_command_block(replay->command, wait_a_little, NULL); /* meanwhile the loop runs, and on_read clears it */
    for (size_t i = 0; i < replay->range.part_count; i++) {
        struct rb_tail_part *part = &replay->range.parts[i];

        if (part->started)
            rd_kafka_consume_stop(part->topic->topic, part->number);
        part->started = false;
    }
    for (size_t i = 0; i < REPLAY_BATCHES; i++) {
        batch_free(replay->batches[i]);
        replay->batches[i] = NULL;
    }
    if (replay->records != NULL)
        rd_kafka_queue_destroy(replay->records);
    replay->records = NULL;
    replay->first = NULL;
    replay->last = &replay->first;
}
