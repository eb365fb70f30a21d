/*
 * tail.c — follow topics.
 *
 * Way:  consumer tail -> [tail] -> tail_range, tail_show
 */
#include "consumer/tail.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/kafka.h"
#include "common/random.h"
#include "consumer/tail_range.h"
#include "consumer/tail_show.h"

#define TAIL_MAGIC    0x5441494cu
#define WAITING_BYTES (8 << 20) /* of records that wait for a schema; then no more are taken */
#define RECORD_BYTES  1024      /* of a record in memory, with its key and headers */
#define LOOK_AGAIN_MS 1000

struct waiting {
    struct rb_message *message;
    struct waiting *next;
};

struct tail {
    uint32_t magic;
    struct rb_command *command; /* borrowed */
    struct rb_kafka *kafka;
    struct rb_codec *codec;
    struct rb_tail_range range;
    struct rb_tail_filter filter;
    char *video; /* owned; the filter's */
    int64_t until_ms;
    int64_t shown;
    bool ended; /* there is nothing more to wait for */
    struct waiting *first;
    struct waiting **last;
    size_t waiting_bytes;
    bool paused;
    struct rb_timer *look_again;
    struct rb_timer *until;
    struct rb_task flush;
};

/* What is asked of Kafka before it begins, on the pool. */
struct question {
    struct tail *tail;
    int result;
    struct rb_error error;
};

static const struct rb_command_options *flags_of(const struct tail *tail)
{
    return &tail->command->options->command;
}

/* -- what is shown ------------------------------------------------------------------------------------------------- */

static void end(struct tail *tail)
{
    tail->ended = true;
    rb_command_wake(tail->command);
}

static void show(struct tail *tail, const struct rb_tail_view *view)
{
    RB_AUTO_BUFFER line = {0};

    if (flags_of(tail)->json) {
        rb_command_print(tail->command, rb_tail_view_json(view));
    } else {
        rb_tail_view_line(view, &line);
        puts(line.bytes);
    }
    rb_task_queue(&tail->flush);
    tail->shown++;
    if (flags_of(tail)->count > 0 && tail->shown >= flags_of(tail)->count)
        end(tail);
}

static void end_when_through(struct tail *tail)
{
    bool done = tail->range.is_bounded && tail->first == NULL;

    for (size_t i = 0; i < tail->range.part_count && done; i++)
        done = tail->range.parts[i].done;
    if (done)
        end(tail);
}

static void set_paused(struct tail *tail, bool paused)
{
    rd_kafka_topic_partition_list_t *list;

    if (tail->paused == paused)
        return;
    list = rd_kafka_topic_partition_list_new((int)tail->range.part_count);
    for (size_t i = 0; i < tail->range.part_count; i++)
        rd_kafka_topic_partition_list_add(list, tail->range.parts[i].topic->name, tail->range.parts[i].number);
    if (paused)
        (void)rd_kafka_pause_partitions(rb_kafka_handle(tail->kafka), list);
    else
        (void)rd_kafka_resume_partitions(rb_kafka_handle(tail->kafka), list);
    rd_kafka_topic_partition_list_destroy(list);
    tail->paused = paused;
}

/* Most records are small: what they cost beside their bytes counts as well. */
static size_t bytes_of(const struct waiting *waiting)
{
    return waiting->message->value_bytes + RECORD_BYTES;
}

static void drop_first(struct tail *tail)
{
    struct waiting *waiting = tail->first;

    tail->first = waiting->next;
    if (tail->first == NULL)
        tail->last = &tail->first;
    tail->waiting_bytes -= bytes_of(waiting);
    rb_message_free(waiting->message);
    free(waiting);
}

/* One behind the other, so that they come in order: the first one may have to wait for its schema. */
static void show_waiting(void *arg)
{
    struct tail *tail = RB_CAST(tail, arg, TAIL_MAGIC);
    struct rb_tail_view view;

    while (tail->first != NULL && !tail->ended) {
        if (!rb_tail_view_read(tail->codec, tail->command->options->common.topic_prefix, tail->first->message, &view)) {
            rb_timer_start(tail->look_again, LOOK_AGAIN_MS);
            break;
        }
        if (rb_tail_view_matches(&view, &tail->filter))
            show(tail, &view);
        rb_tail_view_done(&view);
        drop_first(tail);
    }
    set_paused(tail, tail->waiting_bytes > (tail->paused ? WAITING_BYTES / 2 : WAITING_BYTES));
    end_when_through(tail);
}

static void on_flush(void *arg)
{
    struct tail *tail = RB_CAST(tail, arg, TAIL_MAGIC);

    if (!rb_command_flush(tail->command))
        end(tail);
}

/* -- what comes ---------------------------------------------------------------------------------------------------- */

/* A key that is another video's says enough; most records are passed over so. */
static bool is_about_another(const struct tail *tail, const rd_kafka_message_t *message)
{
    char text[RB_UUID_TEXT_BYTES], video_id[RB_UUID_TEXT_BYTES];

    if (tail->filter.video[0] == '\0' || message->key_len != sizeof(text) - 1)
        return false;
    memcpy(text, message->key, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    return rb_uuid_parse(text, video_id) && strcmp(video_id, tail->filter.video) != 0;
}

static struct rb_tail_part *part_of(const struct tail *tail, const struct rb_tail_topic *topic, int32_t number)
{
    struct rb_tail_part *part = &tail->range.parts[topic->first];
    size_t place = (size_t)(number - part->number);

    RB_ASSERT(place < topic->count);
    return &part[place];
}

static void take_record(struct tail *tail, const rd_kafka_message_t *message)
{
    struct rb_tail_part *part = part_of(tail, rd_kafka_topic_opaque(message->rkt), message->partition);
    struct waiting *waiting;

    if (tail->ended || part->done || message->offset < part->next)
        return; /* after a pause librdkafka may give some twice */
    part->next = message->offset + 1;
    part->done = part->next >= part->to;
    if (message->offset >= part->to || is_about_another(tail, message))
        return;
    waiting = rb_xalloc(sizeof(*waiting));
    waiting->message = rb_message_new(message, part->topic->name);
    *tail->last = waiting;
    tail->last = &waiting->next;
    tail->waiting_bytes += bytes_of(waiting);
}

/* The end of a partition as it is now, behind the markers of transactions. */
static void take_end(struct tail *tail, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_t *place = rd_kafka_event_topic_partition(event);

    for (size_t i = 0; place != NULL && i < tail->range.part_count; i++) {
        struct rb_tail_part *part = &tail->range.parts[i];

        if (part->number == place->partition && strcmp(part->topic->name, place->topic) == 0 &&
            place->offset >= part->to)
            part->done = true;
    }
    if (place != NULL)
        rd_kafka_topic_partition_destroy(place);
}

static void on_event(rd_kafka_event_t *event, void *arg)
{
    struct tail *tail = RB_CAST(tail, arg, TAIL_MAGIC);
    const rd_kafka_message_t *message;

    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH)
        while ((message = rd_kafka_event_message_next(event)) != NULL)
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
                take_record(tail, message);
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
        rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        take_end(tail, event);
    show_waiting(tail);
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

static void ask_range(void *arg)
{
    struct question *question = arg;
    struct tail *tail = question->tail;

    question->result = rb_tail_range_ask(&tail->range, rb_kafka_handle(tail->kafka), (int32_t)flags_of(tail)->partition,
                                         tail->command->all_options->operand_count == 0, &question->error);
}

static int open_kafka(struct tail *tail, struct rb_error *err)
{
    const struct rb_common_options *options = &tail->command->options->common;
    const struct rb_kafka_config config = {options->kafka_brokers, "reelbus-tail", options->kafka};
    static const char *const settings[] = {
        "queued.max.messages.kbytes",
        "8192",
        NULL,
    };

    return rb_kafka_open(tail->command->loop, RD_KAFKA_CONSUMER, &config, settings, on_event, tail, &tail->kafka, err);
}

static int start_parts(struct tail *tail, struct rb_error *err)
{
    for (size_t i = 0; i < tail->range.part_count; i++) {
        struct rb_tail_part *part = &tail->range.parts[i];

        if (part->done)
            continue;
        if (rd_kafka_consume_start_queue(part->topic->topic, part->number, part->from, rb_kafka_queue(tail->kafka)) < 0)
            return rb_fail(err, RB_E_KAFKA_AWAY, 0, "cannot read the topic '%s': %s", part->topic->name,
                           rd_kafka_err2str(rd_kafka_last_error()));
        part->started = true;
    }
    return 0;
}

static int begin(struct tail *tail, struct rb_error *err)
{
    struct rb_command *command = tail->command;
    struct question question = {.tail = tail};
    const struct rb_codec_config codec = rb_codec_config_of(&command->options->common, NULL, 0);

    RB_TRY(rb_tail_range_read(&tail->range, command->options, command->all_options->operands,
                              command->all_options->operand_count, rb_clock_unix_ms(), err));
    RB_TRY(open_kafka(tail, err));
    tail->codec = rb_codec_new(command->loop, &codec, show_waiting, tail);
    rb_command_block(command, ask_range, &question);
    *err = question.error;
    RB_TRY(question.result);
    if (tail->range.part_count == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there are no topics yet: is setup done, is 'topic_prefix' right?");
    RB_TRY(start_parts(tail, err));
    if (!tail->range.is_bounded)
        rb_command_note(command, "follows %zu partitions", tail->range.part_count);
    return 0;
}

static void on_until(void *arg)
{
    end(RB_CAST(tail, arg, TAIL_MAGIC));
}

static void tail_close(struct tail *tail)
{
    while (tail->first != NULL)
        drop_first(tail);
    for (size_t i = 0; i < tail->range.part_count; i++)
        if (tail->range.parts[i].started)
            rd_kafka_consume_stop(tail->range.parts[i].topic->topic, tail->range.parts[i].number);
    rb_tail_range_done(&tail->range);
    rb_kafka_close(tail->kafka);
    rb_codec_free(tail->codec);
    rb_timer_free(tail->look_again);
    rb_timer_free(tail->until);
    rb_task_done(&tail->flush);
    free(tail->video);
}

int rb_tail(struct rb_command *command)
{
    const struct rb_command_options *flags = &command->options->command;
    char video_id[RB_UUID_TEXT_BYTES];
    struct tail tail = {
        .magic = TAIL_MAGIC,
        .command = command,
        .video = rb_xstrdup(rb_uuid_parse(flags->video, video_id) ? video_id : flags->video),
        .look_again = rb_timer_new(command->loop, show_waiting, &tail),
        .until = rb_timer_new(command->loop, on_until, &tail),
        .last = &tail.first,
    };
    struct rb_error err = {0};
    int status;

    tail.filter = (struct rb_tail_filter){tail.video, flags->user, flags->type};
    rb_task_init(&tail.flush, command->loop, on_flush, &tail);
    status = begin(&tail, &err) < 0 ? rb_command_fail(command, &err) : RB_EXIT_OK;
    if (status == RB_EXIT_OK && tail.range.until_ms != RB_NO_LONG && !tail.range.is_bounded)
        rb_timer_start(tail.until, RB_MAX(tail.range.until_ms - rb_clock_unix_ms(), 0));
    end_when_through(&tail);
    if (status == RB_EXIT_OK && !rb_command_wait(command) && (tail.range.is_bounded || flags->count > 0))
        status = RB_EXIT_INTERRUPTED;
    tail_close(&tail);
    return status;
}
