/*
 * kafka_txn_inside.h — what the files kafka_txn*.c share: the blocking steps and what they leave behind.
 *
 * Way:  common
 */
#pragma once

#include "common/kafka_txn.h"

/* What a step of librdkafka's needs and what came of it. The loop does not touch it while the step runs. */
struct rb_txn_step {
    void *owner;               /* borrowed: whom done is to tell */
    rd_kafka_t *handle;        /* borrowed */
    struct rb_txn_batch batch; /* of the transaction */
    int wait_ms;               /* for one answer of the brokers */
    int64_t took_ms;
    rd_kafka_resp_err_t code; /* NO_ERROR when it went well */
    bool retriable;
    bool fatal;
    char text[160];
};

/*
 * Wait until whatever was begun under our transactional id before has come to its end, and nobody can go on with it.
 *
 * Takes:  arg, a struct rb_txn_step.
 * Loop:   pool; blocks.
 */
void rb_txn_step_open(void *arg);

/*
 * Begin a transaction, send all records and offsets, and wait until the brokers have them.
 *
 * Takes:  arg, a struct rb_txn_step.
 * Loop:   pool; blocks.
 */
void rb_txn_step_send(void *arg);

/*
 * Commit: nothing else is left to do. What fails here may have happened all the same.
 *
 * Takes:  arg, a struct rb_txn_step.
 * Loop:   pool; blocks.
 */
void rb_txn_step_commit(void *arg);

/*
 * Abort.
 *
 * Takes:  arg, a struct rb_txn_step.
 * Loop:   pool; blocks.
 */
void rb_txn_step_abort(void *arg);

/*
 * Destroy a client.
 *
 * Takes:  arg, a rd_kafka_t.
 * Loop:   pool; blocks.
 */
void rb_txn_step_destroy(void *arg);
