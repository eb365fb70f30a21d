/*
 * kafka.c — a librdkafka client on the loop.
 *
 * Way:  common
 */
#include "common/kafka.h"

#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>
#include <uv.h>

#include "common/clock.h"
#include "common/errmap.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/pool.h"
#include "common/watchdog.h"

#define KAFKA_MAGIC     0x4b41464bu
#define EVENTS_PER_TURN 500
#define CLOSE_STEP_MS   5

struct rb_kafka {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    int wake_fd;
    struct rb_watch *watch;
    struct rb_task again; /* the queue had more than one turn's worth */
    rb_kafka_event_fn on_event;
    void *arg; /* borrowed */
    bool up;
    int64_t error_count;
    struct rb_front front; /* librdkafka's own threads */
    int64_t heard;         /* statistics that have come; RB_FRONT_IDLE before the first */
};

/* What every client of ours wants, with the reason where it is not plain. */
static const char *const shared_settings[] = {
    "log.queue",
    "true", /* no librdkafka thread writes our log */
    "statistics.interval.ms",
    "1000", /* the only way to know whether a broker is connected */
    "socket.nagle.disable",
    "true", /* librdkafka's default only since 2.10 */
    "socket.keepalive.enable",
    "true", /**/
    "reconnect.backoff.max.ms",
    "2000", /* the default of 10 s keeps senders waiting after a restart */
    "topic.metadata.refresh.interval.ms",
    "30000", /* when new partitions, and a topic that was made anew, are noticed; the default is 5 minutes */
    "allow.auto.create.topics",
    "false", /* a missing topic is an error that setup mends */
    NULL,
};

/* What every reader wants, too. */
static const char *const reader_settings[] = {
    "enable.auto.commit",
    "false", /* what is finished is committed, and by ourselves */
    "enable.auto.offset.store",
    "false",
    "isolation.level",
    "read_committed",
    "enable.partition.eof",
    "true", /* behind the last record are markers of transactions */
    "fetch.wait.max.ms",
    "100",
    NULL,
};

static int set_pair(rd_kafka_conf_t *conf, const char *key, const char *value, struct rb_error *err)
{
    char trouble[160];

    if (rd_kafka_conf_set(conf, key, value, trouble, sizeof(trouble)) != RD_KAFKA_CONF_OK)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "librdkafka refuses the setting '%s': %s", key, trouble);
    return 0;
}

static int set_list(rd_kafka_conf_t *conf, const char *const *settings, struct rb_error *err)
{
    for (; settings != NULL && *settings != NULL; settings += 2)
        RB_TRY(set_pair(conf, settings[0], settings[1], err));
    return 0;
}

static int set_operator_pairs(rd_kafka_conf_t *conf, const char *pairs, struct rb_error *err)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(pairs != NULL ? pairs : "");
    char *rest = copy;

    for (char *pair; (pair = strsep(&rest, "\n")) != NULL;) {
        char *equals = strchr(pair, '=');

        if (equals == NULL)
            continue;
        *equals = '\0';
        RB_TRY(set_pair(conf, pair, equals + 1, err));
    }
    return 0;
}

static int set_all(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct rb_kafka_config *config,
                   const char *const *settings, struct rb_error *err)
{
    RB_TRY(set_list(conf, shared_settings, err));
    RB_TRY(set_list(conf, type == RD_KAFKA_CONSUMER ? reader_settings : NULL, err));
    RB_TRY(set_pair(conf, "bootstrap.servers", config->brokers, err));
    RB_TRY(set_pair(conf, "client.id", config->client_id, err));
    RB_TRY(set_list(conf, settings, err));
    RB_TRY(set_operator_pairs(conf, config->pairs, err));
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                       RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS);
    return 0;
}

/* A broker that is connected says so in the statistics; nothing else there has this state in capitals. */
static void take_stats(struct rb_kafka *kafka, const char *json)
{
    bool up = json != NULL && strstr(json, "\"state\":\"UP\"") != NULL;

    if (RB_FAILS(kafka_statistics))
        return;
    kafka->heard++;
    if (up != kafka->up)
        rb_log(NULL, up ? RB_EV_KAFKA_UP : RB_EV_KAFKA_DOWN, "client=%s", rd_kafka_name(kafka->handle));
    kafka->up = up;
}

static void take_error(struct rb_kafka *kafka, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    struct rb_error err = {0};

    kafka->error_count++;
    rb_fail(&err, rb_errmap_kafka(code), code, "%.200s", rd_kafka_event_error_string(event));
    rb_log_error(NULL, RB_EV_KAFKA_TROUBLE, &err, "client=%s", rd_kafka_name(kafka->handle));
}

static void take_log(struct rb_kafka *kafka, rd_kafka_event_t *event)
{
    char quoted[RB_LOG_QUOTE_BYTES];
    const char *facility, *text;
    int level;

    if (rd_kafka_event_log(event, &facility, &text, &level) == 0 && level <= LOG_WARNING)
        rb_log(NULL, RB_EV_KAFKA_LOG, "client=%s facility=%s text=%s", rd_kafka_name(kafka->handle), facility,
               rb_log_quote(text, quoted));
}

static int64_t heard(void *arg)
{
    return RB_CAST(rb_kafka, arg, KAFKA_MAGIC)->heard;
}

static void dispatch(struct rb_kafka *kafka, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_STATS:
        take_stats(kafka, rd_kafka_event_stats(event));
        break;
    case RD_KAFKA_EVENT_ERROR:
        if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            take_error(kafka, event);
        kafka->on_event(event, kafka->arg); /* it may be the end: of a partition, or of all */
        break;
    case RD_KAFKA_EVENT_LOG:
        take_log(kafka, event);
        break;
    default:
        kafka->on_event(event, kafka->arg);
        break;
    }
}

bool rb_kafka_serve(struct rb_kafka *kafka, int wait_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->queue, wait_ms);

    if (event == NULL)
        return false;
    dispatch(kafka, event);
    rd_kafka_event_destroy(event);
    return true;
}

static void kafka_drain(void *arg)
{
    struct rb_kafka *kafka = RB_CAST(rb_kafka, arg, KAFKA_MAGIC);

    for (unsigned i = 0; i < EVENTS_PER_TURN; i++)
        if (!rb_kafka_serve(kafka, 0))
            return;
    rb_task_queue(&kafka->again);
}

static void on_wake(int status, int events, void *arg)
{
    struct rb_kafka *kafka = RB_CAST(rb_kafka, arg, KAFKA_MAGIC);
    uint64_t count;

    (void)status;
    (void)events;
    if (read(kafka->wake_fd, &count, sizeof(count)) > 0)
        kafka_drain(kafka);
}

/* Between two statistics, as the operator may have it. */
static int64_t interval_ms(const struct rb_kafka *kafka)
{
    char text[24] = "";
    size_t bytes = sizeof(text);

    (void)rd_kafka_conf_get(rd_kafka_conf(kafka->handle), "statistics.interval.ms", text, &bytes);
    return strtoll(text, NULL, 10);
}

static void kafka_hook_up(struct rb_kafka *kafka, rd_kafka_type_t type)
{
    static const uint64_t one = 1;
    bool is_member = type == RD_KAFKA_CONSUMER && /* a reader without a group has no queue of a member */
                     rd_kafka_poll_set_consumer(kafka->handle) == RD_KAFKA_RESP_ERR_NO_ERROR;

    kafka->queue = is_member ? rd_kafka_queue_get_consumer(kafka->handle) : rd_kafka_queue_get_main(kafka->handle);
    rd_kafka_set_log_queue(kafka->handle, kafka->queue);
    kafka->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (kafka->wake_fd < 0)
        RB_BUG("no descriptor for the queue of librdkafka");
    kafka->watch = rb_watch_new(kafka->loop, kafka->wake_fd, on_wake, kafka);
    rb_watch_events(kafka->watch, UV_READABLE);
    rd_kafka_queue_io_event_enable(kafka->queue, kafka->wake_fd, &one, sizeof(one));
    rb_task_queue(&kafka->again); /* what came before the descriptor was there */
    kafka->front =
        (struct rb_front){.name = "kafka", .more_ms = 10 * interval_ms(kafka), .progress = heard, .arg = kafka};
    rb_front_enter(kafka->loop, &kafka->front);
}

int rb_kafka_open(struct rb_loop *loop, rd_kafka_type_t type, const struct rb_kafka_config *config,
                  const char *const *settings, rb_kafka_event_fn on_event, void *arg, struct rb_kafka **ret_kafka,
                  struct rb_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct rb_kafka *kafka = rb_xalloc(sizeof(*kafka));
    char trouble[160];

    *kafka =
        (struct rb_kafka){.magic = KAFKA_MAGIC, .loop = loop, .on_event = on_event, .arg = arg, .heard = RB_FRONT_IDLE};
    if (set_all(conf, type, config, settings, err) < 0) {
        rd_kafka_conf_destroy(conf);
        free(kafka);
        return -1;
    }
    kafka->handle = rd_kafka_new(type, conf, trouble, sizeof(trouble));
    if (kafka->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        free(kafka);
        return rb_fail(err, RB_E_BAD_OPTION, 0, "librdkafka does not start: %s", trouble);
    }
    rb_task_init(&kafka->again, loop, kafka_drain, kafka);
    kafka_hook_up(kafka, type);
    *ret_kafka = kafka;
    return 0;
}

rd_kafka_t *rb_kafka_release(struct rb_kafka *kafka)
{
    rd_kafka_t *handle = kafka->handle;

    rb_front_leave(&kafka->front);
    rd_kafka_queue_io_event_enable(kafka->queue, -1, NULL, 0);
    rb_watch_free(kafka->watch);
    rb_task_done(&kafka->again);
    rd_kafka_queue_destroy(kafka->queue);
    close(kafka->wake_fd);
    kafka->magic = 0;
    free(kafka);
    return handle;
}

static void destroy(void *handle)
{
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void rb_kafka_close(struct rb_kafka *kafka)
{
    if (kafka != NULL)
        destroy(rb_kafka_release(kafka));
}

bool rb_kafka_close_within(struct rb_kafka *kafka, int64_t wait_ms)
{
    struct rb_loop *loop = kafka->loop;
    struct rb_pool_call *call = rb_pool_start(loop, destroy, NULL, rb_kafka_release(kafka));
    int64_t until_ms = rb_clock_ms() + wait_ms;

    while (!rb_pool_has_ended(call) && rb_clock_ms() < until_ms)
        uv_sleep(CLOSE_STEP_MS);
    return rb_pool_has_ended(call);
}

rd_kafka_t *rb_kafka_handle(const struct rb_kafka *kafka)
{
    return kafka->handle;
}

rd_kafka_queue_t *rb_kafka_queue(const struct rb_kafka *kafka)
{
    return kafka->queue;
}

bool rb_kafka_is_up(const struct rb_kafka *kafka)
{
    return kafka->up;
}

void rb_kafka_note_up(struct rb_kafka *kafka)
{
    kafka->up = true;
}

int64_t rb_kafka_error_count(const struct rb_kafka *kafka)
{
    return kafka->error_count;
}

int rb_kafka_check_fatal(const struct rb_kafka *kafka, struct rb_error *err)
{
    char text[160];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(kafka->handle, text, sizeof(text));

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    if (rb_errmap_kafka(code) == RB_E_GROUP_FENCED)
        return rb_fail(err, RB_E_GROUP_FENCED, code, "%s", text);
    return rb_fail(err, RB_E_KAFKA_FATAL, code, "%s", text);
}
