/*
 * receive.c — takes webhooks; answers 200 only when Kafka has the event.
 *
 * Way:  [receive] -> verify -> notice -> lookup -> publish -> Kafka
 */
#include "producer/receive.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "producer/metrics_table.h"
#include "producer/notice.h"

#define RECEIVE_MAGIC        0x52435645u
#define RECEIPT_MAGIC        0x52435054u

#define WEBHOOK_ID_MAX_BYTES 256

struct rb_receive {
    uint32_t magic;
    struct rb_receive_config config;
    char retry_after[24];
};

/* One webhook between its arrival and its answer. */
struct receipt {
    uint32_t magic;
    struct rb_receive *receive;   /* borrowed */
    struct rb_exchange *exchange; /* borrowed until it is answered */
    struct rb_video_webhook_received event;
    struct rb_trace trace;
    char *tracestate; /* owned, may be NULL */
    struct rb_log_about about;
};

struct rb_receive *rb_receive_new(const struct rb_receive_config *config)
{
    struct rb_receive *receive = rb_xalloc(sizeof(*receive));

    *receive = (struct rb_receive){.magic = RECEIVE_MAGIC, .config = *config};
    snprintf(receive->retry_after, sizeof(receive->retry_after), "%" PRId64, config->retry_after_s);
    return receive;
}

void rb_receive_free(struct rb_receive *receive)
{
    if (receive == NULL)
        return;
    receive->magic = 0;
    free(receive);
}

static void receipt_free(struct receipt *receipt)
{
    rb_metrics_add(receipt->receive->config.metrics, METRIC_IN_FLIGHT, -1);
    rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &receipt->event);
    free(receipt->tracestate);
    receipt->magic = 0;
    free(receipt);
}

static unsigned refusal_status(enum rb_code code)
{
    switch (code) {
    case RB_E_BAD_SIGNATURE:
        return 401;
    case RB_E_UNKNOWN_VIDEO:
        return 404;
    default:
        return 400;
    }
}

static size_t refusal_metric(unsigned status)
{
    switch (status) {
    case 401:
        return METRIC_WEBHOOK_DENIED;
    case 404:
        return METRIC_WEBHOOK_UNKNOWN;
    default:
        return METRIC_WEBHOOK_REFUSED;
    }
}

static void refuse(struct rb_receive *receive, struct rb_exchange *exchange, const struct rb_error *err)
{
    unsigned status = refusal_status(err->code);
    char client[64];

    rb_metrics_add(receive->config.metrics, refusal_metric(status), 1);
    rb_log_error(NULL, RB_EV_WEBHOOK_REFUSED, err, "status=%u client=%s", status, rb_exchange_client(exchange, client));
    rb_exchange_reply_error(exchange, status, status == 401 ? "Unauthorized" : err->message, NULL);
}

/* Nothing is lost by this: the sender is told to try again, and most do by themselves. */
static void defer(struct receipt *receipt, const struct rb_error *err)
{
    const struct rb_header retry_after = {"Retry-After", receipt->receive->retry_after};

    rb_metrics_add(receipt->receive->config.metrics, METRIC_WEBHOOK_DEFERRED, 1);
    rb_log_error(&receipt->about, RB_EV_WEBHOOK_DEFERRED, err, "");
    rb_exchange_reply_error(receipt->exchange, 503, "the event cannot be stored now, try again later", &retry_after);
    receipt_free(receipt);
}

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct receipt *receipt = RB_CAST(receipt, arg, RECEIPT_MAGIC);

    if (err != NULL) {
        defer(receipt, err);
        return;
    }
    rb_metrics_add(receipt->receive->config.metrics, METRIC_WEBHOOK_ACCEPTED, 1);
    rb_metrics_observe(receipt->receive->config.metrics, METRIC_ACK_SECONDS,
                       (double)(rb_clock_ms() - rb_exchange_began_ms(receipt->exchange)) / 1000);
    rb_log(&receipt->about, RB_EV_WEBHOOK_ACCEPTED,
           "status=%s checked=%d topic=%s partition=%" PRId32 " offset=%" PRId64 " took_ms=%" PRId64 " trace=%s",
           receipt->event.status, receipt->event.checked, rb_publish_topic(receipt->receive->config.publish),
           delivery->partition, delivery->offset, rb_clock_ms() - rb_exchange_began_ms(receipt->exchange),
           receipt->trace.trace_id);
    rb_exchange_reply_json(receipt->exchange, 200, "{\"success\":true}", NULL);
    receipt_free(receipt);
}

static void publish(struct receipt *receipt)
{
    struct rb_error err = {0};

    if (rb_publish_webhook(receipt->receive->config.publish, &receipt->event, &receipt->trace, receipt->tracestate,
                           on_delivered, receipt, &err) < 0)
        defer(receipt, &err);
}

static void on_looked_up(bool found, const char *user_id, const struct rb_error *err, void *arg)
{
    struct receipt *receipt = RB_CAST(receipt, arg, RECEIPT_MAGIC);
    struct rb_error unknown = {0};

    if (err == NULL && !found) {
        rb_fail(&unknown, RB_E_UNKNOWN_VIDEO, 0, "videoId '%s' is not known", receipt->event.video_id);
        refuse(receipt->receive, receipt->exchange, &unknown);
        receipt_free(receipt);
        return;
    }
    if (err != NULL)
        rb_metrics_add(receipt->receive->config.metrics, METRIC_UNCHECKED, 1);
    receipt->event.checked = err == NULL;
    receipt->event.user_id = rb_xstrdup(user_id);
    publish(receipt);
}

/* A header may hold any bytes; an event holds text. An id that is none of ours to understand is left out. */
static bool is_plain_text(const char *text)
{
    size_t length = text != NULL ? strnlen(text, WEBHOOK_ID_MAX_BYTES + 1) : 0;

    for (size_t i = 0; i < length; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return false;
    return length > 0 && length <= WEBHOOK_ID_MAX_BYTES;
}

static void fill_event(struct rb_video_webhook_received *event, struct rb_notice *notice, const char *webhook_id)
{
    char event_id[RB_UUID_TEXT_BYTES];

    rb_event_init(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, event);
    event->event_id = rb_xstrdup(rb_uuid_new(event_id));
    event->video_id = rb_xstrdup(notice->video_id);
    event->status = rb_xstrdup(rb_notice_status_name(notice->status));
    event->video_url = RB_STEAL(notice->video_url);
    event->scheme = rb_xstrdup("plain");
    event->webhook_id = is_plain_text(webhook_id) ? rb_xstrdup(webhook_id) : NULL;
    event->error_code = RB_STEAL(notice->error_code);
    event->error_message = RB_STEAL(notice->error_message);
    event->expires_at = notice->expires_at;
    event->received_at = rb_clock_unix_ms();
}

static struct receipt *receipt_new(struct rb_receive *receive, struct rb_exchange *exchange, struct rb_notice *notice)
{
    struct receipt *receipt = rb_xalloc(sizeof(*receipt));

    *receipt = (struct receipt){.magic = RECEIPT_MAGIC, .receive = receive, .exchange = exchange};
    rb_metrics_add(receive->config.metrics, METRIC_IN_FLIGHT, 1);
    fill_event(&receipt->event, notice, rb_exchange_header(exchange, "webhook-id"));
    rb_trace_continue(rb_exchange_header(exchange, "traceparent"), &receipt->trace);
    receipt->tracestate = rb_xstrdup(rb_exchange_header(exchange, "tracestate"));
    snprintf(receipt->about.text, sizeof(receipt->about.text), "video=%s", receipt->event.video_id);
    return receipt;
}

void rb_receive_plain(struct rb_exchange *exchange, void *arg)
{
    struct rb_receive *receive = RB_CAST(rb_receive, arg, RECEIVE_MAGIC);
    const char *secret = rb_exchange_header(exchange, "x-webhook-secret");
    RB_AUTO_NOTICE notice = {0};
    struct rb_error err = {0};
    size_t bytes;
    const char *body = rb_exchange_body(exchange, &bytes);

    if (rb_verify_shared_secret(secret, receive->config.secrets, &err) < 0 ||
        rb_notice_parse_plain(body, bytes, &notice, &err) < 0) {
        refuse(receive, exchange, &err);
        return;
    }

    struct receipt *receipt = receipt_new(receive, exchange, &notice);

    /* Without Kafka there is no need to ask the database first: the answer is no, and quickly. */
    if (rb_publish_check(receive->config.publish, &err) < 0)
        defer(receipt, &err);
    else
        rb_lookup_ask(receive->config.lookup, receipt->event.video_id, on_looked_up, receipt);
}
