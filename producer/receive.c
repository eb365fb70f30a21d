/*
 * receive.c — takes webhooks; answers 200 only when Kafka has the event.
 *
 * Way:  [receive] -> verify -> notice -> lookup -> resolve -> publish -> Kafka
 */
#include "producer/receive.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "producer/metrics_table.h"
#include "producer/receipt.h"

#define WAITING_MAX     256              /* webhooks that wait for public keys */
#define REPLAYS_MAX     65536            /* deliveries that are remembered ... */
#define REPLAYS_KEEP_MS INT64_C(3600000) /* ... for so long: twelve times what a signature is old at most by default */

struct rb_receive *rb_receive_new(const struct rb_receive_config *config)
{
    struct rb_receive *receive = rb_xalloc(sizeof(*receive));
    uint8_t random[RB_HMAC_BYTES];

    rb_random_fill(random, sizeof(random));
    *receive = (struct rb_receive){
        .magic = RB_RECEIVE_MAGIC,
        .config = *config,
        .replays = rb_replays_new(REPLAYS_MAX, REPLAYS_KEEP_MS),
        .fingerprint = rb_hmac_new(random, sizeof(random)),
    };
    snprintf(receive->retry_after, sizeof(receive->retry_after), "%" PRId64, config->retry_after_s);
    return receive;
}

void rb_receive_free(struct rb_receive *receive)
{
    if (receive == NULL)
        return;
    RB_ASSERT(receive->waiting == NULL);
    rb_senders_unref(receive->senders);
    rb_replays_free(receive->replays);
    rb_hmac_free(receive->fingerprint);
    receive->magic = 0;
    free(receive);
}

void rb_receive_set_senders(struct rb_receive *receive, struct rb_senders *senders)
{
    struct rb_senders *before = receive->senders;

    receive->senders = rb_senders_ref(senders);
    rb_senders_unref(before);
}

const struct rb_senders *rb_receive_senders(const struct rb_receive *receive)
{
    return receive->senders;
}

enum rb_outcome rb_receive_outcome(enum rb_code code)
{
    switch (code) {
    case RB_E_BAD_SIGNATURE:
    case RB_E_STALE_SIGNATURE:
    case RB_E_UNKNOWN_KEY:
        return RB_OUTCOME_DENIED;
    case RB_E_UNKNOWN_VIDEO:
        return RB_OUTCOME_UNKNOWN;
    case RB_E_BAD_REQUEST:
    case RB_E_URL_INVALID:
        return RB_OUTCOME_REFUSED;
    default:
        return RB_OUTCOME_DEFERRED;
    }
}

static void count(const struct rb_receive *receive, enum rb_scheme scheme, enum rb_outcome outcome)
{
    RB_ASSERT(scheme > RB_SCHEME_NONE && outcome < RB_OUTCOME_COUNT);
    rb_metrics_add(receive->config.metrics,
                   METRIC_WEBHOOKS_PLAIN_ACCEPTED + (scheme - RB_SCHEME_PLAIN) * (size_t)RB_OUTCOME_COUNT + outcome, 1);
}

void rb_receive_answer(struct rb_receive *receive, struct rb_exchange *exchange, enum rb_scheme scheme,
                       enum rb_outcome outcome, const struct rb_error *err)
{
    const struct rb_header retry_after = {"Retry-After", receive->retry_after};

    count(receive, scheme, outcome);
    switch (outcome) {
    case RB_OUTCOME_ACCEPTED:
    case RB_OUTCOME_REPEATED:
    case RB_OUTCOME_STORED:
        rb_exchange_reply_json(exchange, 200, "{\"success\":true}", NULL);
        return;
    case RB_OUTCOME_IGNORED:
        rb_exchange_reply_json(exchange, 200, "{\"success\":true,\"ignored\":true}", NULL);
        return;
    case RB_OUTCOME_DENIED:
        rb_exchange_reply_error(exchange, 401, "Unauthorized", NULL);
        return;
    case RB_OUTCOME_REFUSED:
        rb_exchange_reply_error(exchange, 400, err->message, NULL);
        return;
    case RB_OUTCOME_UNKNOWN:
        rb_exchange_reply_error(exchange, 404, err->message, NULL);
        return;
    case RB_OUTCOME_DEFERRED:
        rb_exchange_reply_error(exchange, 503, "the event cannot be stored now, try again later", &retry_after);
        return;
    case RB_OUTCOME_COUNT:
        break;
    }
    RB_BUG("unknown outcome");
}

static const char *name_of(const struct rb_sender *sender)
{
    return sender->provider != NULL ? sender->provider->name : "own";
}

static void refuse(struct rb_receive *receive, struct rb_exchange *exchange, const struct rb_sender *sender,
                   const struct rb_error *err)
{
    enum rb_outcome outcome = rb_receive_outcome(err->code);
    char client[64];

    rb_log_error(NULL, outcome == RB_OUTCOME_DEFERRED ? RB_EV_WEBHOOK_DEFERRED : RB_EV_WEBHOOK_REFUSED, err,
                 "sender=%s scheme=%s client=%s", name_of(sender), rb_scheme_name(sender->webhook->scheme),
                 rb_exchange_client(exchange, client));
    rb_receive_answer(receive, exchange, sender->webhook->scheme, outcome, err);
}

static const char *find_header(const void *exchange, const char *name, size_t *ret_count)
{
    *ret_count = rb_exchange_header_count(exchange, name);
    return rb_exchange_header(exchange, name);
}

static int check(struct rb_exchange *exchange, const struct rb_sender *sender, struct rb_verified *ret_verified,
                 struct rb_notice *ret_notice, struct rb_error *err)
{
    struct rb_verify_request request = {
        .header = find_header, .arg = exchange, .now_unix_s = rb_clock_unix_ms() / 1000};

    if (sender->verifier == NULL)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "there is no secret for this sender");
    request.body = rb_exchange_body(exchange, &request.body_bytes);
    RB_TRY(rb_verify(sender->verifier, &request, ret_verified, err));
    return rb_notice_parse(sender->webhook, request.body, request.body_bytes, ret_notice, err);
}

static bool wait_for_keys(struct rb_receive *receive, struct rb_exchange *exchange, struct rb_senders *senders,
                          const struct rb_sender *sender)
{
    struct rb_receive_waiting *waiting;

    if (sender->jwks == NULL || receive->waiting_count == WAITING_MAX || !rb_jwks_refresh(sender->jwks))
        return false;
    waiting = rb_xalloc(sizeof(*waiting));
    *waiting = (struct rb_receive_waiting){exchange, rb_senders_ref(senders), sender, receive->waiting};
    receive->waiting = waiting;
    receive->waiting_count++;
    return true;
}

/* The keys may have changed since the sender was told of them: before a no, they are fetched once more. */
static void take(struct rb_receive *receive, struct rb_exchange *exchange, struct rb_senders *senders,
                 const struct rb_sender *sender, bool keys_are_new)
{
    struct rb_verified verified = {0};
    RB_AUTO_NOTICE notice = {0};
    struct rb_error err = {0};

    if (check(exchange, sender, &verified, &notice, &err) == 0)
        rb_receipt_begin(receive, exchange, senders, sender, &verified, &notice);
    else if (keys_are_new || (err.code != RB_E_UNKNOWN_KEY && err.code != RB_E_KEYS_AWAY) ||
             !wait_for_keys(receive, exchange, senders, sender))
        refuse(receive, exchange, sender, &err);
}

/* Those whose keys were fetched are looked at again; the others go on waiting. */
static void retry_waiting(struct rb_receive *receive, bool stop)
{
    struct rb_receive_waiting *list = RB_STEAL(receive->waiting);
    struct rb_error err = {0};

    rb_fail(&err, RB_E_KEYS_AWAY, 0, "the program stops");
    while (list != NULL) {
        struct rb_receive_waiting *waiting = list;

        list = waiting->next;
        if (!stop && rb_jwks_is_busy(waiting->sender->jwks)) {
            waiting->next = receive->waiting;
            receive->waiting = waiting;
            continue;
        }
        receive->waiting_count--;
        if (stop)
            refuse(receive, waiting->exchange, waiting->sender, &err);
        else
            take(receive, waiting->exchange, waiting->senders, waiting->sender, true);
        rb_senders_unref(waiting->senders);
        free(waiting);
    }
}

void rb_receive_on_keys(void *arg)
{
    struct rb_receive *receive = RB_CAST(rb_receive, arg, RB_RECEIVE_MAGIC);

    if (receive->waiting != NULL)
        retry_waiting(receive, false);
}

void rb_receive_stop(struct rb_receive *receive)
{
    retry_waiting(receive, true);
}

void rb_receive_plain(struct rb_exchange *exchange, void *arg)
{
    struct rb_receive *receive = RB_CAST(rb_receive, arg, RB_RECEIVE_MAGIC);

    take(receive, exchange, receive->senders, &receive->senders->own, false);
}

void rb_receive_provider(struct rb_exchange *exchange, void *arg)
{
    struct rb_receive *receive = RB_CAST(rb_receive, arg, RB_RECEIVE_MAGIC);
    const char *name = rb_exchange_path(exchange) + strlen(RB_RECEIVE_PROVIDERS_PATH);
    const struct rb_sender *sender = rb_senders_find(receive->senders, name);

    if (sender != NULL) {
        take(receive, exchange, receive->senders, sender, false);
        return;
    }
    rb_metrics_add(receive->config.metrics, METRIC_WEBHOOKS_NOBODY, 1);
    rb_exchange_reply_error(exchange, 404, "no provider of this name sends webhooks", NULL);
}
