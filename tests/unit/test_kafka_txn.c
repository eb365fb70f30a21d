/* Transactions against librdkafka's own stand-in for brokers, which fails as it is told. */
#include "tests/unit/unit.h"

#include "common/kafka_txn.h"

#include <librdkafka/rdkafka_mock.h>

#define DEADLINE_MS 60000
#define PRODUCE     0 /* numbers of requests */
#define ADD_RECORDS 24
#define END         26

static struct {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
    struct rb_loop *loop;
    struct rb_timer *timer;
    struct rb_txn *txn;
    unsigned ready, ended, fatal; /* how often */
    enum rb_txn_end end;
    bool replaced; /* the client, at the end */
    struct rb_error err;
} the;

static void on_deadline(void *arg)
{
    (void)arg;
    fail_msg("nothing happens");
}

static void on_ready(void *arg)
{
    (void)arg;
    the.ready++;
    rb_loop_stop(the.loop);
}

static void on_ended(enum rb_txn_end end, const struct rb_error *err, void *arg)
{
    (void)arg;
    the.ended++;
    the.end = end;
    the.replaced = !rb_txn_is_ready(the.txn);
    if (err != NULL)
        the.err = *err;
}

static void on_fatal(const struct rb_error *err, void *arg)
{
    (void)arg;
    the.fatal++;
    the.err = *err;
    rb_loop_stop(the.loop);
}

static int start_with(int64_t timeout_ms)
{
    char trouble[200];
    struct rb_error err = {0};
    struct rb_txn_config config = {
        .transactional_id = "one",
        .topics = (const char *const[]){"events", NULL},
        .timeout_ms = timeout_ms,
        .on_ready = on_ready,
        .on_ended = on_ended,
        .on_fatal = on_fatal,
    };

    memset(&the, 0, sizeof(the));
    the.host = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, trouble, sizeof(trouble));
    the.cluster = rd_kafka_mock_cluster_new(the.host, 1);
    rd_kafka_mock_topic_create(the.cluster, "events", 1, 1);
    the.loop = rb_loop_new();
    the.timer = rb_timer_new(the.loop, on_deadline, NULL);
    config.kafka = (struct rb_kafka_config){rd_kafka_mock_cluster_bootstraps(the.cluster), "test", ""};
    if (rb_txn_new(the.loop, &config, &the.txn, &err) < 0)
        fail_msg("%s", err.message);
    rb_timer_start(the.timer, DEADLINE_MS);
    rb_loop_run(the.loop);
    assert_int_equal(the.ready, 1);
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with(10000);
}

static int start_with_little_time(void **state)
{
    (void)state;
    return start_with(2000);
}

static int stop(void **state)
{
    (void)state;
    assert_true(rb_txn_free(the.txn));
    rb_timer_free(the.timer);
    rb_loop_free(the.loop);
    rd_kafka_mock_cluster_destroy(the.cluster);
    rd_kafka_destroy(the.host);
    return 0;
}

/* One record, until the next transaction could begin, or the program could not go on. */
static struct rb_txn_record run_one(void)
{
    struct rb_txn_record record = {.record = {"events", "key", 3, "value", 5, NULL}};
    struct rb_txn_record *records[] = {&record};
    const struct rb_txn_batch batch = {.records = records, .count = 1};
    unsigned ready = the.ready;

    the.ended = 0;
    rb_txn_begin(the.txn, &batch);
    assert_false(rb_txn_is_ready(the.txn));
    while (the.ready == ready && the.fatal == 0)
        rb_loop_run(the.loop);
    return record;
}

static void a_transaction_is_committed_and_the_next_one_begins(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 5; i++) {
        struct rb_txn_record record = run_one();

        assert_true(the.ended == 1 && the.end == RB_TXN_COMMITTED && !the.replaced);
        assert_true(record.delivery.partition == 0 && record.delivery.offset >= i);
    }
    assert_int_equal(the.fatal, 0);
}

static void one_whose_record_is_refused_is_aborted_and_the_record_is_named(void **state)
{
    (void)state;
    rd_kafka_mock_push_request_errors(the.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(run_one().refused, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_true(the.ended == 1 && the.end == RB_TXN_ABORTED && the.err.code == RB_E_KAFKA_AWAY);
    for (unsigned i = 0; i < 3 && the.end != RB_TXN_COMMITTED;
         i++) /* librdkafka first finds out that it needs an epoch */
        assert_int_equal(run_one().refused, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(the.ended == 1 && the.end == RB_TXN_COMMITTED);
}

static void one_that_may_not_write_is_aborted(void **state)
{
    (void)state;
    rd_kafka_mock_push_request_errors(the.cluster, ADD_RECORDS, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(run_one().refused, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(the.ended == 1 && the.end == RB_TXN_ABORTED);
    (void)run_one();
    assert_int_equal(the.end, RB_TXN_COMMITTED);
}

static void a_commit_that_fails_is_unknown_and_the_client_is_another_one_then(void **state)
{
    (void)state;
    rd_kafka_mock_push_request_errors(the.cluster, END, 1, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    (void)run_one();
    assert_true(the.ended == 1 && the.end == RB_TXN_UNKNOWN && the.fatal == 0);
    (void)run_one();
    assert_int_equal(the.end, RB_TXN_COMMITTED);
}

static void a_commit_that_was_sent_twice_is_one_but_the_client_is_another_one_then(void **state)
{
    (void)state;
    rd_kafka_mock_push_request_errors(the.cluster, END, 1, RD_KAFKA_RESP_ERR__TRANSPORT);
    (void)run_one();
    assert_true(the.ended == 1 && the.end == RB_TXN_COMMITTED && the.fatal == 0 && the.replaced);
    (void)run_one();
    assert_int_equal(the.end, RB_TXN_COMMITTED);
}

static void a_commit_that_is_never_answered_comes_to_an_end_and_is_unknown(void **state)
{
    rd_kafka_resp_err_t errors[10000];

    (void)state;
    for (size_t i = 0; i < RB_COUNT(errors); i++)
        errors[i] = RD_KAFKA_RESP_ERR__TRANSPORT;
    rd_kafka_mock_push_request_errors_array(the.cluster, END, RB_COUNT(errors), errors);
    run_one();
    assert_int_equal(the.end, RB_TXN_UNKNOWN);
    assert_int_equal(the.err.code, RB_E_KAFKA_AWAY);
    assert_int_equal(the.fatal, 0);
}

static void who_is_fenced_at_once_has_a_twin_and_ends(void **state)
{
    (void)state;
    rd_kafka_mock_push_request_errors(the.cluster, END, 1, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    (void)run_one();
    assert_true(the.fatal == 1 && the.ended == 0);
    assert_string_equal(rb_code_name(the.err.code), "txn_fenced");
    assert_non_null(strstr(the.err.message, "'one'"));
}

#define F(test) cmocka_unit_test_setup_teardown(test, start, stop)

UNIT_MAIN(F(a_transaction_is_committed_and_the_next_one_begins),
          F(one_whose_record_is_refused_is_aborted_and_the_record_is_named), F(one_that_may_not_write_is_aborted),
          F(a_commit_that_fails_is_unknown_and_the_client_is_another_one_then),
          F(a_commit_that_was_sent_twice_is_one_but_the_client_is_another_one_then),
          cmocka_unit_test_setup_teardown(a_commit_that_is_never_answered_comes_to_an_end_and_is_unknown,
                                          start_with_little_time, stop),
          F(who_is_fenced_at_once_has_a_twin_and_ends))
