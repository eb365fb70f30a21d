/*
 * commit.h — what is announced and what is finished, together in Kafka transactions.
 *
 * Way:  emit -> [commit] -> Kafka
 *
 * Records wait here until the transaction before has ended, and go together: those that are there by then, with the offsets
 * of the records that they settle, and of those that ended without an event. A transaction that is aborted is made anew, of
 * what is still wanted; one that nobody knows about is looked up among the committed offsets first.
 */
#pragma once

#include "common/kafka_txn.h"
#include "common/metrics.h"
#include "consumer/message.h"

struct rb_commit;
struct rb_sending;

/* Who knows the offsets: consume. */
struct rb_commit_offsets {
    /* This record is settled by the transaction that is put together now; false when it is not ours any more. */
    bool (*stage)(const struct rb_origin *origin, void *arg);
    /* All staged: what is to be committed, and as which member; both owned by the caller. NULL for nothing. */
    rd_kafka_topic_partition_list_t *(*collect)(rd_kafka_consumer_group_metadata_t **ret_group, void *arg);
    /* What was collected is committed, or is not. */
    void (*settle)(bool committed, const rd_kafka_topic_partition_list_t *list, void *arg);
    /* Nobody knows which: look, and call rb_commit_looked, perhaps at once. */
    void (*look)(const rd_kafka_topic_partition_list_t *list, void *arg);
    void *arg; /* borrowed */
};

struct rb_commit_config {
    struct rb_txn_config txn; /* with its callbacks and their arg left to this file, but for on_fatal */
    int64_t wait_ms;          /* that a record waits for others */
    int64_t timeout_ms;       /* after which one that no transaction takes comes back */
    struct rb_metrics *metrics;
    void (*on_fatal)(const struct rb_error *err, void *arg);
    void *fatal_arg; /* borrowed, as the metrics */
};

/*
 * What the sender of a record keeps: part of it. Zeroed but for fn and arg before each use.
 *
 * fn is called once, as a rb_producer_fn: without an error when the transaction is committed. With KAFKA_AWAY it is in no
 * transaction, and none will have it.
 */
struct rb_receipt {
    rb_producer_fn fn;
    void *arg;                  /* borrowed */
    struct rb_sending *sending; /* NULL while nothing is on its way */
};

/*
 * Begin with nothing.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  ret_commit, owned by the caller; rb_commit_free it.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_commit_new(struct rb_loop *loop, const struct rb_commit_config *config,
                                struct rb_commit **ret_commit, struct rb_error *err);

/*
 * Free it; what is on its way is given up, without a call. NULL is fine.
 *
 * Gives:  as rb_txn_free.
 * Loop:   loop thread, not from a callback; blocks for at most some seconds.
 */
bool rb_commit_free(struct rb_commit *commit);

/*
 * Whose offsets are committed.
 *
 * Takes:  offsets, copied; NULL: nobody's any more, and whoever was is not called again.
 * Loop:   loop thread.
 */
void rb_commit_set_offsets(struct rb_commit *commit, const struct rb_commit_offsets *offsets);

/*
 * Send a record with the next transaction.
 *
 * Takes:  record, borrowed for the call but for its topic, which must stay; its headers are taken over in any case; origin,
 *         borrowed for as long as it is on its way: the record that is settled by this one; NULL for none; receipt, of the
 *         sender.
 * Fails:  KAFKA_AWAY at once when Kafka is away; fn is not called then.
 * Loop:   loop thread; fn never comes before this returns.
 */
RB_MUST_CHECK int rb_commit_send(struct rb_commit *commit, const struct rb_record *record,
                                 const struct rb_origin *origin, struct rb_receipt *receipt, struct rb_error *err);

/*
 * A record is not wanted any more: fn is not called, and what no transaction has yet will be in none. Fine when nothing is on
 * its way.
 *
 * Loop:   loop thread.
 */
void rb_commit_cancel(struct rb_receipt *receipt);

/*
 * There are offsets to commit without a record: soon.
 *
 * Loop:   loop thread.
 */
void rb_commit_poke(struct rb_commit *commit);

/*
 * The answer to look.
 *
 * Loop:   loop thread.
 */
void rb_commit_looked(struct rb_commit *commit, bool committed);

/*
 * Is nothing on its way, and nothing waiting?
 *
 * Loop:   loop thread.
 */
bool rb_commit_is_idle(const struct rb_commit *commit);

/*
 * Let a transaction that is under way come to its end, for a while, when the loop does not run any more.
 *
 * Loop:   loop thread, not from a callback; blocks for at most that long.
 */
void rb_commit_wait(struct rb_commit *commit, int64_t wait_ms);

/*
 * Can a transaction begin, or has one? Then whoever had the same transactional id before can commit nothing more.
 *
 * Loop:   loop thread.
 */
bool rb_commit_is_ready(const struct rb_commit *commit);

/*
 * Is Kafka there?
 *
 * Loop:   loop thread.
 */
bool rb_commit_is_up(const struct rb_commit *commit);
