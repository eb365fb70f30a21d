/*
 * kafka.h — a librdkafka client on the loop: its settings, its queue of events, its log, whether a broker answers.
 *
 * Way:  common
 *
 * librdkafka has threads of its own. None of them runs our code: deliveries, records, errors, statistics and log lines
 * wait as events in one queue whose descriptor the loop watches. The descriptor fires only when the queue was empty, so
 * it is always drained.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/loop.h"

struct rb_kafka_config {
    const char *brokers;   /* "host:port,host:port" */
    const char *client_id; /* shows up in the brokers' logs and metrics */
    const char *pairs;     /* librdkafka's own settings, "key=value" lines, set last */
};

struct rb_kafka;

/* One event that is not about the client alone: records, deliveries, rebalances; errors, which are in the log by then, and
 * among them the ends of partitions, which are not. Borrowed for the call. */
typedef void (*rb_kafka_event_fn)(rd_kafka_event_t *event, void *arg);

/*
 * Start a client.
 *
 * Takes:  config, borrowed for the call; settings, "key", "value", ..., NULL: what this client needs beside that.
 * Gives:  ret_kafka, owned by the caller; rb_kafka_close it.
 * Fails:  BAD_OPTION with librdkafka's words.
 * Loop:   loop thread; on_event never comes before this returns.
 */
RB_MUST_CHECK int rb_kafka_open(struct rb_loop *loop, rd_kafka_type_t type, const struct rb_kafka_config *config,
                                const char *const *settings, rb_kafka_event_fn on_event, void *arg,
                                struct rb_kafka **ret_kafka, struct rb_error *err);

/*
 * Close a client. What is not delivered is dropped; a consumer should have left its group before. NULL is fine.
 *
 * Loop:   loop thread, not from on_event; may take a moment: librdkafka joins its threads.
 */
void rb_kafka_close(struct rb_kafka *kafka);

/*
 * Close a client that may hang: librdkafka 2.0.2 never comes back from closing a consumer whose topic was deleted.
 *
 * Takes:  kafka, as rb_kafka_close; wait_ms, at most so long.
 * Gives:  false when it hangs: the program must end without joining threads (_exit).
 * Loop:   as rb_kafka_close.
 */
RB_MUST_CHECK bool rb_kafka_close_within(struct rb_kafka *kafka, int64_t wait_ms);

/*
 * Give the librdkafka handle away: no event of it comes any more. For handles that cannot be destroyed here and now.
 *
 * Gives:  owned by the caller; rd_kafka_destroy it, or leave that to the end of the process.
 * Loop:   loop thread, not from on_event.
 */
rd_kafka_t *rb_kafka_release(struct rb_kafka *kafka);

/*
 * The librdkafka handle.
 *
 * Gives:  borrowed from the client.
 * Loop:   loop thread.
 */
rd_kafka_t *rb_kafka_handle(const struct rb_kafka *kafka);

/*
 * The queue that is served: for requests whose answers are to come as events.
 *
 * Gives:  borrowed from the client.
 * Loop:   loop thread.
 */
rd_kafka_queue_t *rb_kafka_queue(const struct rb_kafka *kafka);

/*
 * Is at least one broker connected? As of the last second.
 *
 * Loop:   loop thread.
 */
bool rb_kafka_is_up(const struct rb_kafka *kafka);

/*
 * A broker has answered a moment ago: the statistics will only tell with the next second.
 *
 * Loop:   loop thread.
 */
void rb_kafka_note_up(struct rb_kafka *kafka);

/*
 * How many errors librdkafka has reported, most of which it handles itself.
 *
 * Loop:   loop thread.
 */
int64_t rb_kafka_error_count(const struct rb_kafka *kafka);

/*
 * Serve events until the queue is empty or a deadline has passed; for the time when the loop does not run any more.
 *
 * Gives:  whether an event was served.
 * Loop:   loop thread; blocks for at most wait_ms when the queue is empty.
 */
bool rb_kafka_serve(struct rb_kafka *kafka, int wait_ms);

/*
 * The first fatal error that librdkafka reported.
 *
 * Fails:  KAFKA_FATAL or GROUP_FENCED once there was one; 0 before.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_kafka_check_fatal(const struct rb_kafka *kafka, struct rb_error *err);
