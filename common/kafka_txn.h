/*
 * kafka_txn.h — records and consumer offsets into Kafka in transactions, one after the other.
 *
 * Way:  common
 *
 * librdkafka's transaction calls block, so they run on the pool (pool.h). What a transaction has come to is known, or is said
 * to be unknown: then the client is replaced, and its successor has waited until nothing of the old one is pending, before
 * on_ended tells. What is committed by then stays so, and what is not never will be.
 */
#pragma once

#include "common/kafka_producer.h"

struct rb_txn;

enum rb_txn_end {
    RB_TXN_COMMITTED,
    RB_TXN_ABORTED,
    RB_TXN_UNKNOWN, /* one of both; whoever has committed offsets with it can look */
};

struct rb_txn_config {
    struct rb_kafka_config kafka;
    const char *transactional_id; /* of no other process that runs */
    const char *const *topics;    /* that will be written, NULL at the end: their metadata is asked for at once */
    int64_t timeout_ms;           /* after which the brokers abort a transaction whose producer has vanished */
    rb_loop_fn on_ready;          /* a transaction can begin */
    /* One has ended; err says why it was not committed. The next one may begin from on_ready on. */
    void (*on_ended)(enum rb_txn_end end, const struct rb_error *err, void *arg);
    /* Another process has our transactional id: the program cannot go on. */
    void (*on_fatal)(const struct rb_error *err, void *arg);
    void *arg; /* borrowed */
};

/* A record of a transaction. All borrowed, until it has ended. */
struct rb_txn_record {
    struct rb_record record;     /* whose headers are copied */
    struct rb_delivery delivery; /* where it came to lie */
    rd_kafka_resp_err_t refused; /* why Kafka does not take it */
};

/* All borrowed, until it has ended. */
struct rb_txn_batch {
    struct rb_txn_record **records;
    size_t count;
    const rd_kafka_topic_partition_list_t *offsets;  /* NULL for none */
    const rd_kafka_consumer_group_metadata_t *group; /* as of when these partitions were assigned */
};

/*
 * Start a transactional producer.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  ret_txn, owned by the caller; rb_txn_free it.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread; no call comes before this returns.
 */
RB_MUST_CHECK int rb_txn_new(struct rb_loop *loop, const struct rb_txn_config *config, struct rb_txn **ret_txn,
                             struct rb_error *err);

/*
 * Stop and free. What is under way is given up: on_ended is not called for it. NULL is fine.
 *
 * Gives:  false when librdkafka does not come back from a call: then only the end of the process ends it.
 * Loop:   loop thread, not from a callback of this file; blocks for at most some seconds.
 */
bool rb_txn_free(struct rb_txn *txn);

/*
 * Can a transaction begin?
 *
 * Loop:   loop thread.
 */
bool rb_txn_is_ready(const struct rb_txn *txn);

/*
 * Make a transaction. It must be ready.
 *
 * Takes:  batch, copied; what it points to is borrowed until on_ended.
 * Loop:   loop thread; on_ended never comes before this returns.
 */
void rb_txn_begin(struct rb_txn *txn, const struct rb_txn_batch *batch);

/*
 * Let what is under way come to its end, for a while: for the time when the loop does not run any more.
 *
 * Loop:   loop thread, not from a callback of this file; blocks for at most that long, and may call on_ended and on_ready.
 */
void rb_txn_wait(struct rb_txn *txn, int64_t wait_ms);

/*
 * Is Kafka there, as far as we know?
 *
 * Loop:   loop thread.
 */
bool rb_txn_is_up(const struct rb_txn *txn);
