/*
 * kafka_txn_steps.c — the calls of a transaction that block.
 *
 * Way:  common
 *
 * All of this runs on the pool, and touches nothing but its step. Meanwhile the loop serves the client's events: flushing
 * depends on it.
 */
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/kafka_txn_inside.h"

#define TRIES_MAX 3 /* of a call that librdkafka says may be repeated */

static bool failed(struct rb_txn_step *step, rd_kafka_error_t *error)
{
    if (error == NULL) {
        step->code = RD_KAFKA_RESP_ERR_NO_ERROR;
        return false;
    }
    step->code = rd_kafka_error_code(error);
    step->retriable = rd_kafka_error_is_retriable(error) != 0;
    step->fatal = rd_kafka_error_is_fatal(error) != 0;
    snprintf(step->text, sizeof(step->text), "%s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return true;
}

static bool failed_with(struct rb_txn_step *step, rd_kafka_resp_err_t code, const char *doing)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    step->code = code;
    step->retriable = false;
    step->fatal = code == RD_KAFKA_RESP_ERR__FATAL;
    snprintf(step->text, sizeof(step->text), "%s: %s", doing, rd_kafka_err2str(code));
    return true;
}

/* For tests: this step fails, as without an answer. */
#define POINT_FAILS(step, name)                                                                                        \
    failed_with(step, RB_FAILS(name) ? RD_KAFKA_RESP_ERR__TRANSPORT : RD_KAFKA_RESP_ERR_NO_ERROR, "a failpoint")

void rb_txn_step_open(void *arg)
{
    struct rb_txn_step *step = arg;

    (void)failed(step, rd_kafka_init_transactions(step->handle, step->wait_ms));
}

static rd_kafka_resp_err_t send_record(struct rb_txn_step *step, struct rb_txn_record *of)
{
    const struct rb_record *record = &of->record;
    rd_kafka_headers_t *headers =
        record->headers != NULL ? rd_kafka_headers_copy(record->headers) : rd_kafka_headers_new(0);
    rd_kafka_resp_err_t code =
        rd_kafka_producev(step->handle, RD_KAFKA_V_TOPIC(record->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(record->key, record->key_bytes),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->value_bytes),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(of), RD_KAFKA_V_END);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers);
    return code;
}

/* One that is refused at once is noted with the record; the rest are tried all the same, to find all of these. */
static bool send_records(struct rb_txn_step *step)
{
    bool sent = true;

    RB_FAIL_HERE(txn_records);
    for (size_t i = 0; i < step->batch.count; i++) {
        rd_kafka_resp_err_t code = send_record(step, step->batch.records[i]);

        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        step->batch.records[i]->refused = code;
        sent = !failed_with(step, code, "a record is not taken");
    }
    return sent;
}

static bool send_offsets(struct rb_txn_step *step)
{
    if (step->batch.offsets == NULL)
        return true;
    if (POINT_FAILS(step, txn_offsets))
        return false;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (!failed(step, rd_kafka_send_offsets_to_transaction(step->handle, step->batch.offsets, step->batch.group,
                                                               step->wait_ms)))
            return true;
        if (!step->retriable)
            return false;
    }
    return false;
}

void rb_txn_step_send(void *arg)
{
    struct rb_txn_step *step = arg;
    int64_t began_ms = rb_clock_ms();

    if (!POINT_FAILS(step, txn_begin) && !failed(step, rd_kafka_begin_transaction(step->handle)) &&
        send_records(step) && send_offsets(step) && !POINT_FAILS(step, txn_flush))
        (void)failed_with(step, rd_kafka_flush(step->handle, step->wait_ms), "the records are not acknowledged");
    step->took_ms = rb_clock_ms() - began_ms;
}

/* Without a limit, which librdkafka recommends, it would wait for an answer for ever: while nobody knows whether there will be one,
 * and although the brokers have given up the transaction long since. Another try goes on with the same request. */
void rb_txn_step_commit(void *arg)
{
    struct rb_txn_step *step = arg;
    int64_t began_ms = rb_clock_ms();

    if (!POINT_FAILS(step, txn_commit)) {
        if (failed(step, rd_kafka_commit_transaction(step->handle, step->wait_ms)) && step->retriable)
            (void)failed(step, rd_kafka_commit_transaction(step->handle, step->wait_ms));
        if (step->code == RD_KAFKA_RESP_ERR_NO_ERROR)
            (void)POINT_FAILS(step, txn_committed);
    }
    step->took_ms = rb_clock_ms() - began_ms;
}

void rb_txn_step_abort(void *arg)
{
    struct rb_txn_step *step = arg;
    int64_t began_ms = rb_clock_ms();

    RB_FAIL_HERE(txn_abort);
    if (failed(step, rd_kafka_abort_transaction(step->handle, step->wait_ms)) && step->retriable)
        (void)failed(step, rd_kafka_abort_transaction(step->handle, step->wait_ms));
    step->took_ms = rb_clock_ms() - began_ms;
}

void rb_txn_step_destroy(void *arg)
{
    rd_kafka_destroy(arg);
}
