/*
 * setup_topics.h — what setup does on Kafka: the topics, how long each keeps what, and who needs which right.
 *
 * Way:  consumer setup -> [setup_topics] -> Kafka
 */
#pragma once

#include "common/loop.h"
#include "consumer/options.h"

/*
 * Make the topics that are missing, each with its retention. Those that are there stay as they are.
 *
 * Takes:  loop, that does not run; options, borrowed for the call.
 * Fails:  KAFKA_AWAY, BAD_OPTION.
 * Loop:   before any loop runs; blocks, as all below.
 */
RB_MUST_CHECK int rb_setup_topics(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err);

/*
 * Look at the topics and change nothing.
 *
 * Gives:  ret_lacks, counted up by what is missing or would lose records.
 * Fails:  KAFKA_AWAY, BAD_OPTION.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_setup_topics_check(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                                        struct rb_error *err);

/*
 * Print the commands that give each program the rights that it needs, and no more.
 *
 * Loop:   as above; asks nobody.
 */
void rb_setup_topics_acls(const struct consumer_options *options);
