/*
 * tail_range.h — which partitions are read, from where and to where.
 *
 * Way:  tail -> [tail_range] -> Kafka
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "consumer/options.h"

#define RB_TAIL_TIMEOUT_MS 10000 /* for each question to Kafka */

struct rb_tail_topic {
    char *name;              /* owned; with its prefix */
    rd_kafka_topic_t *topic; /* owned; its opaque is this struct */
    size_t first;            /* of its partitions, in the range */
    size_t count;
};

struct rb_tail_part {
    struct rb_tail_topic *topic; /* borrowed from the range */
    int32_t number;
    int64_t from;
    int64_t to;   /* the first offset that is not wanted; INT64_MAX: there is no end */
    int64_t next; /* the first one that was not seen */
    bool done;
    bool started;
};

/* Part of its owner. */
struct rb_tail_range {
    struct rb_tail_topic *topics; /* owned, as are the parts */
    size_t topic_count;
    struct rb_tail_part *parts;
    size_t part_count;
    int64_t since_ms; /* RB_NO_LONG: not by time, as below */
    int64_t until_ms;
    int64_t offset;  /* RD_KAFKA_OFFSET_BEGINNING, _END, from 0 on; below -RB_TAIL_BACK: so many before the end */
    bool is_bounded; /* it ends when all parts are done */
};

#define RB_TAIL_BACK INT64_C(1000000)

/*
 * Read what the flags of tail say about it.
 *
 * Takes:  names, of topics without prefix, count of them; none: all of ours. now_unix_ms, so that the caller owns the clock.
 * Gives:  range, without partitions; rb_tail_range_done it, also after a failure.
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_tail_range_read(struct rb_tail_range *range, const struct consumer_options *options,
                                     const char *const *names, size_t count, int64_t now_unix_ms, struct rb_error *err);

/*
 * Ask Kafka for the partitions and their offsets.
 *
 * Takes:  handle, of a consumer that reads what is committed; partition, -1 for all; may_lack, whether a topic that does not
 *         exist is left out.
 * Fails:  KAFKA_AWAY, BAD_OPTION for a topic or partition that does not exist.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_tail_range_ask(struct rb_tail_range *range, rd_kafka_t *handle, int32_t partition, bool may_lack,
                                    struct rb_error *err);

/*
 * Free what is in it.
 *
 * Loop:   any thread; before the handle is closed.
 */
void rb_tail_range_done(struct rb_tail_range *range);
