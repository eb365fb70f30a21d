/*
 * kafka_sender.c — what a client that sends is opened with.
 *
 * Way:  kafka_producer, kafka_txn -> [kafka_sender] -> kafka
 */
#include "common/kafka_sender.h"

static char **copy_list(const char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL)
        count++;

    char **copy = rb_xalloc((count + 1) * sizeof(*copy));

    for (size_t i = 0; i < count; i++)
        copy[i] = rb_xstrdup(list[i]);
    return copy;
}

struct rb_kafka_sender rb_kafka_sender(const struct rb_kafka_config *config, const char *const *topics)
{
    return (struct rb_kafka_sender){
        .brokers = rb_xstrdup(config->brokers),
        .client_id = rb_xstrdup(config->client_id),
        .pairs = rb_xstrdup(config->pairs),
        .topics = copy_list(topics),
    };
}

void rb_kafka_sender_done(struct rb_kafka_sender *sender)
{
    for (char **topic = sender->topics; *topic != NULL; topic++)
        free(*topic);
    free(sender->topics);
    free(sender->brokers);
    free(sender->client_id);
    free(sender->pairs);
}

int rb_kafka_sender_open(const struct rb_kafka_sender *sender, struct rb_loop *loop, const char *const *settings,
                         rb_kafka_event_fn on_event, void *arg, struct rb_kafka **ret_kafka, struct rb_error *err)
{
    const struct rb_kafka_config config = {sender->brokers, sender->client_id, sender->pairs};

    RB_TRY(rb_kafka_open(loop, RD_KAFKA_PRODUCER, &config, settings, on_event, arg, ret_kafka, err));
    for (char **topic = sender->topics; *topic != NULL; topic++) { /* a handle is enough to have librdkafka ask */
        rd_kafka_topic_t *handle = rd_kafka_topic_new(rb_kafka_handle(*ret_kafka), *topic, NULL);

        if (handle != NULL)
            rd_kafka_topic_destroy(handle);
    }
    return 0;
}
