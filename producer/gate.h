/*
 * gate.h — what every request passes before its body is read: who asks, not too often, with a key where one is needed.
 *
 * Way:  client -> limit -> [gate] -> receive
 *
 * Webhooks are what lies below /api/webhook/ and /webhooks/; all else below /api/ is the status API.
 */
#pragma once

#include "common/httpd.h"
#include "common/metrics.h"

struct rb_gate;

/* Texts are those of the options of these names. */
struct rb_gate_config {
    const char *trusted_proxies;
    const char *client_header;
    const char *rate_limit_address;
    const char *rate_limit_scheme;
    const char *rate_limit_status;
    const char *status_api_keys;
    const char *cors_origins;
    struct rb_metrics *metrics; /* borrowed for as long as the gate lives */
};

/*
 * Make a gate.
 *
 * Takes:  config, borrowed for the call but for the metrics.
 * Gives:  ret_gate, owned by the caller; rb_gate_free it after the HTTP server.
 * Fails:  BAD_OPTION, naming the option.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_gate_new(const struct rb_gate_config *config, struct rb_gate **ret_gate, struct rb_error *err);

/*
 * Free it; keys are wiped. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_gate_free(struct rb_gate *gate);

/*
 * Take other keys for the status API than before; a request that comes from now on needs one of these.
 *
 * Takes:  text, as that of the option, borrowed for the call.
 * Fails:  BAD_OPTION; the keys are those of before then. Keys can change but not go away.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_gate_set_keys(struct rb_gate *gate, const char *text, struct rb_error *err);

/*
 * The HTTP server's `before`. Tells the exchange who its client is, then answers 429 with Retry-After, RateLimit and
 * RateLimit-Policy to one who asks too often, and of the status API 401 to one without a key, and preflights.
 *
 * Takes:  arg, a struct rb_gate.
 * Gives:  true when it has answered.
 * Loop:   loop thread.
 */
bool rb_gate_filter(struct rb_exchange *exchange, void *arg);

/*
 * Is this peer a trusted proxy? For a limit on connections: all clients behind it share its address.
 *
 * Takes:  arg, a struct rb_gate.
 * Loop:   loop thread.
 */
bool rb_gate_peer_is_proxy(const struct sockaddr *peer, void *arg);
