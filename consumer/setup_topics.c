/*
 * setup_topics.c — the topics: made with what serves each of them.
 *
 * Way:  consumer setup -> [setup_topics] -> Kafka
 */
#include "consumer/setup_topics.h"

#include <inttypes.h>
#include <stdio.h>

#include "consumer/say.h"
#include "consumer/setup_topics_inside.h"

_Static_assert(RB_COUNT(rb_topics) == RB_EVENT_COUNT + 1, "one row for each event, and for dead letters");

static void ignore_event(rd_kafka_event_t *event, void *arg)
{
    (void)event;
    (void)arg;
}

int setup_topics_open(struct rb_loop *loop, const struct consumer_options *options, struct rb_kafka **ret_kafka,
                      struct rb_error *err)
{
    const struct rb_kafka_config config = {options->common.kafka_brokers, "reelbus-setup", options->common.kafka};

    return rb_kafka_open(loop, RD_KAFKA_PRODUCER, &config, NULL, ignore_event, NULL, ret_kafka, err);
}

char *setup_topics_name(const struct consumer_options *options, const struct rb_topic *topic)
{
    return rb_xprintf("%s%s", options->common.topic_prefix, topic->name);
}

int64_t setup_topics_retention_ms(const struct consumer_options *options, const struct rb_topic *topic)
{
    int64_t may_wait_ms = options->retry_longest_ms + SETUP_DAY_MS;

    if (topic->use == RB_TOPIC_FACTS)
        return -1;
    return topic->use == RB_TOPIC_RETRY ? RB_MAX(options->topic_retention_ms, may_wait_ms)
                                        : options->topic_retention_ms;
}

const char *setup_topics_policy(const struct rb_topic *topic)
{
    return topic->use == RB_TOPIC_FACTS ? "compact" : "delete";
}

int setup_topics_wait(rd_kafka_event_t *event, const char *doing, struct rb_error *err)
{
    if (event == NULL)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "Kafka did not answer within %d s", SETUP_KAFKA_MS / 1000);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rb_fail(err, RB_E_KAFKA_AWAY, rd_kafka_event_error(event), "cannot %s topics: %s", doing,
                       rd_kafka_event_error_string(event));
    return 0;
}

rd_kafka_AdminOptions_t *setup_topics_admin(rd_kafka_t *handle, rd_kafka_admin_op_t what)
{
    rd_kafka_AdminOptions_t *admin = rd_kafka_AdminOptions_new(handle, what);
    char trouble[160];

    rd_kafka_AdminOptions_set_request_timeout(admin, SETUP_KAFKA_MS, trouble, sizeof(trouble));
    if (what == RD_KAFKA_ADMIN_OP_CREATETOPICS)
        rd_kafka_AdminOptions_set_operation_timeout(admin, SETUP_KAFKA_MS, trouble, sizeof(trouble));
    return admin;
}

static int say_made(rd_kafka_event_t *event, struct rb_error *err)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **results;

    RB_TRY(setup_topics_wait(event, "make", err));
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
    rd_kafka_AdminOptions_t *admin = setup_topics_admin(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_event_t *event;
    int result;

    rd_kafka_CreateTopics(handle, topics, count, admin, queue);
    event = rd_kafka_queue_poll(queue, SETUP_KAFKA_MS + 1000);
    result = say_made(event, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    return result;
}

static rd_kafka_NewTopic_t *new_topic(const struct consumer_options *options, const struct rb_topic *topic)
{
    RB_AUTO_TEXT *name = setup_topics_name(options, topic);
    char trouble[160] = "", retention[24];
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(name, (int)options->topic_partitions,
                                                      (int)options->topic_replication, trouble, sizeof(trouble));

    if (made == NULL)
        RB_BUG(trouble);
    snprintf(retention, sizeof(retention), "%" PRId64, setup_topics_retention_ms(options, topic));
    (void)rd_kafka_NewTopic_set_config(made, "cleanup.policy", setup_topics_policy(topic));
    (void)rd_kafka_NewTopic_set_config(made, "retention.ms", retention);
    return made;
}

int rb_setup_topics(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    rd_kafka_NewTopic_t *topics[RB_COUNT(rb_topics)];
    struct rb_kafka *kafka = NULL;
    int result;

    RB_TRY(setup_topics_open(loop, options, &kafka, err));
    for (size_t i = 0; i < RB_COUNT(topics); i++)
        topics[i] = new_topic(options, &rb_topics[i]);
    result = make_topics(rb_kafka_handle(kafka), topics, RB_COUNT(topics), err);
    rd_kafka_NewTopic_destroy_array(topics, RB_COUNT(topics));
    rb_kafka_close(kafka);
    return result;
}
