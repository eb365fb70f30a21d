/*
 * floor.c — the least that a webhook receiver can do: the raw body goes to Kafka unchecked, and is answered when it is there.
 *
 * Way:  tests
 *
 * What reelbus-producer is measured against: the cost of libmicrohttpd and librdkafka alone, with the same settings. Nothing
 * here is checked, limited, logged or counted but the 200s. With "keyed" the video's id is the key of the record, as it is
 * reelbus-producer's: what that costs is Kafka's. Usage: floor PORT BROKERS TOPIC [keyed]
 */
#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct MHD_Connection *connection;
    unsigned status; /* 0 until Kafka has answered */
    size_t used;
    char body[4096];
};

static const char *const settings[][2] = {{"acks", "all"},
                                          {"enable.idempotence", "true"},
                                          {"linger.ms", "1"},
                                          {"max.in.flight.requests.per.connection", "2"},
                                          {"compression.codec", "lz4"},
                                          {"socket.nagle.disable", "true"}};
static rd_kafka_t *kafka;
static rd_kafka_topic_t *topic;
static struct MHD_Response *answer;
static volatile sig_atomic_t stopping;
static unsigned long delivered_count;
static bool keyed;

/* Bodies are {"videoId":"...", always with a UUID: see load.lua. */
enum { ID_AT = 12, ID_BYTES = 36 };

static void on_signal(int number)
{
    stopping = number;
}

static void on_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    struct request *request = message->_private;

    (void)handle, (void)opaque;
    delivered_count += message->err == 0;
    request->status = message->err == 0 ? 200 : 503;
    MHD_resume_connection(request->connection);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **place)
{
    struct request *request = *place;

    (void)arg, (void)url, (void)method, (void)version;
    if (request == NULL) {
        *place = request = calloc(1, sizeof(*request));
        request->connection = connection;
    } else if (*upload_bytes > 0 && *upload_bytes <= sizeof(request->body) - request->used) {
        memcpy(request->body + request->used, upload, *upload_bytes);
        request->used += *upload_bytes;
        *upload_bytes = 0;
    } else if (request->status != 0) {
        return MHD_queue_response(connection, request->status, answer);
    } else {
        MHD_suspend_connection(connection);
        if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, request->body, request->used,
                             keyed ? request->body + ID_AT : NULL, keyed ? ID_BYTES : 0, request) != 0) {
            request->status = 503;
            MHD_resume_connection(connection);
        }
    }
    return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **place,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg, (void)connection, (void)why;
    free(*place);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char trouble[200] = "usage: floor PORT BROKERS TOPIC [keyed]";

    for (size_t i = 0; argc >= 4 && i < sizeof(settings) / sizeof(*settings); i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], NULL, 0);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    if (argc < 4 || rd_kafka_conf_set(conf, "bootstrap.servers", argv[2], trouble, sizeof(trouble)) != 0 ||
        (kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, trouble, sizeof(trouble))) == NULL)
        return fprintf(stderr, "floor: %s\n", trouble), 1;
    keyed = argc > 4 && strcmp(argv[4], "keyed") == 0;
    topic = rd_kafka_topic_new(kafka, argv[3], NULL);
    answer = MHD_create_response_from_buffer(16, "{\"success\":true}", MHD_RESPMEM_PERSISTENT);
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR,
        &address, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, 4096U, MHD_OPTION_END);

    if (daemon == NULL)
        return fprintf(stderr, "floor: cannot listen on port %s\n", argv[1]), 1;
    while (!stopping)
        rd_kafka_poll(kafka, 100);
    printf("delivered %lu\n", delivered_count);
    return 0; /* what is left goes with the process */
}
