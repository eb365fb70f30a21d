/*
 * kafka_txn.c — records and consumer offsets into Kafka in transactions, one after the other.
 *
 * Way:  common
 */
#include "common/kafka_txn.h"

#include <inttypes.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/errmap.h"
#include "common/kafka_sender.h"
#include "common/kafka_txn_inside.h"
#include "common/log.h"
#include "common/pool.h"
#include "common/random.h"
#include "common/watchdog.h"

#define TXN_MAGIC       0x54584e21u
#define ANSWER_MS       10000 /* that the brokers may take for one request ... */
#define OPEN_MS         2000  /* ... and for opening, which is asked for again until it is done */
#define SLOW_END_MS     5000  /* an end that took longer was sent more than once, perhaps */
#define REOPEN_FIRST_MS 100
#define REOPEN_MAX_MS   10000
#define CLOSE_WAIT_MS   3000

/* While it is...     the pool... */
enum txn_state {
    TXN_OPENING,    /* waits until nothing of before is pending */
    TXN_READY,      /* rests, and a transaction may begin */
    TXN_SENDING,    /* sends records and offsets */
    TXN_COMMITTING, /* commits */
    TXN_ABORTING,   /* aborts */
    TXN_RESTING,    /* rests, because opening has failed */
};

struct rb_txn {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    struct rb_txn_config config;
    struct rb_kafka_sender sender;
    char *id; /* owned */
    char timeout_text[24];
    char answer_text[24];

    enum txn_state state;
    struct rb_kafka *kafka; /* NULL while there is none */
    struct rb_pool_call *call;
    struct rb_txn_step step;
    int64_t calls; /* that have come back */
    struct rb_front front;
    struct rb_timer *timer;    /* of RESTING */
    struct rb_backoff backoff; /* of opening */
    bool away;                 /* opening has failed */
    int64_t began_ms;          /* the transaction */
    int64_t errors;            /* that librdkafka had reported when its end began */
    size_t undelivered;        /* records of it */
    struct rb_error why;       /* it is not committed */
    bool unknown;              /* what the last one has come to; told once the next client is open */
};

static void txn_open(struct rb_txn *txn);

static int64_t answer_ms(const struct rb_txn *txn)
{
    return RB_MIN(ANSWER_MS, txn->config.timeout_ms);
}

/* -- the client ---------------------------------------------------------------------------------------------------- */

static void on_event(rd_kafka_event_t *event, void *arg)
{
    struct rb_txn *txn = RB_CAST(rb_txn, arg, TXN_MAGIC);
    const rd_kafka_message_t *message;

    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR)
        return;
    while ((message = rd_kafka_event_message_next(event)) != NULL) {
        struct rb_txn_record *record = message->_private;

        record->delivery = (struct rb_delivery){message->partition, message->offset};
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        txn->undelivered++;
        if (rb_errmap_kafka(message->err) == RB_E_KAFKA_REFUSED)
            record->refused = message->err;
    }
}

static int txn_open_client(struct rb_txn *txn, struct rb_error *err)
{
    const char *const settings[] = {
        "transactional.id",
        txn->id,
        "transaction.timeout.ms",
        txn->timeout_text,
        "delivery.timeout.ms",
        txn->timeout_text,
        "socket.timeout.ms",
        txn->answer_text, /* not above the transaction's; without it, it would be derived from that */
        "linger.ms",
        "1", /* all records of a transaction come together */
        "retry.backoff.ms",
        "5", /* a transaction waits for this when it follows the one before at once */
        "compression.codec",
        "lz4",
        NULL,
    };

    return rb_kafka_sender_open(&txn->sender, txn->loop, settings, on_event, txn, &txn->kafka, err);
}

/* Destroying may take a while: not on the loop. */
static void txn_drop_client(struct rb_txn *txn)
{
    if (txn->kafka != NULL)
        rb_pool_start(txn->loop, rb_txn_step_destroy, NULL, rb_kafka_release(txn->kafka));
    txn->kafka = NULL;
}

static void txn_serve(struct rb_txn *txn)
{
    while (rb_kafka_serve(txn->kafka, 0))
        continue;
}

static void txn_call(struct rb_txn *txn, enum txn_state state, rb_loop_fn work, rb_loop_fn done)
{
    txn->state = state;
    txn->step.owner = txn;
    txn->step.handle = rb_kafka_handle(txn->kafka);
    txn->step.wait_ms = state == TXN_OPENING ? OPEN_MS : (int)answer_ms(txn);
    txn->step.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    txn->step.retriable = txn->step.fatal = false;
    txn->call = rb_pool_start(txn->loop, work, done, &txn->step);
}

/* What every step begins with when it is back on the loop. */
static struct rb_txn *txn_back(void *arg)
{
    const struct rb_txn_step *step = arg;
    struct rb_txn *txn = RB_CAST(rb_txn, step->owner, TXN_MAGIC);

    txn->call = NULL;
    txn->calls++;
    txn_serve(txn);
    return txn;
}

/* Each call has a time-out; librdkafka 2.10 was seen not to come back from some of them. */
static int64_t calls(void *arg)
{
    const struct rb_txn *txn = RB_CAST(rb_txn, arg, TXN_MAGIC);

    return txn->call != NULL ? txn->calls : RB_FRONT_IDLE;
}

static void on_timer(void *arg)
{
    struct rb_txn *txn = RB_CAST(rb_txn, arg, TXN_MAGIC);

    if (txn->state == TXN_RESTING)
        txn_open(txn);
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* The code behind an error: librdkafka tells the first fatal one when it is asked. */
static rd_kafka_resp_err_t true_code(const struct rb_txn *txn)
{
    rd_kafka_resp_err_t first = rd_kafka_fatal_error(rb_kafka_handle(txn->kafka), NULL, 0);

    return txn->step.fatal && first != RD_KAFKA_RESP_ERR_NO_ERROR ? first : txn->step.code;
}

static void txn_log(const struct rb_txn *txn, const char *action)
{
    rb_log_error(NULL, RB_EV_TXN_TROUBLE, &txn->why, "action=%s took_ms=%" PRId64, action, txn->step.took_ms);
}

static void txn_fail(struct rb_txn *txn)
{
    rd_kafka_resp_err_t code = true_code(txn);
    enum rb_code of = rb_errmap_kafka(code);

    rb_fail(&txn->why, of == RB_E_GROUP_FENCED || of == RB_E_KAFKA_REFUSED ? RB_E_KAFKA_AWAY : of, code, "%s",
            txn->step.text);
}

static void txn_rest(struct rb_txn *txn)
{
    txn->away = true;
    txn->state = TXN_RESTING;
    rb_timer_start(txn->timer, rb_backoff_next_ms(&txn->backoff, rb_random()));
}

static void on_opened(void *arg)
{
    struct rb_txn *txn = txn_back(arg);
    bool unknown = txn->unknown;

    if (txn->step.code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        txn_fail(txn);
        txn_log(txn, "open_again");
        if (!txn->step.retriable)
            txn_drop_client(txn);
        txn_rest(txn);
        return;
    }
    txn->state = TXN_READY;
    txn->away = false;
    txn->unknown = false;
    rb_backoff_reset(&txn->backoff);
    rb_kafka_note_up(txn->kafka);
    rb_log(NULL, RB_EV_TXN_READY, "transactional_id=%s", txn->id);
    if (unknown)
        txn->config.on_ended(RB_TXN_UNKNOWN, &txn->why, txn->config.arg);
    txn->config.on_ready(txn->config.arg);
}

static void txn_open(struct rb_txn *txn)
{
    struct rb_error err = {0};

    if (txn->kafka == NULL && txn_open_client(txn, &err) < 0) {
        txn->why = err; /* it was possible before: descriptors or memory are short */
        txn_log(txn, "open_again");
        txn_rest(txn);
        return;
    }
    txn_call(txn, TXN_OPENING, rb_txn_step_open, on_opened);
}

/* Something of the old client may be on its way still. Its successor has another epoch, and nothing of before counts then. */
static void txn_replace(struct rb_txn *txn)
{
    txn_drop_client(txn);
    txn_open(txn);
}

/* -- a transaction ------------------------------------------------------------------------------------------------- */

/* Brokers fence those, too, whose transaction they have given up: only a young one tells of another process. */
static bool is_fenced(const struct rb_txn *txn)
{
    return rb_errmap_kafka(true_code(txn)) == RB_E_GROUP_FENCED && txn->step.fatal &&
           rb_clock_ms() - txn->began_ms < txn->config.timeout_ms / 2;
}

static bool txn_stop_if_fenced(struct rb_txn *txn)
{
    struct rb_error err = {0};

    if (txn->step.code == RD_KAFKA_RESP_ERR_NO_ERROR || !is_fenced(txn))
        return false;
    rb_fail(&err, RB_E_TXN_FENCED, true_code(txn),
            "another process has taken our transactional id '%.100s': each needs its own", txn->id);
    txn->config.on_fatal(&err, txn->config.arg);
    return true;
}

/* Was the end sent more than once? Then a copy of it may come late, and end the next transaction. */
static bool is_in_doubt(const struct rb_txn *txn)
{
    return txn->step.code != RD_KAFKA_RESP_ERR_NO_ERROR || txn->step.took_ms > SLOW_END_MS ||
           rb_kafka_error_count(txn->kafka) != txn->errors;
}

static void txn_end(struct rb_txn *txn, enum rb_txn_end end)
{
    bool doubt = is_in_doubt(txn);

    if (doubt)
        txn_log(txn, "replace_client");
    if (doubt)
        txn_replace(txn);
    else
        txn->state = TXN_READY;
    txn->config.on_ended(end, end == RB_TXN_COMMITTED ? NULL : &txn->why, txn->config.arg);
    if (!doubt)
        txn->config.on_ready(txn->config.arg);
}

static void on_aborted(void *arg)
{
    struct rb_txn *txn = txn_back(arg);

    if (!txn_stop_if_fenced(txn))
        txn_end(txn, RB_TXN_ABORTED); /* also when that has failed: nobody will commit it */
}

static void on_committed(void *arg)
{
    struct rb_txn *txn = txn_back(arg);

    if (txn_stop_if_fenced(txn))
        return;
    if (txn->step.code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rb_fail(&txn->why, RB_E_KAFKA_AWAY, 0, "the commit was perhaps sent more than once");
        txn_end(txn, RB_TXN_COMMITTED);
        return;
    }
    txn_fail(txn);
    txn_log(txn, "replace_client");
    txn->unknown = true;
    txn_replace(txn);
}

static void txn_end_step(struct rb_txn *txn, enum txn_state state, rb_loop_fn work, rb_loop_fn done)
{
    txn->errors = rb_kafka_error_count(txn->kafka);
    txn_call(txn, state, work, done);
}

static void on_sent(void *arg)
{
    struct rb_txn *txn = txn_back(arg);

    if (txn_stop_if_fenced(txn))
        return;
    if (txn->step.code == RD_KAFKA_RESP_ERR_NO_ERROR && txn->undelivered == 0) {
        txn_end_step(txn, TXN_COMMITTING, rb_txn_step_commit, on_committed);
        return;
    }
    if (txn->step.code == RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(txn->step.text, sizeof(txn->step.text), "%zu records were not delivered", txn->undelivered);
    txn_fail(txn);
    txn_log(txn, "abort");
    txn_end_step(txn, TXN_ABORTING, rb_txn_step_abort, on_aborted);
}

void rb_txn_begin(struct rb_txn *txn, const struct rb_txn_batch *batch)
{
    RB_ASSERT(txn->state == TXN_READY);
    txn->step.batch = *batch;
    txn->began_ms = rb_clock_ms();
    txn->undelivered = 0;
    txn_call(txn, TXN_SENDING, rb_txn_step_send, on_sent);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

int rb_txn_new(struct rb_loop *loop, const struct rb_txn_config *config, struct rb_txn **ret_txn, struct rb_error *err)
{
    struct rb_txn *txn = rb_xalloc(sizeof(*txn));

    *txn = (struct rb_txn){
        .magic = TXN_MAGIC,
        .loop = loop,
        .config = *config,
        .id = rb_xstrdup(config->transactional_id),
        .sender = rb_kafka_sender(&config->kafka, config->topics),
        .backoff = {.first_ms = REOPEN_FIRST_MS, .max_ms = REOPEN_MAX_MS},
    };
    snprintf(txn->timeout_text, sizeof(txn->timeout_text), "%" PRId64, config->timeout_ms);
    snprintf(txn->answer_text, sizeof(txn->answer_text), "%" PRId64, answer_ms(txn));
    txn->timer = rb_timer_new(loop, on_timer, txn);
    if (txn_open_client(txn, err) < 0) {
        (void)rb_txn_free(txn);
        return -1;
    }
    txn->front = (struct rb_front){
        .name = "transaction", .more_ms = 3 * config->timeout_ms + ANSWER_MS, .progress = calls, .arg = txn};
    rb_front_enter(loop, &txn->front);
    txn_open(txn);
    *ret_txn = txn;
    return 0;
}

void rb_txn_wait(struct rb_txn *txn, int64_t wait_ms)
{
    int64_t until_ms = rb_clock_ms() + wait_ms;

    while (txn->call != NULL && txn->state != TXN_OPENING && rb_clock_ms() < until_ms) {
        (void)rb_kafka_serve(txn->kafka, 10);
        if (rb_pool_has_ended(txn->call))
            rb_pool_finish(txn->call);
    }
}

/* The call that is out ends nothing and begins nothing any more. */
static bool txn_give_up(struct rb_txn *txn)
{
    int64_t until_ms = rb_clock_ms() + CLOSE_WAIT_MS;

    while (txn->call != NULL && !rb_pool_has_ended(txn->call) && rb_clock_ms() < until_ms)
        (void)rb_kafka_serve(txn->kafka, 10);
    if (txn->call != NULL && !rb_pool_has_ended(txn->call))
        return false;
    if (txn->call != NULL)
        rb_pool_forget(txn->call);
    return true;
}

bool rb_txn_free(struct rb_txn *txn)
{
    if (txn == NULL)
        return true;
    rb_front_leave(&txn->front);
    if (!txn_give_up(txn))
        return false;
    rb_kafka_close(txn->kafka);
    rb_timer_free(txn->timer);
    rb_kafka_sender_done(&txn->sender);
    free(txn->id);
    txn->magic = 0;
    free(txn);
    return true;
}

bool rb_txn_is_ready(const struct rb_txn *txn)
{
    return txn->state == TXN_READY;
}

bool rb_txn_is_up(const struct rb_txn *txn)
{
    bool opening = txn->state == TXN_OPENING || txn->state == TXN_RESTING;

    return opening ? !txn->away : rb_kafka_is_up(txn->kafka);
}
