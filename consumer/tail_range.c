/*
 * tail_range.c — which partitions are read, from where and to where.
 *
 * Way:  tail -> [tail_range] -> Kafka
 */
#include "consumer/tail_range.h"

#include <uv.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/events.h"
#include "common/moment.h"
#include "common/random.h"
#include "common/units.h"

/* -- what is asked for --------------------------------------------------------------------------------------------- */

static int read_moments(struct rb_tail_range *range, const struct rb_command_options *flags, int64_t now_unix_ms,
                        struct rb_error *err)
{
    if (flags->since[0] != '\0')
        RB_TRY(rb_moment_parse("since", flags->since, now_unix_ms, &range->since_ms, err));
    if (flags->until[0] != '\0')
        RB_TRY(rb_moment_parse("until", flags->until, now_unix_ms, &range->until_ms, err));
    range->is_bounded = range->until_ms != RB_NO_LONG && range->until_ms <= now_unix_ms;
    return 0;
}

static int read_offset(struct rb_tail_range *range, const struct rb_command_options *flags, struct rb_error *err)
{
    int64_t number = 0;

    if (flags->offset[0] == '\0')
        return 0;
    if (flags->since[0] != '\0')
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'since' or option 'offset', not both");
    if (strcmp(flags->offset, "beginning") == 0)
        range->offset = RD_KAFKA_OFFSET_BEGINNING;
    else if (strcmp(flags->offset, "end") == 0)
        range->offset = RD_KAFKA_OFFSET_END;
    else if (rb_units_parse_number(flags->offset, &number) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'offset' is '%.24s', expected a number, 'beginning' or 'end'",
                       flags->offset);
    else
        range->offset = flags->offset[0] == '-' ? number - RB_TAIL_BACK : number;
    return 0;
}

/* As it is called in schemas and README, or as Kafka has it. */
static char *full_name(const char *prefix, const char *name)
{
    return prefix[0] != '\0' && strncmp(name, prefix, strlen(prefix)) == 0 ? rb_xstrdup(name)
                                                                           : rb_xprintf("%s%s", prefix, name);
}

static void add_topic(struct rb_tail_range *range, char *name)
{
    for (size_t i = 0; i < range->topic_count; i++) {
        if (strcmp(range->topics[i].name, name) == 0) {
            free(name);
            return;
        }
    }
    range->topics[range->topic_count++].name = name;
}

int rb_tail_range_read(struct rb_tail_range *range, const struct consumer_options *options, const char *const *names,
                       size_t count, int64_t now_unix_ms, struct rb_error *err)
{
    const char *prefix = options->common.topic_prefix;

    *range = (struct rb_tail_range){
        .since_ms = RB_NO_LONG,
        .until_ms = RB_NO_LONG,
        .offset = RD_KAFKA_OFFSET_END,
        .topics = rb_xalloc((count + RB_EVENT_COUNT + 1) * sizeof(*range->topics)),
    };
    for (size_t i = 0; i < count; i++)
        add_topic(range, full_name(prefix, names[i]));
    for (size_t i = 0; count == 0 && i < RB_EVENT_COUNT; i++)
        add_topic(range, full_name(prefix, rb_event_info(i)->topic));
    if (count == 0)
        add_topic(range, full_name(prefix, RB_DEAD_LETTER_TOPIC));
    RB_TRY(read_moments(range, &options->command, now_unix_ms, err));
    return read_offset(range, &options->command, err);
}

/* -- what Kafka says ----------------------------------------------------------------------------------------------- */

static int fail_away(rd_kafka_resp_err_t code, const char *topic, struct rb_error *err)
{
    return rb_fail(err, RB_E_KAFKA_AWAY, code, "Kafka does not tell about the topic '%s': %s", topic,
                   rd_kafka_err2str(code));
}

/* How many partitions a topic has; 0 when there is no such topic. */
static int ask_partitions(rd_kafka_t *handle, const struct rb_tail_topic *topic, int32_t *ret_count,
                          struct rb_error *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 0, topic->topic, &metadata, RB_TAIL_TIMEOUT_MS);

    *ret_count = 0;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            *ret_count = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return fail_away(code, topic->name, err);
}

static void add_parts(struct rb_tail_range *range, struct rb_tail_topic *topic, int32_t first, int32_t count)
{
    topic->first = range->part_count;
    topic->count = (size_t)count;
    range->parts = rb_xrealloc(range->parts, (range->part_count + topic->count + 1) * sizeof(*range->parts));
    for (int32_t i = 0; i < count; i++)
        range->parts[range->part_count++] = (struct rb_tail_part){.topic = topic, .number = first + i};
}

static int ask_topic(struct rb_tail_range *range, rd_kafka_t *handle, struct rb_tail_topic *topic, int32_t partition,
                     bool may_lack, struct rb_error *err)
{
    rd_kafka_topic_conf_t *conf = rd_kafka_topic_conf_new();
    int32_t count = 0;

    rd_kafka_topic_conf_set_opaque(conf, topic);
    topic->topic = rd_kafka_topic_new(handle, topic->name, conf);
    if (topic->topic == NULL) {
        rd_kafka_topic_conf_destroy(conf);
        return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.100s' is no name of a topic", topic->name);
    }
    RB_TRY(ask_partitions(handle, topic, &count, err));
    if (count == 0 && !may_lack)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there is no topic '%.100s'", topic->name);
    if (partition >= count && count > 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "the topic '%.100s' has only %d partitions", topic->name, (int)count);
    if (count > 0)
        add_parts(range, topic, RB_MAX(partition, 0), partition >= 0 ? 1 : count);
    return 0;
}

static int64_t place_of(int64_t offset, int64_t low, int64_t high)
{
    if (offset == RD_KAFKA_OFFSET_BEGINNING)
        return low;
    if (offset == RD_KAFKA_OFFSET_END)
        return high;
    if (offset < 0)
        offset = high + (offset + RB_TAIL_BACK);
    return RB_MIN(RB_MAX(offset, low), high);
}

/* Of a topic that is new, or moves, nobody leads a partition for a moment. */
static bool may_pass(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

static rd_kafka_resp_err_t ask_ends(rd_kafka_t *handle, const struct rb_tail_part *part, int64_t *ret_low,
                                    int64_t *ret_high)
{
    struct rb_backoff pause = {.first_ms = 50, .max_ms = 1000};
    int64_t until_ms = rb_clock_ms() + RB_TAIL_TIMEOUT_MS;

    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(handle, part->topic->name, part->number, ret_low,
                                                                    ret_high, RB_TAIL_TIMEOUT_MS);

        if (!may_pass(code) || rb_clock_ms() >= until_ms)
            return code;
        uv_sleep((unsigned)rb_backoff_next_ms(&pause, rb_random()));
    }
}

static int ask_offsets(struct rb_tail_range *range, rd_kafka_t *handle, struct rb_error *err)
{
    for (size_t i = 0; i < range->part_count; i++) {
        struct rb_tail_part *part = &range->parts[i];
        int64_t low, high;
        rd_kafka_resp_err_t code = ask_ends(handle, part, &low, &high);

        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return fail_away(code, part->topic->name, err);
        part->from = place_of(range->offset, low, high);
        part->to = high;
    }
    return 0;
}

/* Where records of a moment and later begin; at the end when there are none. */
static int ask_moment(struct rb_tail_range *range, rd_kafka_t *handle, int64_t unix_ms, bool is_end,
                      struct rb_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)range->part_count + 1);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < range->part_count; i++)
        rd_kafka_topic_partition_list_add(list, range->parts[i].topic->name, range->parts[i].number)->offset = unix_ms;
    code = list->cnt > 0 ? rd_kafka_offsets_for_times(handle, list, RB_TAIL_TIMEOUT_MS) : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        struct rb_tail_part *part = &range->parts[i];
        int64_t offset = list->elems[i].offset >= 0 ? list->elems[i].offset : part->to;

        code = list->elems[i].err;
        *(is_end ? &part->to : &part->from) = RB_MIN(offset, part->to);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code != RD_KAFKA_RESP_ERR_NO_ERROR ? fail_away(code, range->parts[0].topic->name, err) : 0;
}

int rb_tail_range_ask(struct rb_tail_range *range, rd_kafka_t *handle, int32_t partition, bool may_lack,
                      struct rb_error *err)
{
    for (size_t i = 0; i < range->topic_count; i++)
        RB_TRY(ask_topic(range, handle, &range->topics[i], partition, may_lack, err));
    RB_TRY(ask_offsets(range, handle, err));
    if (range->since_ms != RB_NO_LONG)
        RB_TRY(ask_moment(range, handle, range->since_ms, false, err));
    if (range->is_bounded)
        RB_TRY(ask_moment(range, handle, range->until_ms, true, err));
    for (size_t i = 0; i < range->part_count; i++) {
        struct rb_tail_part *part = &range->parts[i];

        part->to = range->is_bounded ? part->to : INT64_MAX;
        part->next = part->from;
        part->done = part->from >= part->to;
    }
    return 0;
}

void rb_tail_range_done(struct rb_tail_range *range)
{
    for (size_t i = 0; i < range->topic_count; i++) {
        if (range->topics[i].topic != NULL)
            rd_kafka_topic_destroy(range->topics[i].topic);
        free(range->topics[i].name);
    }
    free(range->topics);
    free(range->parts);
    *range = (struct rb_tail_range){0};
}
