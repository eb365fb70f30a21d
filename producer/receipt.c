/*
 * receipt.c — one webhook between its verification and its answer.
 *
 * Way:  receive -> verify -> notice -> [receipt] -> lookup -> resolve -> publish
 */
#include "producer/receipt.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "producer/metrics_table.h"

#define RECEIPT_MAGIC 0x52435054u

struct receipt {
    uint32_t magic;
    struct rb_receive *receive;     /* borrowed */
    struct rb_exchange *exchange;   /* borrowed until it is answered */
    struct rb_senders *senders;     /* a reference: the sender is one of them */
    const struct rb_sender *sender; /* borrowed from senders */
    uint8_t key[RB_REPLAY_KEY_BYTES];
    struct receipt *repeats; /* owned; the same delivery again, which gets the same answer */
    struct receipt *next;    /* among repeats */
    struct rb_notice notice;
    int64_t completed_at_ms; /* by the provider's clock, as near as it tells; RB_NO_LONG when it does not */
    struct rb_video_webhook_received event;
    struct rb_trace trace;
    int64_t part_ms;  /* when what it waits for now began */
    char *tracestate; /* owned, may be NULL */
    struct rb_log_about about;
};

static void receipt_free(struct receipt *receipt)
{
    rb_metrics_add(receipt->receive->config.metrics, METRIC_IN_FLIGHT, -1);
    rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &receipt->event);
    rb_notice_done(&receipt->notice);
    rb_senders_unref(receipt->senders);
    free(receipt->tracestate);
    receipt->magic = 0;
    free(receipt);
}

/* What it has waited for has come, or not. */
static void trace_part(struct receipt *receipt, const char *name, enum rb_span_kind kind, const struct rb_error *err)
{
    rb_tracer_add_part(receipt->receive->config.tracer, &receipt->trace, name, kind, receipt->part_ms, err);
    receipt->part_ms = rb_clock_ms();
}

static void trace_whole(const struct receipt *receipt, enum rb_outcome outcome, const struct rb_error *err)
{
    static const char *const outcomes[] = {"accepted", "repeated",     "stored",  "ignored",
                                           "refused",  "unauthorized", "unknown", "deferred"};
    const struct rb_span span = {
        .trace = &receipt->trace,
        .id = receipt->trace.span_id,
        .parent_id = receipt->trace.parent_id,
        .name = "webhook",
        .kind = RB_SPAN_SERVER,
        .from = rb_clock_unix_of(rb_exchange_began_ms(receipt->exchange)),
        .to = rb_clock_unix_ms(),
        .error = err,
        .facts = {{"http.route", rb_exchange_route(receipt->exchange)->path, 0},
                  {"reelbus.scheme", receipt->event.scheme, RB_SPAN_NO_NUMBER},
                  {"reelbus.provider", receipt->event.provider, RB_SPAN_NO_NUMBER},
                  {"reelbus.video_id", receipt->event.video_id, RB_SPAN_NO_NUMBER},
                  {"reelbus.outcome", outcomes[outcome], 0}},
    };

    _Static_assert(RB_COUNT(outcomes) == RB_OUTCOME_COUNT, "a name for each outcome");
    rb_tracer_add(receipt->receive->config.tracer, &span);
}

/* The one door to an answer: for this delivery, and for those that came while it was under way. */
static void receipt_end(struct receipt *receipt, enum rb_outcome outcome, const struct rb_error *err)
{
    struct rb_receive *receive = receipt->receive;
    enum rb_scheme scheme = receipt->sender->webhook->scheme;
    bool good = outcome < RB_OUTCOME_REFUSED;

    rb_replays_end(receive->replays, receipt->key, receipt, good, rb_clock_ms());
    trace_whole(receipt, outcome, err);
    rb_receive_answer(receive, receipt->exchange, scheme, outcome, err);
    for (struct receipt *repeat = receipt->repeats, *next; repeat != NULL; repeat = next) {
        next = repeat->next;
        trace_whole(repeat, good ? RB_OUTCOME_REPEATED : outcome, err);
        rb_receive_answer(receive, repeat->exchange, scheme, good ? RB_OUTCOME_REPEATED : outcome, err);
        receipt_free(repeat);
    }
    receipt_free(receipt);
}

static void refuse(struct receipt *receipt, const struct rb_error *err)
{
    char client[64];

    rb_log_error(&receipt->about, RB_EV_WEBHOOK_REFUSED, err, "client=%s",
                 rb_exchange_client(receipt->exchange, client));
    receipt_end(receipt, rb_receive_outcome(err->code), err);
}

/* Nothing is lost by this: the sender is told to try again, and most do by themselves. */
static void defer(struct receipt *receipt, const struct rb_error *err)
{
    if (err->code == RB_E_SPOOL_FULL || err->code == RB_E_SPOOL_BROKEN)
        rb_metrics_add(receipt->receive->config.metrics, METRIC_SPOOL_REFUSED, 1);
    rb_log_error(&receipt->about, RB_EV_WEBHOOK_DEFERRED, err, "");
    receipt_end(receipt, RB_OUTCOME_DEFERRED, err);
}

static void end_silently(struct receipt *receipt, enum rb_outcome outcome, const char *because)
{
    rb_log(&receipt->about, RB_EV_WEBHOOK_SILENT, "because=%s", because);
    receipt_end(receipt, outcome, NULL);
}

/* From the head of the webhook until now. */
static void count_time(const struct receipt *receipt, const struct rb_delivery *delivery)
{
    struct rb_metrics *metrics = receipt->receive->config.metrics;
    double seconds = (double)(rb_clock_ms() - rb_exchange_began_ms(receipt->exchange)) / 1000;

    rb_metrics_observe(metrics, METRIC_ACK_SECONDS, seconds, &receipt->trace);
    if (delivery->partition != RB_SPOOLED)
        rb_metrics_observe(metrics, METRIC_STAGE_PUBLISHED, seconds, &receipt->trace);
}

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct receipt *receipt = RB_CAST(receipt, arg, RECEIPT_MAGIC);

    trace_part(receipt, "publish", RB_SPAN_PRODUCER, err);
    if (err != NULL) {
        defer(receipt, err);
        return;
    }
    RB_FAIL_HERE(webhook_acknowledged);
    count_time(receipt, delivery);
    rb_log(&receipt->about, RB_EV_WEBHOOK_ACCEPTED,
           "status=%s checked=%d topic=%s partition=%" PRId32 " offset=%" PRId64 " took_ms=%" PRId64,
           receipt->event.status, receipt->event.checked, rb_publish_topic(receipt->receive->config.publish),
           delivery->partition, delivery->offset, rb_clock_ms() - rb_exchange_began_ms(receipt->exchange));
    rb_heard_webhook(receipt->receive->config.heard, receipt->event.video_id, receipt->completed_at_ms);
    receipt_end(receipt, RB_OUTCOME_ACCEPTED, NULL);
    RB_FAIL_HERE(webhook_answered);
}

static void publish(struct receipt *receipt)
{
    struct rb_video_webhook_received *event = &receipt->event;
    struct rb_notice *notice = &receipt->notice;
    struct rb_error err = {0};

    event->status = rb_xstrdup(rb_notice_status_name(notice->status));
    event->video_url = RB_STEAL(notice->video_url);
    event->provider_video_id = RB_STEAL(notice->provider_video_id);
    event->error_code = RB_STEAL(notice->error_code);
    event->error_message = RB_STEAL(notice->error_message);
    event->expires_at = notice->expires_at;
    if (rb_publish_webhook(receipt->receive->config.publish, event, &receipt->trace, receipt->tracestate, on_delivered,
                           receipt, &err) < 0)
        defer(receipt, &err);
}

static void on_resolved(struct rb_adapter_answer *answer, const struct rb_error *err, void *arg)
{
    struct receipt *receipt = RB_CAST(receipt, arg, RECEIPT_MAGIC);
    struct rb_error trouble = {0};

    trace_part(receipt, "resolve", RB_SPAN_CLIENT, err);
    if (err != NULL)
        rb_log_error(&receipt->about, RB_EV_PROVIDER_SILENT, err, "");
    else if (answer->completed_at_ms != RB_NO_LONG)
        receipt->completed_at_ms = answer->completed_at_ms;
    if (rb_resolve_merge(receipt->sender->provider, answer, &receipt->notice, &trouble) < 0)
        defer(receipt, &trouble);
    else
        publish(receipt);
}

static void resolve(struct receipt *receipt)
{
    const struct rb_provider *provider = receipt->sender->provider;
    struct rb_error err = {0};

    if (rb_resolve_needed(provider, &receipt->notice))
        rb_resolve_ask(receipt->receive->config.resolve, provider, receipt->notice.provider_video_id, on_resolved,
                       receipt);
    else if (rb_resolve_merge(provider, NULL, &receipt->notice, &err) < 0)
        defer(receipt, &err);
    else
        publish(receipt);
}

/* What every line about this webhook says. A long id of a provider is cut: the line must keep its form. */
static void set_about(struct receipt *receipt)
{
    const struct rb_provider *provider = receipt->sender->provider;
    const char *ours = receipt->event.video_id, *theirs = receipt->notice.provider_video_id;
    char quoted[RB_LOG_QUOTE_BYTES];
    RB_AUTO_TEXT *cut = rb_xprintf("%.64s", theirs != NULL ? theirs : "");

    snprintf(receipt->about.text, sizeof(receipt->about.text), "trace=%s%s%s%s%s%s%s", receipt->trace.trace_id,
             ours != NULL ? " video=" : "", ours != NULL ? ours : "", provider != NULL ? " provider=" : "",
             provider != NULL ? provider->name : "", theirs != NULL ? " provider_video=" : "",
             theirs != NULL ? rb_log_quote(cut, quoted) : "");
}

/* Our own id stands by itself and can be checked later; a provider's id means nothing without the database. */
static void on_not_looked_up(struct receipt *receipt, const struct rb_error *err)
{
    if (receipt->event.video_id == NULL) {
        defer(receipt, err);
        return;
    }
    rb_metrics_add(receipt->receive->config.metrics, METRIC_UNCHECKED, 1);
    resolve(receipt);
}

static void on_looked_up(const struct rb_lookup_answer *answer, const struct rb_error *err, void *arg)
{
    struct receipt *receipt = RB_CAST(receipt, arg, RECEIPT_MAGIC);
    struct rb_error unknown = {0};

    trace_part(receipt, "lookup", RB_SPAN_CLIENT, err);
    if (err != NULL) {
        on_not_looked_up(receipt, err);
        return;
    }
    if (!answer->found) {
        if (receipt->event.video_id != NULL)
            rb_fail(&unknown, RB_E_UNKNOWN_VIDEO, 0, "videoId '%s' is not known", receipt->event.video_id);
        else
            rb_fail(&unknown, RB_E_UNKNOWN_VIDEO, 0, "nobody has told whose this video of the provider is");
        refuse(receipt, &unknown);
        return;
    }
    if (receipt->event.video_id == NULL) {
        receipt->event.video_id = rb_xstrdup(answer->video_id);
        set_about(receipt);
    }
    receipt->event.user_id = rb_xstrdup(answer->user_id);
    receipt->event.checked = true;
    if (!answer->stored) {
        resolve(receipt);
        return;
    }
    rb_heard_late_webhook(receipt->receive->config.heard, receipt->event.video_id);
    end_silently(receipt, RB_OUTCOME_STORED, "stored");
}

static void look_up(struct receipt *receipt)
{
    struct rb_lookup *lookup = receipt->receive->config.lookup;

    if (receipt->event.video_id != NULL && !receipt->receive->config.check_videos)
        on_not_looked_up(receipt, NULL);
    else if (receipt->event.video_id != NULL)
        rb_lookup_ask(lookup, receipt->event.video_id, on_looked_up, receipt);
    else
        rb_lookup_ask_provider(lookup, receipt->sender->provider->name, receipt->notice.provider_video_id, on_looked_up,
                               receipt);
}

static void fill_event(struct receipt *receipt, const struct rb_verified *verified)
{
    struct rb_video_webhook_received *event = &receipt->event;
    const struct rb_provider *provider = receipt->sender->provider;
    char event_id[RB_UUID_TEXT_BYTES];

    rb_event_init(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, event);
    event->event_id = rb_xstrdup(rb_uuid_new(event_id));
    event->video_id = receipt->notice.video_id[0] != '\0' ? rb_xstrdup(receipt->notice.video_id) : NULL;
    event->scheme = rb_xstrdup(rb_scheme_name(receipt->sender->webhook->scheme));
    event->provider = provider != NULL ? rb_xstrdup(provider->name) : NULL;
    event->webhook_id = rb_xstrdup(verified->delivery_id);
    event->received_at = rb_clock_unix_ms();
}

/* A delivery is what its signed id says it is, else what its body says. */
static void make_key(struct receipt *receipt, const struct rb_verified *verified)
{
    const struct rb_provider *provider = receipt->sender->provider;
    const char *name = provider != NULL ? provider->name : "";
    uint8_t digest[RB_HMAC_BYTES];
    size_t bytes = 0;
    const char *text = rb_exchange_body(receipt->exchange, &bytes);

    if (verified->id_is_signed) {
        text = verified->delivery_id;
        bytes = strlen(text);
    }
    rb_hmac_sign(receipt->receive->fingerprint, (const struct rb_piece[]){{name, strlen(name) + 1}, {text, bytes}}, 2,
                 digest);
    memcpy(receipt->key, digest, sizeof(receipt->key));
}

static struct receipt *receipt_new(struct rb_receive *receive, struct rb_exchange *exchange, struct rb_senders *senders,
                                   const struct rb_sender *sender, const struct rb_verified *verified,
                                   struct rb_notice *notice)
{
    struct receipt *receipt = rb_xalloc(sizeof(*receipt));

    *receipt = (struct receipt){
        .magic = RECEIPT_MAGIC,
        .receive = receive,
        .exchange = exchange,
        .senders = rb_senders_ref(senders),
        .sender = sender,
        .notice = *notice,
        .completed_at_ms = notice->completed_at != RB_NO_LONG ? notice->completed_at : verified->signed_at_ms,
    };
    *notice = (struct rb_notice){0};
    receipt->part_ms = rb_clock_ms();
    rb_metrics_add(receive->config.metrics, METRIC_IN_FLIGHT, 1);
    fill_event(receipt, verified);
    rb_trace_continue(rb_exchange_header(exchange, "traceparent"), &receipt->trace);
    rb_tracer_decide(receive->config.tracer, &receipt->trace);
    if (receipt->trace.parent_id[0] != '\0') /* else it is a stranger's */
        receipt->tracestate = rb_xstrdup(rb_exchange_header(exchange, "tracestate"));
    set_about(receipt);
    make_key(receipt, verified);
    return receipt;
}

void rb_receipt_begin(struct rb_receive *receive, struct rb_exchange *exchange, struct rb_senders *senders,
                      const struct rb_sender *sender, const struct rb_verified *verified, struct rb_notice *notice)
{
    struct receipt *receipt = receipt_new(receive, exchange, senders, sender, verified, notice);
    struct rb_error err = {0};
    void *owner = NULL;

    RB_FAIL_HERE(webhook_verified);
    if (receipt->notice.status == RB_NOTICE_OTHER) {
        end_silently(receipt, RB_OUTCOME_IGNORED, "not_final");
        return;
    }
    switch (rb_replays_begin(receive->replays, receipt->key, receipt, rb_clock_ms(), &owner)) {
    case RB_REPLAY_DONE:
        end_silently(receipt, RB_OUTCOME_REPEATED, "repeated");
        return;
    case RB_REPLAY_BUSY:
        receipt->next = RB_CAST(receipt, owner, RECEIPT_MAGIC)->repeats;
        RB_CAST(receipt, owner, RECEIPT_MAGIC)->repeats = receipt;
        return;
    case RB_REPLAY_NEW:
        break;
    }
    /* Without Kafka there is no need to ask the database first: the answer is no, and quickly. */
    if (rb_publish_check(receive->config.publish, &err) < 0)
        defer(receipt, &err);
    else
        look_up(receipt);
}
