/*
 * setup_topics_check.c — the topics as they are, and what would go wrong with them; who needs which right.
 *
 * Way:  consumer setup -> [setup_topics] -> Kafka
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/show.h"
#include "common/units.h"
#include "consumer/say.h"
#include "consumer/setup_topics_inside.h"

/* A topic as the brokers have it. */
struct found {
    char *name;
    int partitions; /* 0: there is no such topic */
    int replicas;
    int64_t retention_ms; /* -1 for ever; RB_NO_LONG when it is not told */
    char policy[40];
};

/* -- asking -------------------------------------------------------------------------------------------------------- */

static int ask_partitions(rd_kafka_t *handle, struct found *found, struct rb_error *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, found->name, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 0, topic, &metadata, SETUP_KAFKA_MS);

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const rd_kafka_metadata_topic_t *told = &metadata->topics[0];

        found->partitions =
            metadata->topic_cnt == 1 && told->err == RD_KAFKA_RESP_ERR_NO_ERROR ? told->partition_cnt : 0;
        found->replicas = found->partitions > 0 ? told->partitions[0].replica_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
        return rb_fail(err, RB_E_KAFKA_AWAY, code, "Kafka does not tell about the topic '%s': %s", found->name,
                       rd_kafka_err2str(code));
    return 0;
}

static void take_config(const rd_kafka_ConfigResource_t *resource, struct found *found)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);

        if (value != NULL && strcmp(name, "retention.ms") == 0 &&
            rb_units_parse_number(value, &found->retention_ms) < 0)
            found->retention_ms = RB_NO_LONG;
        if (value != NULL && strcmp(name, "cleanup.policy") == 0)
            snprintf(found->policy, sizeof(found->policy), "%s", value);
    }
}

/* Who may not ask for a topic's settings is not told, and nothing is said about them. */
static int take_configs(rd_kafka_event_t *event, struct found *founds, struct rb_error *err)
{
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources;

    RB_TRY(setup_topics_wait(event, "describe", err));
    resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < RB_COUNT(rb_topics); k++)
            if (rd_kafka_ConfigResource_error(resources[i]) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                strcmp(rd_kafka_ConfigResource_name(resources[i]), founds[k].name) == 0)
                take_config(resources[i], &founds[k]);
    return 0;
}

static int ask_configs(rd_kafka_t *handle, struct found *founds, struct rb_error *err)
{
    rd_kafka_ConfigResource_t *resources[RB_COUNT(rb_topics)];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *admin = setup_topics_admin(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_event_t *event;
    int result;

    for (size_t i = 0; i < RB_COUNT(resources); i++)
        resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, founds[i].name);
    rd_kafka_DescribeConfigs(handle, resources, RB_COUNT(resources), admin, queue);
    event = rd_kafka_queue_poll(queue, SETUP_KAFKA_MS + 1000);
    result = take_configs(event, founds, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy_array(resources, RB_COUNT(resources));
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    return result;
}

/* -- judging ------------------------------------------------------------------------------------------------------- */

/* Records about one video must meet in one process: all inputs are split alike. */
static bool is_split_otherwise(const struct found *found, const struct rb_topic *topic, const struct found *first)
{
    return (topic->use == RB_TOPIC_INPUT || topic->use == RB_TOPIC_RETRY) && first->partitions > 0 &&
           found->partitions != first->partitions;
}

static bool is_lost_too_soon(const struct found *found, int64_t wanted_ms)
{
    return found->retention_ms != RB_NO_LONG && found->retention_ms >= 0 &&
           (wanted_ms < 0 || found->retention_ms < wanted_ms);
}

/* Gives what is wrong, owned by the caller; NULL when nothing is. */
static char *find_fault(const struct found *found, const struct rb_topic *topic, const struct found *first,
                        const struct consumer_options *options)
{
    int64_t may_wait_ms = options->retry_longest_ms;
    char has[RB_SHOW_TEXT_BYTES], needs[RB_SHOW_TEXT_BYTES];

    if (found->partitions == 0)
        return rb_xstrdup("is missing: run setup");
    if (is_split_otherwise(found, topic, first))
        return rb_xprintf("has %d partitions, but %s has %d: give both as many", found->partitions, first->name,
                          first->partitions);
    if (topic->use != RB_TOPIC_FACTS && strstr(found->policy, "compact") != NULL)
        return rb_xstrdup("is compacted: it would lose records of a video that has several; set cleanup.policy=delete");
    if (topic->use == RB_TOPIC_RETRY && is_lost_too_soon(found, may_wait_ms))
        return rb_xprintf("keeps records for %s, but they may wait there for %s; raise retention.ms",
                          rb_show_ms(found->retention_ms, has), rb_show_ms(may_wait_ms, needs));
    return NULL;
}

static char *describe(const struct found *found)
{
    char kept[RB_SHOW_TEXT_BYTES];
    bool for_ever = found->retention_ms == -1 || strcmp(found->policy, "compact") == 0;

    if (found->policy[0] == '\0')
        return rb_xprintf("is there: %d partitions, %d replicas", found->partitions, found->replicas);
    return rb_xprintf("is there: %d partitions, %d replicas, %s, keeps %s", found->partitions, found->replicas,
                      found->policy,
                      for_ever                            ? "for ever"
                      : found->retention_ms != RB_NO_LONG ? rb_show_ms(found->retention_ms, kept)
                                                          : "as the brokers do");
}

static void judge(struct found *founds, const struct consumer_options *options, int *ret_lacks)
{
    for (size_t i = 0; i < RB_COUNT(rb_topics); i++) {
        RB_AUTO_TEXT *fault = find_fault(&founds[i], &rb_topics[i], &founds[0], options);
        RB_AUTO_TEXT *words = fault != NULL ? rb_xstrdup(fault) : describe(&founds[i]);

        rb_say("topic", founds[i].name, words);
        *ret_lacks += fault != NULL ? 1 : 0;
    }
}

int rb_setup_topics_check(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                          struct rb_error *err)
{
    struct found founds[RB_COUNT(rb_topics)];
    struct rb_kafka *kafka = NULL;
    int result = 0;

    RB_TRY(setup_topics_open(loop, options, &kafka, err));
    for (size_t i = 0; i < RB_COUNT(founds); i++)
        founds[i] = (struct found){.name = setup_topics_name(options, &rb_topics[i]), .retention_ms = RB_NO_LONG};
    for (size_t i = 0; i < RB_COUNT(founds) && result == 0; i++)
        result = ask_partitions(rb_kafka_handle(kafka), &founds[i], err);
    if (result == 0)
        result = ask_configs(rb_kafka_handle(kafka), founds, err);
    if (result == 0)
        judge(founds, options, ret_lacks);
    for (size_t i = 0; i < RB_COUNT(founds); i++)
        free(founds[i].name);
    rb_kafka_close(kafka);
    return result;
}

/* -- rights -------------------------------------------------------------------------------------------------------- */

static void print_acl(const struct consumer_options *options, const char *who, const char *operations, const char *what)
{
    printf("kafka-acls.sh --bootstrap-server %s --add --allow-principal User:reelbus-%s %s %s\n",
           options->common.kafka_brokers, who, operations, what);
}

static bool is_read_by_consumer(const struct rb_topic *topic)
{
    return topic->use == RB_TOPIC_INPUT || topic->use == RB_TOPIC_RETRY;
}

static void print_topic_acls(const struct consumer_options *options, const struct rb_topic *topic)
{
    RB_AUTO_TEXT *name = setup_topics_name(options, topic);
    RB_AUTO_TEXT *what = rb_xprintf("--topic %s", name);

    print_acl(options, topic->writer, "--operation Write --operation Describe", what);
    if (is_read_by_consumer(topic))
        print_acl(options, "consumer", "--operation Read --operation Describe", what);
    print_acl(options, "operator",
              "--operation Create --operation Describe --operation DescribeConfigs --operation Read", what);
    if (is_read_by_consumer(topic)) /* dead letters go back to where they came from */
        print_acl(options, "operator", "--operation Write", what);
    if (topic->use == RB_TOPIC_INPUT && options->redrive_auto[0] != '\0')
        print_acl(options, "consumer", "--operation Write", what);
}

void rb_setup_topics_acls(const struct consumer_options *options)
{
    RB_AUTO_TEXT *group = rb_xprintf("--group %s", options->group);
    bool named = options->transactional_id[0] != '\0';
    RB_AUTO_TEXT *own_group = rb_xprintf("--group %s --resource-pattern-type prefixed", options->group);
    RB_AUTO_TEXT *own_id = rb_xprintf("--transactional-id %s%s. --resource-pattern-type prefixed",
                                      options->common.topic_prefix, options->group);
    RB_AUTO_TEXT *id = named ? rb_xprintf("--transactional-id %s", options->transactional_id)
                             : rb_xprintf("--transactional-id %s%s. --resource-pattern-type prefixed",
                                          options->common.topic_prefix, options->group);

    for (size_t i = 0; i < RB_COUNT(rb_topics); i++)
        print_topic_acls(options, &rb_topics[i]);
    print_acl(options, "consumer", "--operation Read --operation Describe", group);
    print_acl(options, "consumer", "--operation Write --operation Describe", id);
    print_acl(options, "operator", "--operation Read --operation Describe", own_group);
    print_acl(options, "operator", "--operation Write --operation Describe", own_id);
}
