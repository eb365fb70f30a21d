/*
 * redrive_letters.c — dead letters go back to where they came from: the same bytes, key and headers.
 *
 * Way:  consumer redrive -> [redrive] -> Kafka -> consume
 *
 * One partition after the other, up to where it ended when this began: what comes back meanwhile is for the next run. What is
 * not wanted, or is left, stays unfinished, so that another run finds it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "consumer/outcome.h"
#include "consumer/redrive_header.h"
#include "consumer/redrive_inside.h"

#define READ_MAX    100
#define READ_MS     1000
#define SILENCE_MAX 30 /* reads in a row that bring nothing: Kafka is away */

struct reading {
    rd_kafka_topic_t *topic;
    struct redrive *redrive;
    struct redrive_part *part;
    rd_kafka_message_t *messages[READ_MAX];
    size_t count;
    int64_t reached; /* no record comes below this any more */
    rd_kafka_resp_err_t code;
};

/* -- one letter ---------------------------------------------------------------------------------------------------- */

static enum rb_code code_of(const char *name)
{
    for (size_t i = 0; i < RB_E_COUNT; i++)
        if (strcmp(rb_code_name((enum rb_code)i), name) == 0)
            return (enum rb_code)i;
    return RB_E_NONE;
}

static const char *class_of(const char *name)
{
    enum rb_code code = code_of(name);

    return code != RB_E_NONE ? rb_outcome_class(code) : "";
}

static bool is_one_of(const struct redrive_filter *filter, const struct rb_message *message)
{
    for (size_t i = 0; i < filter->video_count; i++)
        if (strlen(filter->videos[i]) == message->key_bytes &&
            strncasecmp(filter->videos[i], message->key, message->key_bytes) == 0)
            return true;
    return filter->video_count == 0;
}

static const char *topic_of(const struct redrive *redrive, const struct rb_message *message)
{
    char name[250];

    if (rb_redrive_text(message->headers, "__connect.errors.topic", name, sizeof(name)) == NULL)
        return NULL;
    for (size_t i = 0; i < REDRIVE_TOPICS; i++)
        if (strcmp(redrive->topics[i], name) == 0)
            return redrive->topics[i];
    return NULL;
}

/* Why it is left; NULL when it goes back. */
static const char *why_left(const struct redrive *redrive, const struct rb_message *message, const char *topic,
                            int64_t count)
{
    char text[24];

    if (topic == NULL)
        return "it came from no topic that we read";
    if (rb_redrive_text(message->headers, "reelbus.error.left_out_bytes", text, sizeof(text)) != NULL)
        return "its bytes were left out; they are where it came from";
    if (count >= redrive->command->options->redrives_max)
        return "it was sent again as often as redrives_max says";
    return NULL;
}

static json_t *line_of(const struct redrive *redrive, const struct rb_message *message, const char *code,
                       const char *topic, int64_t count)
{
    json_t *line = json_object();
    RB_AUTO_TEXT *key = rb_xstrndup(message->key != NULL ? message->key : "", message->key_bytes);

    json_object_set_new(line, "source", json_string("dlq"));
    json_object_set_new(line, "video_id", rb_command_text(key));
    json_object_set_new(line, "topic", rb_command_text(redrive->letters));
    json_object_set_new(line, "partition", json_integer(message->origin.partition));
    json_object_set_new(line, "offset", json_integer(message->origin.offset));
    json_object_set_new(line, "code", rb_command_text(code));
    json_object_set_new(line, "to", rb_command_text(topic));
    json_object_set_new(line, "redrives", json_integer(count));
    return line;
}

static void add_letter(struct redrive *redrive, struct rb_message *message, const char *topic, int64_t count,
                       json_t *line)
{
    struct redrive_item *item = rb_xalloc(sizeof(*item));

    *item = (struct redrive_item){
        .send = {.record = {.topic = topic,
                            .key = message->key,
                            .key_bytes = message->key_bytes,
                            .value = message->value,
                            .value_bytes = message->value_bytes,
                            .headers = rb_redrive_headers(message->headers, count + 1)}},
        .message = message,
        .line = line,
    };
    redrive_add(redrive, item);
}

/* Takes the message over. */
static void take_letter(struct redrive *redrive, struct rb_message *message)
{
    char code[64];
    int64_t count = rb_redrive_number(message->headers, RB_REDRIVE_COUNT, 0);
    const char *topic = topic_of(redrive, message);
    const char *because;
    json_t *line;

    if (rb_redrive_text(message->headers, "reelbus.error.code", code, sizeof(code)) == NULL)
        code[0] = '\0';
    if (!is_one_of(&redrive->filter, message) || !redrive_wants(redrive, code, class_of(code), message->timestamp_ms)) {
        rb_message_free(message);
        return;
    }
    because = why_left(redrive, message, topic, count);
    line = line_of(redrive, message, code, topic, count);
    if (because == NULL) {
        add_letter(redrive, message, topic, count, line);
        return;
    }
    redrive->left++;
    redrive_say(redrive, line, because);
    rb_message_free(message);
}

/* -- a partition --------------------------------------------------------------------------------------------------- */

/* On the pool: as many as are there, or one after some waiting. */
static void read_some(void *arg)
{
    struct reading *reading = arg;
    int64_t until_ms = rb_clock_ms() + READ_MS;

    while (reading->count < READ_MAX && rb_clock_ms() < until_ms) {
        rd_kafka_message_t *message =
            rd_kafka_consume(reading->topic, reading->part->number, reading->count == 0 ? READ_MS : 0);

        if (message == NULL)
            return;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            reading->messages[reading->count++] = message;
            continue;
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            reading->reached = message->offset;
        else
            reading->code = message->err;
        rd_kafka_message_destroy(message);
        return;
    }
}

static bool has_ended(const struct reading *reading)
{
    return reading->reached >= reading->part->end;
}

/* Gives false when it is not for this run. */
static bool begin_letter(struct reading *reading, const rd_kafka_message_t *message)
{
    struct redrive_part *part = reading->part;

    reading->reached = RB_MAX(reading->reached, message->offset + 1);
    return message->offset < part->end && !redrive_is_enough(reading->redrive) &&
           rb_offsets_begin(&part->offsets, message->offset) == RB_OFFSETS_NEW;
}

static void free_messages(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++)
        rd_kafka_message_destroy(reading->messages[i]);
    reading->count = 0;
}

static int take_read(struct reading *reading, struct rb_error *err)
{
    struct redrive *redrive = reading->redrive;
    int result = 0;

    for (size_t i = 0; i < reading->count && result == 0 && !redrive->no_room; i++) {
        if (!begin_letter(reading, reading->messages[i]))
            continue;
        take_letter(redrive, rb_message_new(reading->messages[i], redrive->letters));
        if (redrive->item_count == REDRIVE_BATCH_MAX || redrive->item_bytes >= REDRIVE_BYTES_MAX ||
            redrive_flags(redrive)->rate > 0)
            result = redrive_flush(redrive, reading->part, 0, err);
    }
    free_messages(reading);
    return result;
}

static int read_part(struct reading *reading, struct rb_error *err)
{
    struct redrive *redrive = reading->redrive;
    int silent = 0;

    while (!has_ended(reading) && !redrive_is_enough(redrive) && !redrive->no_room) {
        rb_command_block(redrive->command, read_some, reading);
        if (redrive->command->stopped)
            return rb_fail(err, RB_E_SYSTEM, 0, "ended before it was through");
        silent = reading->count > 0 || has_ended(reading) ? 0 : silent + 1;
        if (silent >= SILENCE_MAX)
            return rb_fail(err, RB_E_KAFKA_AWAY, reading->code, "Kafka gives no dead letters: %s",
                           rd_kafka_err2str(reading->code));
        RB_TRY(take_read(reading, err));
    }
    return redrive_flush(redrive, reading->part, 0, err);
}

static int redrive_part(struct redrive *redrive, rd_kafka_topic_t *topic, struct redrive_part *part,
                        struct rb_error *err)
{
    struct reading reading = {.topic = topic, .redrive = redrive, .part = part, .reached = part->from};
    int result;

    if (part->from >= part->end)
        return 0;
    if (rd_kafka_consume_start(topic, part->number, part->from) < 0)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "cannot read the dead letters: %s",
                       rd_kafka_err2str(rd_kafka_last_error()));
    result = read_part(&reading, err);
    free_messages(&reading);
    rd_kafka_consume_stop(topic, part->number);
    return result;
}

int redrive_letters(struct redrive *redrive, struct rb_error *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rb_kafka_handle(redrive->kafka), redrive->letters, NULL);
    int result = 0;

    for (size_t i = 0; i < redrive->part_count && result == 0 && !redrive_is_enough(redrive); i++)
        result = redrive_part(redrive, topic, &redrive->parts[i], err);
    rd_kafka_topic_destroy(topic);
    return result;
}
