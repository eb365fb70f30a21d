/*
 * setup_topics_inside.h — what the files of setup_topics share.
 *
 * Way:  consumer setup -> [setup_topics] -> Kafka
 */
#pragma once

#include "common/kafka.h"
#include "consumer/setup_topics.h"
#include "consumer/topic_table.h"

#define SETUP_KAFKA_MS 30000
#define SETUP_DAY_MS   INT64_C(86400000)

/*
 * A client for setup.
 *
 * Gives:  ret_kafka; rb_kafka_close it.
 * Fails:  BAD_OPTION.
 * Loop:   before any loop runs, as all below.
 */
RB_MUST_CHECK int setup_topics_open(struct rb_loop *loop, const struct consumer_options *options,
                                    struct rb_kafka **ret_kafka, struct rb_error *err);

/*
 * A topic's name with its prefix.
 *
 * Gives:  owned by the caller.
 * Loop:   pure, any thread.
 */
char *setup_topics_name(const struct consumer_options *options, const struct rb_topic *topic);

/*
 * How long a topic keeps records.
 *
 * Gives:  milliseconds; -1 for ever.
 * Loop:   pure, any thread.
 */
int64_t setup_topics_retention_ms(const struct consumer_options *options, const struct rb_topic *topic);

/*
 * Its cleanup.policy.
 *
 * Loop:   pure, any thread.
 */
const char *setup_topics_policy(const struct rb_topic *topic);

/*
 * Options for a question to the brokers.
 *
 * Gives:  owned by the caller.
 * Loop:   as above.
 */
rd_kafka_AdminOptions_t *setup_topics_admin(rd_kafka_t *handle, rd_kafka_admin_op_t what);

/*
 * Was it answered, and well as a whole?
 *
 * Takes:  event, NULL when none has come; doing, in a word.
 * Fails:  KAFKA_AWAY.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int setup_topics_wait(rd_kafka_event_t *event, const char *doing, struct rb_error *err);
