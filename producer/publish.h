/*
 * publish.h — puts what was received on Kafka and says when the brokers have it, or the spool.
 *
 * Way:  receive -> verify -> notice -> lookup -> [publish] -> outbox -> Kafka
 */
#pragma once

#include "common/codec.h"
#include "common/kafka_producer.h"
#include "common/trace.h"
#include "producer/outbox.h"

struct rb_publish;

struct rb_publish_config {
    struct rb_kafka_config kafka;
    int64_t timeout_ms;     /* for Kafka to acknowledge a record */
    struct rb_codec *codec; /* borrowed for as long as the publisher lives */
    const char *topic_prefix;
    const char *spool; /* folder; "" for none */
    int64_t spool_max_bytes;
    struct rb_metrics *metrics; /* borrowed for as long as the publisher lives */
};

/*
 * Make a publisher, with a producer of its own.
 *
 * Gives:  ret_publish, owned by the caller; rb_publish_free it.
 * Fails:  BAD_OPTION, SYSTEM.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_publish_new(struct rb_loop *loop, const struct rb_publish_config *config,
                                 struct rb_publish **ret_publish, struct rb_error *err);

/*
 * Give up what is still on its way: those calls come, with an error, before this returns. Nothing can be published
 * afterwards.
 *
 * Loop:   loop thread.
 */
void rb_publish_stop(struct rb_publish *publish);

/*
 * Stop and free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_publish_free(struct rb_publish *publish);

/*
 * Publish one webhook.
 *
 * Takes:  event, trace, tracestate, borrowed for the call; tracestate may be NULL. fn as of rb_outbox_send.
 * Fails:  KAFKA_AWAY, KAFKA_FULL, KAFKA_REFUSED, SPOOL_FULL, REGISTRY_AWAY, BAD_EVENT; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_publish_webhook(struct rb_publish *publish, const struct rb_video_webhook_received *event,
                                     const struct rb_trace *trace, const char *tracestate, rb_producer_fn fn, void *arg,
                                     struct rb_error *err);

/*
 * Publish what polling has brought.
 *
 * Takes:  event, trace, borrowed for the call. fn as of rb_producer_send.
 * Fails:  as rb_publish_webhook.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_publish_poll(struct rb_publish *publish, const struct rb_video_poll_result *event,
                                  const struct rb_trace *trace, rb_producer_fn fn, void *arg, struct rb_error *err);

/*
 * The topic that webhooks go to, with its prefix.
 *
 * Gives:  borrowed from the publisher.
 * Loop:   loop thread.
 */
const char *rb_publish_topic(const struct rb_publish *publish);

/*
 * The topic that results of polling go to, with its prefix.
 *
 * Gives:  borrowed from the publisher.
 * Loop:   loop thread.
 */
const char *rb_publish_poll_topic(const struct rb_publish *publish);

/*
 * Can it publish now, be it by way of the spool?
 *
 * Fails:  KAFKA_AWAY, SPOOL_FULL, REGISTRY_AWAY, saying what is missing.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_publish_check(const struct rb_publish *publish, struct rb_error *err);

/*
 * Is a broker connected?
 *
 * Loop:   loop thread.
 */
bool rb_publish_is_up(const struct rb_publish *publish);

/*
 * What went wrong with Kafka since the start; nothing after rb_publish_stop.
 *
 * Loop:   loop thread.
 */
struct rb_producer_errors rb_publish_errors(const struct rb_publish *publish);

/*
 * Does what is published go to Kafka directly?
 *
 * Fails:  KAFKA_AWAY when no broker is connected, or what is in the spool must go before it.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_publish_check_direct(const struct rb_publish *publish, struct rb_error *err);
