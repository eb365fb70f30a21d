/*
 * outbox.h — the way to Kafka that leads over a disk while Kafka is away.
 *
 * Way:  publish -> [outbox] -> spool -> Kafka
 *
 * Without a spool it is the producer and nothing else. With one, a record that Kafka does not take goes there, and fn is
 * told that it is safe. While anything is in the spool, new records go behind it; records leave it in their order, a
 * chunk at a time, and a chunk is done when Kafka has acknowledged all of it. So records of one key that were answered
 * one after the other come in that order, but for repeats: a record whose acknowledgement was lost is in the topic and
 * comes again from the spool, with the same event id, which is harmless. When all of the spool is on its way to Kafka,
 * new records wait for that in memory, a moment, and then go directly: else a busy outbox would never leave the disk.
 */
#pragma once

#include "common/kafka_producer.h"
#include "common/metrics.h"
#include "producer/spool.h"

#define RB_SPOOLED (-1) /* the partition, and the offset, of what is on the disk */

struct rb_outbox;

struct rb_outbox_config {
    struct rb_producer *producer; /* borrowed until rb_outbox_stop */
    const char *spool;            /* folder; "" for none */
    int64_t spool_max_bytes;
    struct rb_metrics *metrics; /* borrowed for as long as the outbox lives */
};

/*
 * Make an outbox. What an earlier process left in the spool goes out first.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  ret_outbox, owned by the caller; rb_outbox_free it.
 * Fails:  BAD_OPTION, SYSTEM; as of rb_spool_open.
 * Loop:   loop thread, before it runs.
 */
RB_MUST_CHECK int rb_outbox_new(struct rb_loop *loop, const struct rb_outbox_config *config,
                                struct rb_outbox **ret_outbox, struct rb_error *err);

/*
 * The producer is about to go, and must after this: nothing can be sent any more. Whoever waits for the spool is told
 * that it failed; what is in the spool stays there.
 *
 * Loop:   loop thread.
 */
void rb_outbox_stop(struct rb_outbox *outbox);

/*
 * Free it, after the producer. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_outbox_free(struct rb_outbox *outbox);

/*
 * Send a record, as rb_producer_send does.
 *
 * Takes:  record, borrowed for the call, its headers taken over in any case. The delivery that fn gets has the partition
 *         RB_SPOOLED when the record is on the disk.
 * Fails:  KAFKA_AWAY, KAFKA_FULL, KAFKA_REFUSED, SPOOL_FULL, SPOOL_BROKEN; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_outbox_send(struct rb_outbox *outbox, const struct rb_record *record, rb_producer_fn fn, void *arg,
                                 struct rb_error *err);

/*
 * Would a record be taken now, by Kafka or by the spool?
 *
 * Fails:  KAFKA_AWAY, SPOOL_FULL.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_outbox_check(const struct rb_outbox *outbox, struct rb_error *err);

/*
 * Is it on the way over the disk?
 *
 * Gives:  the number of records in the spool; 0 when there is none.
 * Loop:   loop thread.
 */
uint64_t rb_outbox_spooled(const struct rb_outbox *outbox);
