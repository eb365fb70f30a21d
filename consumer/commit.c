/*
 * commit.c — what is announced and what is finished, together in Kafka transactions.
 *
 * Way:  emit -> [commit] -> Kafka
 */
#include "consumer/commit.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/errmap.h"
#include "common/log.h"
#include "common/random.h"
#include "consumer/metrics_table.h"

#define COMMIT_MAGIC   0x434d4954u
#define BATCH_MAX      1000
#define BATCH_BYTES    (16 << 20)
#define PAUSE_FIRST_MS 20
#define PAUSE_MAX_MS   2000
#define LOOK_MS        1000 /* for records that have waited too long */

/* A record that waits, or is in the transaction that is under way. */
struct rb_sending {
    struct rb_txn_record of; /* with key and value of its own */
    const struct rb_origin *origin;
    struct rb_receipt *receipt; /* borrowed; NULL when nobody wants it any more */
    int64_t since_ms;
    struct rb_sending *next;
};

struct queue {
    struct rb_sending *first;
    struct rb_sending **end;
    size_t count;
};

struct rb_commit {
    uint32_t magic;
    struct rb_commit_config config;
    struct rb_txn *txn;
    struct rb_commit_offsets offsets;
    bool has_offsets;
    struct queue waiting;
    struct rb_txn_record *batch[BATCH_MAX]; /* of the transaction under way; each is a sending's */
    size_t batch_count;
    bool busy;                             /* one is under way */
    bool poked;                            /* there are offsets without a record */
    rd_kafka_topic_partition_list_t *list; /* the offsets in the one under way; NULL for none */
    rd_kafka_consumer_group_metadata_t *group;
    struct rb_task begin;
    struct rb_timer *timer; /* until the next one begins */
    struct rb_timer *look_timer;
    struct rb_backoff backoff; /* of aborted ones */
};

/* -- records ------------------------------------------------------------------------------------------------------- */

static struct rb_sending *sending_of(struct rb_txn_record *record)
{
    return (struct rb_sending *)((char *)record - offsetof(struct rb_sending, of));
}

static void queue_init(struct queue *queue)
{
    *queue = (struct queue){.end = &queue->first};
}

static void queue_add(struct queue *queue, struct rb_sending *sending)
{
    sending->next = NULL;
    *queue->end = sending;
    queue->end = &sending->next;
    queue->count++;
}

static void queue_push(struct queue *queue, struct rb_sending *sending)
{
    if (queue->first == NULL)
        queue->end = &sending->next;
    sending->next = queue->first;
    queue->first = sending;
    queue->count++;
}

static struct rb_sending *queue_take(struct queue *queue)
{
    struct rb_sending *sending = queue->first;

    queue->first = sending->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    queue->count--;
    return sending;
}

static void sending_free(struct rb_sending *sending)
{
    if (sending->receipt != NULL)
        sending->receipt->sending = NULL;
    if (sending->of.record.headers != NULL)
        rd_kafka_headers_destroy(sending->of.record.headers);
    free((void *)(uintptr_t)sending->of.record.key);
    free((void *)(uintptr_t)sending->of.record.value);
    free(sending);
}

/* The one call. The sender may send something else from it. */
static void sending_end(struct rb_sending *sending, const struct rb_error *err)
{
    struct rb_receipt *receipt = sending->receipt;
    struct rb_delivery delivery = sending->of.delivery;

    sending_free(sending);
    if (receipt != NULL)
        receipt->fn(err == NULL ? &delivery : NULL, err, receipt->arg);
}

static void *copy_bytes(const void *bytes, size_t count)
{
    void *copy = bytes != NULL ? rb_xalloc(RB_MAX(count, 1)) : NULL;

    if (copy != NULL && count > 0)
        memcpy(copy, bytes, count);
    return copy;
}

/* -- the next transaction ------------------------------------------------------------------------------------------ */

static size_t bytes_of(const struct rb_sending *sending)
{
    return sending->of.record.key_bytes + sending->of.record.value_bytes;
}

/* Puts a record into the transaction, with the offset that it settles. */
static void batch_add(struct rb_commit *commit, struct rb_sending *sending)
{
    sending->of.refused = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (sending->origin != NULL &&
        !(commit->has_offsets && commit->offsets.stage(sending->origin, commit->offsets.arg))) {
        sending_free(sending); /* whoever has its partition now settles it */
        return;
    }
    commit->batch[commit->batch_count++] = &sending->of;
}

static void batch_fill(struct rb_commit *commit)
{
    size_t bytes = 0;

    commit->batch_count = 0;
    while (commit->waiting.count > 0 && commit->batch_count < BATCH_MAX && bytes < BATCH_BYTES) {
        struct rb_sending *sending = queue_take(&commit->waiting);

        if (sending->receipt == NULL) {
            sending_free(sending);
            continue;
        }
        bytes += bytes_of(sending);
        batch_add(commit, sending);
    }
}

static void begin(void *arg)
{
    struct rb_commit *commit = RB_CAST(rb_commit, arg, COMMIT_MAGIC);
    struct rb_txn_batch batch = {.records = commit->batch};

    if (commit->busy || !rb_txn_is_ready(commit->txn) || rb_timer_is_started(commit->timer) ||
        (commit->waiting.count == 0 && !commit->poked))
        return;
    batch_fill(commit);
    commit->poked = false;
    if (commit->has_offsets)
        commit->list = commit->offsets.collect(&commit->group, commit->offsets.arg);
    batch.count = commit->batch_count;
    batch.offsets = commit->list;
    batch.group = commit->group;
    if (batch.count == 0 && batch.offsets == NULL)
        return;
    commit->busy = true;
    rb_txn_begin(commit->txn, &batch);
}

/* Whoever comes first waits a little for others. While one is under way, all wait for its end. */
static void begin_soon(struct rb_commit *commit, int64_t wait_ms)
{
    if (commit->busy || rb_timer_is_started(commit->timer))
        return;
    if (wait_ms == 0)
        rb_task_queue(&commit->begin);
    else
        rb_timer_start(commit->timer, wait_ms);
}

static void on_ready(void *arg)
{
    struct rb_commit *commit = RB_CAST(rb_commit, arg, COMMIT_MAGIC);

    begin_soon(commit, 0);
}

/* -- the end of one ------------------------------------------------------------------------------------------------ */

static void drop_offsets(struct rb_commit *commit)
{
    if (commit->list != NULL)
        rd_kafka_topic_partition_list_destroy(commit->list);
    if (commit->group != NULL)
        rd_kafka_consumer_group_metadata_destroy(commit->group);
    commit->list = NULL;
    commit->group = NULL;
}

static void settle(struct rb_commit *commit, bool committed)
{
    rd_kafka_topic_partition_list_t *list = commit->list;

    commit->busy = false;
    if (list != NULL && commit->has_offsets)
        commit->offsets.settle(committed, list, commit->offsets.arg);
    drop_offsets(commit);
}

static void take_committed(struct rb_commit *commit)
{
    size_t count = commit->batch_count;

    settle(commit, true);
    rb_metrics_add(commit->config.metrics, METRIC_TRANSACTIONS, 1);
    rb_backoff_reset(&commit->backoff);
    commit->batch_count = 0;
    for (size_t i = 0; i < count; i++)
        sending_end(sending_of(commit->batch[i]), NULL);
}

static void end_refused(struct rb_sending *sending)
{
    rd_kafka_resp_err_t code = sending->of.refused;
    struct rb_error err = {0};

    rb_fail(&err, rb_errmap_kafka(code), code, "Kafka did not take the record: %s", rd_kafka_err2str(code));
    sending_end(sending, &err);
}

/* What is still wanted goes to the head of the line, in its order. */
static void take_aborted(struct rb_commit *commit)
{
    size_t count = commit->batch_count;

    settle(commit, false);
    rb_metrics_add(commit->config.metrics, METRIC_TRANSACTION_FAILS, 1);
    commit->poked = true;
    for (size_t i = count; i > 0; i--)
        if (commit->batch[i - 1]->refused == RD_KAFKA_RESP_ERR_NO_ERROR)
            queue_push(&commit->waiting, sending_of(commit->batch[i - 1]));
    commit->batch_count = 0;
    rb_timer_start(commit->timer, rb_backoff_next_ms(&commit->backoff, rb_random()));
    for (size_t i = 0; i < count; i++)
        if (commit->batch[i]->refused != RD_KAFKA_RESP_ERR_NO_ERROR)
            end_refused(sending_of(commit->batch[i]));
}

void rb_commit_looked(struct rb_commit *commit, bool committed)
{
    RB_ASSERT(commit->busy);
    rb_log(NULL, RB_EV_TXN_LOOKED, "committed=%d records=%zu", committed, commit->batch_count);
    if (committed)
        take_committed(commit);
    else
        take_aborted(commit);
    begin_soon(commit, 0);
}

static void on_ended(enum rb_txn_end end, const struct rb_error *err, void *arg)
{
    struct rb_commit *commit = RB_CAST(rb_commit, arg, COMMIT_MAGIC);

    (void)err; /* in the log already */
    switch (end) {
    case RB_TXN_COMMITTED:
        take_committed(commit);
        break;
    case RB_TXN_ABORTED:
        take_aborted(commit);
        break;
    case RB_TXN_UNKNOWN:
        if (commit->list != NULL && commit->has_offsets)
            commit->offsets.look(commit->list, commit->offsets.arg);
        else
            rb_commit_looked(commit, false); /* events that settle no record: they may be there twice, with one id */
        break;
    }
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

/* Kafka does not take them, and may not for long: who sent them has other things to do, or somebody to tell. */
static void on_look(void *arg)
{
    struct rb_commit *commit = RB_CAST(rb_commit, arg, COMMIT_MAGIC);
    int64_t before_ms = rb_clock_ms() - commit->config.timeout_ms;
    struct rb_error err = {0};

    rb_timer_start(commit->look_timer, LOOK_MS);
    for (size_t i = commit->waiting.count; i > 0 && commit->waiting.first->since_ms < before_ms; i--) {
        rb_fail(&err, RB_E_KAFKA_AWAY, 0, "no transaction has taken the record for %" PRId64 " ms",
                commit->config.timeout_ms);
        sending_end(queue_take(&commit->waiting), &err);
    }
}

static void on_fatal(const struct rb_error *err, void *arg)
{
    struct rb_commit *commit = RB_CAST(rb_commit, arg, COMMIT_MAGIC);

    commit->config.on_fatal(err, commit->config.fatal_arg);
}

int rb_commit_new(struct rb_loop *loop, const struct rb_commit_config *config, struct rb_commit **ret_commit,
                  struct rb_error *err)
{
    struct rb_commit *commit = rb_xalloc(sizeof(*commit));
    struct rb_txn_config txn = config->txn;

    *commit = (struct rb_commit){
        .magic = COMMIT_MAGIC,
        .config = *config,
        .backoff = {.first_ms = PAUSE_FIRST_MS, .max_ms = PAUSE_MAX_MS},
    };
    queue_init(&commit->waiting);
    rb_task_init(&commit->begin, loop, begin, commit);
    commit->timer = rb_timer_new(loop, begin, commit);
    commit->look_timer = rb_timer_new(loop, on_look, commit);
    rb_timer_start(commit->look_timer, LOOK_MS);
    txn.on_ready = on_ready;
    txn.on_ended = on_ended;
    txn.on_fatal = on_fatal;
    txn.arg = commit;
    if (rb_txn_new(loop, &txn, &commit->txn, err) < 0) {
        (void)rb_commit_free(commit);
        return -1;
    }
    *ret_commit = commit;
    return 0;
}

bool rb_commit_free(struct rb_commit *commit)
{
    if (commit == NULL)
        return true;
    if (!rb_txn_free(commit->txn))
        return false;
    for (size_t i = 0; i < commit->batch_count; i++)
        sending_free(sending_of(commit->batch[i]));
    while (commit->waiting.count > 0)
        sending_free(queue_take(&commit->waiting));
    drop_offsets(commit);
    rb_task_done(&commit->begin);
    rb_timer_free(commit->timer);
    rb_timer_free(commit->look_timer);
    commit->magic = 0;
    free(commit);
    return true;
}

void rb_commit_set_offsets(struct rb_commit *commit, const struct rb_commit_offsets *offsets)
{
    commit->has_offsets = offsets != NULL;
    if (offsets != NULL)
        commit->offsets = *offsets;
}

int rb_commit_send(struct rb_commit *commit, const struct rb_record *record, const struct rb_origin *origin,
                   struct rb_receipt *receipt, struct rb_error *err)
{
    struct rb_sending *sending = rb_xalloc(sizeof(*sending));

    RB_ASSERT(receipt->sending == NULL);
    sending->of.record = *record;
    sending->of.record.key = copy_bytes(record->key, record->key_bytes);
    sending->of.record.value = copy_bytes(record->value, record->value_bytes);
    sending->origin = origin;
    sending->since_ms = rb_clock_ms();
    if (!rb_txn_is_up(commit->txn)) {
        sending_free(sending);
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "cannot send to '%s': no broker is connected", record->topic);
    }
    sending->receipt = receipt;
    receipt->sending = sending;
    queue_add(&commit->waiting, sending);
    begin_soon(commit, commit->config.wait_ms);
    return 0;
}

/* Whatever is left of it goes when its turn comes: it is in a line, or in a transaction. */
void rb_commit_cancel(struct rb_receipt *receipt)
{
    if (receipt->sending == NULL)
        return;
    receipt->sending->receipt = NULL;
    receipt->sending->origin = NULL;
    receipt->sending = NULL;
}

void rb_commit_poke(struct rb_commit *commit)
{
    commit->poked = true;
    begin_soon(commit, 0);
}

bool rb_commit_is_idle(const struct rb_commit *commit)
{
    return !commit->busy && commit->waiting.count == 0 && !commit->poked;
}

void rb_commit_wait(struct rb_commit *commit, int64_t wait_ms)
{
    if (commit->busy)
        rb_txn_wait(commit->txn, wait_ms);
}

bool rb_commit_is_ready(const struct rb_commit *commit)
{
    return commit->busy || rb_txn_is_ready(commit->txn);
}

bool rb_commit_is_up(const struct rb_commit *commit)
{
    return rb_txn_is_up(commit->txn);
}
