/*
 * status.c — health and counters.
 *
 * Way:  [status]
 */
#include "producer/status.h"

#include "common/json.h"
#include "common/metrics_page.h"
#include "producer/metrics_table.h"

#define STATUS_MAGIC 0x53544154u

struct rb_status {
    uint32_t magic;
    struct rb_status_config config;
};

struct rb_status *rb_status_new(const struct rb_status_config *config)
{
    struct rb_status *status = rb_xalloc(sizeof(*status));

    *status = (struct rb_status){.magic = STATUS_MAGIC, .config = *config};
    return status;
}

void rb_status_free(struct rb_status *status)
{
    if (status == NULL)
        return;
    status->magic = 0;
    free(status);
}

static void reply_object(struct rb_exchange *exchange, unsigned http_status, const json_t *object)
{
    RB_AUTO_TEXT *text = json_dumps(object, JSON_COMPACT);

    rb_exchange_reply_json(exchange, http_status, text != NULL ? text : "{}", NULL);
}

void rb_status_health(struct rb_exchange *exchange, void *arg)
{
    (void)arg;
    rb_exchange_reply_json(exchange, 200, "{\"alive\":true}", NULL);
}

void rb_status_ready(struct rb_exchange *exchange, void *arg)
{
    struct rb_status *status = RB_CAST(rb_status, arg, STATUS_MAGIC);
    RB_AUTO_JSON *object = json_object();
    json_t *reasons = json_array();
    struct rb_error err = {0};
    bool ready = rb_publish_check(status->config.publish, &err) == 0;
    bool direct = ready && rb_publish_check_direct(status->config.publish, &err) == 0;

    if (!ready)
        json_array_append_new(reasons, json_string(err.message));
    else if (!direct)
        json_array_append_new(reasons, json_sprintf("degraded: %s; webhooks go to the spool", err.message));
    if (!rb_pg_is_up(status->config.pg))
        json_array_append_new(reasons, json_string("the database is away; webhooks are accepted unchecked"));
    json_object_set_new(object, "ready", json_boolean(ready));
    json_object_set_new(object, "reasons", reasons);
    reply_object(exchange, ready ? 200 : 503, object);
}

static void set_kafka_metrics(struct rb_metrics *metrics, const struct rb_publish *publish)
{
    const struct rb_producer_errors errors = rb_publish_errors(publish);

    rb_metrics_set(metrics, METRIC_KAFKA_UP, rb_publish_is_up(publish));
    rb_metrics_set(metrics, METRIC_KAFKA_ERRORS_CLIENT, errors.client);
    rb_metrics_set(metrics, METRIC_KAFKA_ERRORS_RECORD, errors.records);
}

static void set_http_metrics(struct rb_metrics *metrics, const struct rb_httpd_counts *counts)
{
    rb_metrics_set(metrics, METRIC_HTTP_CONNECTIONS, (int64_t)counts->connections);
    rb_metrics_set(metrics, METRIC_HTTP_REFUSED, (int64_t)counts->refused);
    rb_metrics_set(metrics, METRIC_HTTP_EVICTED, (int64_t)counts->evicted);
    rb_metrics_set(metrics, METRIC_HTTP_TIMEOUTS, (int64_t)counts->timeouts);
    rb_metrics_set(metrics, METRIC_HTTP_BAD, (int64_t)counts->bad);
}

void rb_status_metrics(struct rb_exchange *exchange, void *arg)
{
    struct rb_status *status = RB_CAST(rb_status, arg, STATUS_MAGIC);

    rb_metrics_set(status->config.metrics, METRIC_DB_UP, rb_pg_is_up(status->config.pg));
    set_kafka_metrics(status->config.metrics, status->config.publish);
    set_http_metrics(status->config.metrics, rb_httpd_counts(rb_exchange_httpd(exchange)));
    rb_metrics_serve(status->config.metrics, exchange);
}
