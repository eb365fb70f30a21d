/*
 * senders.h — everybody whose webhooks are taken, with what is needed to verify them. Counted by references: SIGHUP brings
 * a new list while webhooks of the old one wait for their answers.
 *
 * Way:  receive -> [senders] -> verify
 */
#pragma once

#include "common/providers.h"
#include "producer/jwks.h"
#include "producer/verify.h"

struct rb_sender {
    const struct rb_provider *provider;        /* borrowed from the list of providers; NULL: one's own sender */
    const struct rb_provider_webhook *webhook; /* borrowed; says how the body is read */
    struct rb_verifier *verifier;              /* owned; NULL: without a secret, nobody is believed */
    struct rb_jwks *jwks;                      /* a reference; NULL when the scheme needs none */
};

struct rb_senders {
    unsigned references;
    struct rb_providers *providers;  /* a reference */
    struct rb_provider_webhook mine; /* that of one's own sender; owns its secrets */
    struct rb_sender own;            /* POST /api/webhook/video-complete */
    struct rb_sender *list;          /* owned; those of the providers that have a webhook */
    size_t count;
};

struct rb_senders_config {
    struct rb_loop *loop;
    struct rb_http *http;           /* for public keys; borrowed for as long as the senders live */
    struct rb_providers *providers; /* borrowed for the call */
    const char *secret;             /* of one's own sender; "" when there is none */
    const char *signature_secret;   /* of one's own sender; "" when it does not sign */
    uint8_t random[RB_SECRETS_KEY_BYTES];
    rb_loop_fn on_keys; /* public keys were fetched, or could not be */
    void *arg;
};

/*
 * Make a list.
 *
 * Takes:  config, borrowed for the call; old, whose public keys are taken over, NULL for none.
 * Gives:  ret_senders with one reference.
 * Fails:  BAD_OPTION; the message names the provider.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_senders_new(const struct rb_senders_config *config, const struct rb_senders *old,
                                 struct rb_senders **ret_senders, struct rb_error *err);

/*
 * Keep a list.
 *
 * Gives:  senders, to be given back with rb_senders_unref.
 * Loop:   loop thread.
 */
struct rb_senders *rb_senders_ref(struct rb_senders *senders);

/*
 * Give a reference back. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_senders_unref(struct rb_senders *senders);

/*
 * Find a provider that sends webhooks.
 *
 * Gives:  borrowed from senders; NULL when there is none of this name.
 * Loop:   loop thread.
 */
const struct rb_sender *rb_senders_find(const struct rb_senders *senders, const char *name);
