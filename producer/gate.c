/*
 * gate.c — what every request passes before its body is read.
 *
 * Way:  client -> limit -> [gate] -> receive
 */
#include "producer/gate.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/random.h"
#include "producer/client.h"
#include "producer/cors.h"
#include "producer/limit.h"
#include "producer/metrics_table.h"
#include "producer/verify.h"

#define GATE_MAGIC    0x47415445u
#define ADDRESS_SLOTS 65536
#define SCHEME_SLOTS  1024 /* by the path, of which unknown ones count too */
#define LOG_PAUSE_MS  1000

struct rb_gate {
    uint32_t magic;
    struct rb_metrics *metrics; /* borrowed */
    struct rb_client_trust trust;
    enum rb_client_header header;
    struct rb_limit *address; /* NULL without this limit, as the next two */
    struct rb_limit *scheme;
    struct rb_limit *status;
    struct rb_secrets keys; /* none: no key is needed */
    struct rb_cors cors;
    int64_t logged_ms; /* when a refusal was logged last */
    uint64_t unlogged; /* refusals since then */
};

/* Say which option it was. */
static int blame(const char *option, struct rb_error *err)
{
    const struct rb_error cause = *err;

    return rb_fail(err, RB_E_BAD_OPTION, 0, "option '%s': %.180s", option, cause.message);
}

static int open_limit(const char *option, const char *text, size_t slots, struct rb_limit **ret_limit,
                      struct rb_error *err)
{
    struct rb_rate rate;

    if (rb_rate_parse(text, &rate, err) < 0)
        return blame(option, err);
    if (rate.quota > 0)
        *ret_limit = rb_limit_new(&rate, slots, rb_random());
    return 0;
}

/* An empty list is no list where keys are needed: a mistake shall not open the status API to everybody. */
int rb_gate_set_keys(struct rb_gate *gate, const char *text, struct rb_error *err)
{
    uint8_t key[RB_SECRETS_KEY_BYTES];
    struct rb_secrets keys = {0};

    if (text[0] == '\0' && gate->keys.count == 0)
        return 0;
    rb_random_fill(key, sizeof(key));
    if (rb_secrets_init(text, key, &keys, err) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'status_api_keys': expected 1 to %d keys, parted by commas",
                       RB_SECRETS_MAX);
    rb_secrets_done(&gate->keys);
    gate->keys = keys;
    return 0;
}

static int gate_open(struct rb_gate *gate, const struct rb_gate_config *config, struct rb_error *err)
{
    if (rb_client_trust_parse(config->trusted_proxies, &gate->trust, err) < 0)
        return blame("trusted_proxies", err);
    if (rb_client_header_parse(config->client_header, &gate->header, err) < 0)
        return blame("client_header", err);
    if (rb_cors_parse(config->cors_origins, &gate->cors, err) < 0)
        return blame("cors_origins", err);
    RB_TRY(open_limit("rate_limit_address", config->rate_limit_address, ADDRESS_SLOTS, &gate->address, err));
    RB_TRY(open_limit("rate_limit_scheme", config->rate_limit_scheme, SCHEME_SLOTS, &gate->scheme, err));
    RB_TRY(open_limit("rate_limit_status", config->rate_limit_status, ADDRESS_SLOTS, &gate->status, err));
    return rb_gate_set_keys(gate, config->status_api_keys, err);
}

int rb_gate_new(const struct rb_gate_config *config, struct rb_gate **ret_gate, struct rb_error *err)
{
    struct rb_gate *gate = rb_xalloc(sizeof(*gate));

    *gate = (struct rb_gate){.magic = GATE_MAGIC, .metrics = config->metrics, .logged_ms = -LOG_PAUSE_MS};
    if (gate_open(gate, config, err) < 0) {
        rb_gate_free(gate);
        return -1;
    }
    *ret_gate = gate;
    return 0;
}

void rb_gate_free(struct rb_gate *gate)
{
    if (gate == NULL)
        return;
    rb_limit_free(gate->address);
    rb_limit_free(gate->scheme);
    rb_limit_free(gate->status);
    rb_secrets_done(&gate->keys);
    rb_cors_done(&gate->cors);
    gate->magic = 0;
    free(gate);
}

static void find_client(const struct rb_gate *gate, struct rb_exchange *exchange, struct rb_client *ret_client)
{
    RB_AUTO_BUFFER text = {0};
    struct rb_client_peer peer;

    rb_client_read_peer(&gate->trust, rb_exchange_peer(exchange), &peer);
    if (peer.trusted)
        rb_exchange_header_list(exchange, rb_client_header_name(gate->header), &text);
    rb_client_find(&gate->trust, &peer, gate->header, text.bytes, ret_client);
    rb_exchange_set_client(exchange, ret_client->text);
}

/* A flood of requests is no flood of lines. */
static void log_refusal(struct rb_gate *gate, const char *name, const struct rb_client *client, const char *path)
{
    int64_t now_ms = rb_clock_ms();
    char quoted[RB_LOG_QUOTE_BYTES];

    if (now_ms - gate->logged_ms < LOG_PAUSE_MS) {
        gate->unlogged++;
        return;
    }
    rb_log(NULL, RB_EV_RATE_LIMITED, "limit=%s client=%s path=%s unlogged=%" PRIu64, name, client->text,
           rb_log_quote(path, quoted), gate->unlogged);
    gate->logged_ms = now_ms;
    gate->unlogged = 0;
}

static void refuse(struct rb_exchange *exchange, const char *name, const struct rb_rate *rate,
                   const struct rb_verdict *verdict)
{
    char text[RB_LIMIT_TEXT_BYTES];

    snprintf(text, sizeof(text), "%" PRId64, verdict->retry_after_s);
    rb_exchange_add_header(exchange, "Retry-After", text);
    snprintf(text, sizeof(text), "\"%s\";q=%" PRId64 ";w=%" PRId64, name, rate->quota, rate->window_s);
    rb_exchange_add_header(exchange, "RateLimit-Policy", text);
    snprintf(text, sizeof(text), "\"%s\";r=%" PRId64 ";t=%" PRId64, name, verdict->left, verdict->retry_after_s);
    rb_exchange_add_header(exchange, "RateLimit", text);
    rb_exchange_reply_error(exchange, 429, "too many requests, try again later", NULL);
}

struct check {
    struct rb_limit *limit; /* NULL: no such limit */
    const char *name;
    size_t metric;
    uint64_t key;
};

static bool is_refused(struct rb_gate *gate, struct rb_exchange *exchange, const struct rb_client *client,
                       const struct check *check)
{
    struct rb_verdict verdict;

    if (check->limit == NULL)
        return false;
    verdict = rb_limit_take(check->limit, check->key, rb_clock_ms());
    if (verdict.allowed)
        return false;
    rb_metrics_add(gate->metrics, check->metric, 1);
    log_refusal(gate, check->name, client, rb_exchange_path(exchange));
    refuse(exchange, check->name, rb_limit_rate(check->limit), &verdict);
    return true;
}

/* A sender that may not ask any more takes nothing from the scheme that it shares with others. */
static bool filter_webhook(struct rb_gate *gate, struct rb_exchange *exchange, const struct rb_client *client)
{
    const struct check address = {gate->address, "address", METRIC_LIMITED_ADDRESS, rb_address_key(&client->address)};
    const struct check scheme = {gate->scheme, "scheme", METRIC_LIMITED_SCHEME,
                                 gate->scheme != NULL ? rb_hash_text(rb_exchange_path(exchange)) : 0};

    return is_refused(gate, exchange, client, &address) || is_refused(gate, exchange, client, &scheme);
}

static void add_cors(const struct rb_gate *gate, struct rb_exchange *exchange)
{
    const char *allowed = rb_cors_allow(&gate->cors, rb_exchange_header(exchange, "Origin"));

    if (!gate->cors.any)
        rb_exchange_add_header(exchange, "Vary", "Origin");
    if (allowed == NULL)
        return;
    rb_exchange_add_header(exchange, "Access-Control-Allow-Origin", allowed);
    rb_exchange_add_header(exchange, "Access-Control-Expose-Headers", RB_CORS_EXPOSED);
}

/* A preflight has no key with it. Without Access-Control-Allow-Origin the rest of it counts for nothing. */
static bool answer_preflight(struct rb_exchange *exchange)
{
    const struct rb_reply reply = {
        .status = 204,
        .headers = {{"Access-Control-Allow-Methods", RB_CORS_METHODS},
                    {"Access-Control-Allow-Headers", RB_CORS_HEADERS},
                    {"Access-Control-Max-Age", RB_CORS_MAX_AGE_S}},
    };

    if (strcmp(rb_exchange_method(exchange), "OPTIONS") != 0)
        return false;
    rb_exchange_reply(exchange, &reply);
    return true;
}

/* Authorization: Bearer KEY (RFC 6750), or X-Api-Key: KEY. */
static const char *given_key(const struct rb_exchange *exchange)
{
    static const char bearer[] = "Bearer ";
    const char *authorization = rb_exchange_header(exchange, "Authorization");

    if (authorization != NULL && strncasecmp(authorization, bearer, strlen(bearer)) == 0)
        return authorization + strlen(bearer) + strspn(authorization + strlen(bearer), " ");
    return rb_exchange_header(exchange, "X-Api-Key");
}

static bool lacks_key(struct rb_gate *gate, struct rb_exchange *exchange)
{
    const char *given = given_key(exchange);
    struct rb_error err = {0};

    if (gate->keys.count == 0 || rb_verify_shared_secret(given, &gate->keys, &err) == 0)
        return false;
    rb_metrics_add(gate->metrics, METRIC_STATUS_DENIED, 1);
    rb_exchange_add_header(exchange, "WWW-Authenticate",
                           given != NULL ? "Bearer realm=\"reelbus\", error=\"invalid_token\""
                                         : "Bearer realm=\"reelbus\"");
    rb_exchange_reply_error(exchange, 401, "Unauthorized", NULL);
    return true;
}

static bool filter_status(struct rb_gate *gate, struct rb_exchange *exchange, const struct rb_client *client)
{
    const struct check check = {gate->status, "status", METRIC_LIMITED_STATUS, rb_address_key(&client->address)};

    if (rb_cors_is_on(&gate->cors)) {
        add_cors(gate, exchange);
        if (answer_preflight(exchange))
            return true;
    }
    return is_refused(gate, exchange, client, &check) || lacks_key(gate, exchange);
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

bool rb_gate_filter(struct rb_exchange *exchange, void *arg)
{
    struct rb_gate *gate = RB_CAST(rb_gate, arg, GATE_MAGIC);
    const char *path = rb_exchange_path(exchange);
    struct rb_client client;

    find_client(gate, exchange, &client);
    if (begins_with(path, "/api/webhook/") || begins_with(path, "/webhooks/"))
        return filter_webhook(gate, exchange, &client);
    if (begins_with(path, "/api/"))
        return filter_status(gate, exchange, &client);
    return false;
}

bool rb_gate_peer_is_proxy(const struct sockaddr *peer, void *arg)
{
    const struct rb_gate *gate = RB_CAST(rb_gate, arg, GATE_MAGIC);

    struct rb_client_peer read;

    rb_client_read_peer(&gate->trust, peer, &read);
    return read.trusted;
}
