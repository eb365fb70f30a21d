/*
 * kafka_sender.h — what a client that sends is opened with, kept by its owner, so that another one can take its place.
 *
 * Way:  common
 */
#pragma once

#include "common/kafka.h"

/* Part of its owner. All owned. */
struct rb_kafka_sender {
    char *brokers;
    char *client_id;
    char *pairs;
    char **topics; /* NULL at the end */
};

/*
 * Keep what a client is opened with.
 *
 * Takes:  config, topics that will be written, NULL at the end; both borrowed for the call.
 * Gives:  rb_kafka_sender_done it.
 * Loop:   pure, any thread.
 */
struct rb_kafka_sender rb_kafka_sender(const struct rb_kafka_config *config, const char *const *topics);

/*
 * Free what is kept.
 *
 * Loop:   pure, any thread.
 */
void rb_kafka_sender_done(struct rb_kafka_sender *sender);

/*
 * Open a client, and ask for its topics' metadata at once: who sends first does not wait for it.
 *
 * Takes:  settings, on_event, arg, as rb_kafka_open; sender is not needed any more afterwards, but for another client.
 * Gives:  ret_kafka, owned by the caller; rb_kafka_close it.
 * Fails:  BAD_OPTION with librdkafka's words.
 * Loop:   loop thread, as rb_kafka_open.
 */
RB_MUST_CHECK int rb_kafka_sender_open(const struct rb_kafka_sender *sender, struct rb_loop *loop,
                                       const char *const *settings, rb_kafka_event_fn on_event, void *arg,
                                       struct rb_kafka **ret_kafka, struct rb_error *err);
