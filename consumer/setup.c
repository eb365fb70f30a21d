/*
 * setup.c — makes what reelbus needs.
 *
 * Way:  consumer setup
 */
#include "consumer/setup.h"

#include <librdkafka/rdkafka.h>

#include "common/codec.h"
#include "common/kafka.h"
#include "common/units.h"
#include "consumer/say.h"
#include "consumer/setup_sql.h"
#include "consumer/store_kinds.h"
#include "consumer/store_probe.h"

#define KAFKA_TIMEOUT_MS    30000
#define REGISTRY_TIMEOUT_MS 30000
#define STORE_TIMEOUT_MS    60000

static int set_up_database(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    (void)loop;
    return rb_setup_sql_tables(options, err);
}

static int check_topics(rd_kafka_event_t *event, struct rb_error *err)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **results;

    if (event == NULL)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "Kafka did not answer within %d s", KAFKA_TIMEOUT_MS / 1000);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rb_fail(err, RB_E_KAFKA_AWAY, rd_kafka_event_error(event), "cannot make topics: %s",
                       rd_kafka_event_error_string(event));
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            rb_say("topic", rd_kafka_topic_result_name(results[i]), "made");
        else if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            rb_say("topic", rd_kafka_topic_result_name(results[i]), "is there");
        else
            return rb_fail(err, RB_E_KAFKA_AWAY, code, "cannot make the topic '%s': %s",
                           rd_kafka_topic_result_name(results[i]), rd_kafka_topic_result_error_string(results[i]));
    }
    return 0;
}

static int make_topics(rd_kafka_t *handle, rd_kafka_NewTopic_t **topics, size_t count, struct rb_error *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *admin = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    char trouble[160];
    rd_kafka_event_t *event;
    int result;

    rd_kafka_AdminOptions_set_request_timeout(admin, KAFKA_TIMEOUT_MS, trouble, sizeof(trouble));
    rd_kafka_AdminOptions_set_operation_timeout(admin, KAFKA_TIMEOUT_MS, trouble, sizeof(trouble));
    rd_kafka_CreateTopics(handle, topics, count, admin, queue);
    event = rd_kafka_queue_poll(queue, KAFKA_TIMEOUT_MS + 1000);
    result = check_topics(event, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    return result;
}

static void ignore_event(rd_kafka_event_t *event, void *arg)
{
    (void)event;
    (void)arg;
}

static int set_up_topics(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    const struct rb_kafka_config config = {options->common.kafka_brokers, "reelbus-setup", options->common.kafka};
    rd_kafka_NewTopic_t *topics[RB_EVENT_COUNT + 1];
    struct rb_kafka *kafka = NULL;
    char trouble[160] = "";
    int result;

    RB_TRY(rb_kafka_open(loop, RD_KAFKA_PRODUCER, &config, NULL, ignore_event, NULL, &kafka, err));
    for (size_t i = 0; i < RB_COUNT(topics); i++) {
        RB_AUTO_TEXT *name = rb_xprintf("%s%s", options->common.topic_prefix,
                                        i < RB_EVENT_COUNT ? rb_event_info(i)->topic : RB_DEAD_LETTER_TOPIC);

        topics[i] = rd_kafka_NewTopic_new(name, (int)options->topic_partitions, (int)options->topic_replication,
                                          trouble, sizeof(trouble));
        if (topics[i] == NULL)
            RB_BUG(trouble);
    }
    result = make_topics(rb_kafka_handle(kafka), topics, RB_COUNT(topics), err);
    rd_kafka_NewTopic_destroy_array(topics, RB_COUNT(topics));
    rb_kafka_close(kafka);
    return result;
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

static int set_up_schemas(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    enum rb_event all[RB_EVENT_COUNT];

    for (size_t i = 0; i < RB_EVENT_COUNT; i++)
        all[i] = i;

    const struct rb_codec_config config = rb_codec_config_of(&options->common, all, RB_EVENT_COUNT);

    if (config.registry_url[0] == '\0') {
        rb_say("schemas", "no registry is configured", "single-object encoding");
        return 0;
    }

    struct rb_codec *codec = rb_codec_new(loop, &config, stop_loop, loop);
    struct rb_timer *timer = rb_timer_new(loop, stop_loop, loop);

    rb_timer_start(timer, REGISTRY_TIMEOUT_MS);
    rb_loop_run(loop);

    bool ready = rb_codec_is_ready(codec);

    rb_timer_free(timer);
    rb_codec_free(codec);
    if (!ready)
        return rb_fail(err, RB_E_REGISTRY_AWAY, 0, "the schema registry did not take all schemas within %d s",
                       REGISTRY_TIMEOUT_MS / 1000);
    rb_say("schemas", "all", "are in the registry");
    return 0;
}

/* A store with nothing set is somebody else's matter: setup may run where its options are not known. */
static bool store_is_named(const struct consumer_options *options)
{
    return strcmp(options->store, "file") != 0 || options->file_root[0] != '\0';
}

static bool makes_bucket(const struct consumer_options *options)
{
    return strcmp(options->store, "supabase") == 0 ? options->supabase_make_bucket : options->s3_make_bucket;
}

/* A store that takes less than we would send is no mistake, but somebody should know. */
static void say_limit(const struct consumer_options *options, int64_t largest_bytes)
{
    char text[RB_UNITS_TEXT_BYTES];
    RB_AUTO_TEXT *limit = NULL;

    if (largest_bytes == 0 || largest_bytes >= options->video_max_bytes)
        return;
    limit = rb_xprintf("takes videos of up to %s; raise its file size limit for larger ones",
                       rb_units_bytes_text(largest_bytes, text));
    rb_say("store", options->bucket, limit);
}

static int set_up_store(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    struct rb_store_answer answer = {0};
    struct rb_store *store = NULL;
    enum rb_check how = makes_bucket(options) ? RB_CHECK_MAKE : RB_CHECK_WRITE;
    int result;

    if (!store_is_named(options)) {
        rb_say("store", options->store, "has no options, is not checked");
        return 0;
    }
    RB_TRY(rb_store_open(loop, options, &store, err));
    result = rb_store_probe_once(loop, store, options->bucket, how, STORE_TIMEOUT_MS, &answer, err);
    store->ops->free(store);
    if (result < 0)
        return -1;
    rb_say("store", options->bucket, answer.made ? "made, can be written" : "can be written");
    say_limit(options, answer.largest_bytes);
    return 0;
}

/* After the store: there may be no bucket before. */
static int set_up_policies(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    (void)loop;
    return rb_setup_sql_policies(options, err);
}

/* -- all of it ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int (*run)(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err);
    bool of_store; /* for each store */
} steps[] = {
    {"database", set_up_database, false}, {"topics", set_up_topics, false},    {"schemas", set_up_schemas, false},
    {"store", set_up_store, true},        {"policies", set_up_policies, true},
};

static bool step_fails(size_t i, const struct consumer_options *options)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_error err = {0};
    int result = steps[i].run(loop, options, &err);

    rb_loop_free(loop);
    if (result < 0 && steps[i].of_store)
        fprintf(stderr, "reelbus-consumer setup: %s '%s': %s\n", steps[i].name, options->bucket, err.message);
    else if (result < 0)
        fprintf(stderr, "reelbus-consumer setup: %s: %s\n", steps[i].name, err.message);
    return result < 0;
}

int rb_setup(const struct consumer_options *options, const struct consumer_options *fallback)
{
    int failures = 0;

    for (size_t i = 0; i < RB_COUNT(steps); i++) {
        failures += step_fails(i, options);
        if (steps[i].of_store && fallback != NULL)
            failures += step_fails(i, fallback);
    }
    return failures;
}
