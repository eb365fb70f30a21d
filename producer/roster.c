/*
 * roster.c — reads who the providers and senders are.
 *
 * Way:  [roster] -> receive, poll
 */
#include "producer/roster.h"

#include <openssl/crypto.h>

#include "common/log.h"

struct rb_roster {
    struct rb_roster_config config;
    struct rb_http *http;           /* for public keys */
    struct rb_providers *providers; /* a reference */
    uint8_t random[RB_SECRETS_KEY_BYTES];
};

/* The secrets that are options, as they are now. */
enum secret { WEBHOOK, WEBHOOK_SIGNATURE, OPENAI_KEY, OPENAI_WEBHOOK, SECRET_COUNT };

static const char *const secret_names[SECRET_COUNT] = {
    [WEBHOOK] = "webhook_secret",
    [WEBHOOK_SIGNATURE] = "webhook_signature_secret",
    [OPENAI_KEY] = "openai_api_key",
    [OPENAI_WEBHOOK] = "openai_webhook_secret",
};

struct secrets {
    char *list[SECRET_COUNT]; /* owned */
};

static void secrets_done(struct secrets *secrets)
{
    for (size_t i = 0; i < SECRET_COUNT; i++) {
        if (secrets->list[i] != NULL)
            OPENSSL_cleanse(secrets->list[i], strlen(secrets->list[i]));
        free(secrets->list[i]);
    }
}

struct rb_roster *rb_roster_new(const struct rb_roster_config *config)
{
    struct rb_roster *roster = rb_xalloc(sizeof(*roster));

    *roster = (struct rb_roster){.config = *config, .http = rb_http_new(config->loop, 0)};
    rb_random_fill(roster->random, sizeof(roster->random));
    return roster;
}

void rb_roster_free(struct rb_roster *roster)
{
    if (roster == NULL)
        return;
    rb_providers_unref(roster->providers);
    rb_http_free(roster->http);
    free(roster);
}

static int read_providers(const struct rb_roster *roster, const struct secrets *secrets,
                          struct rb_providers **ret_providers, struct rb_error *err)
{
    const struct producer_options *options = roster->config.options->values;
    const struct rb_providers_config config = {
        .path = options->common.providers,
        .openai_base_url = options->common.openai_base_url,
        .openai_api_key = secrets->list[OPENAI_KEY],
        .openai_webhook_secret = secrets->list[OPENAI_WEBHOOK],
        .webhooks = roster->config.webhooks,
    };

    return rb_providers_load(&config, ret_providers, err);
}

static int make_senders(struct rb_roster *roster, const struct secrets *secrets, struct rb_providers *providers,
                        struct rb_error *err)
{
    struct rb_receive *receive = roster->config.receive;
    struct rb_senders *senders = NULL;
    struct rb_senders_config config = {
        .loop = roster->config.loop,
        .http = roster->http,
        .providers = providers,
        .secret = secrets->list[WEBHOOK],
        .signature_secret = secrets->list[WEBHOOK_SIGNATURE],
        .on_keys = rb_receive_on_keys,
        .arg = receive,
    };

    memcpy(config.random, roster->random, sizeof(config.random));
    RB_TRY(rb_senders_new(&config, rb_receive_senders(receive), &senders, err));
    rb_receive_set_senders(receive, senders);
    rb_log(NULL, RB_EV_PROVIDERS_READ, "providers=%zu webhooks=%zu", providers->count, senders->count);
    rb_senders_unref(senders);
    return 0;
}

int rb_roster_read(struct rb_roster *roster, struct rb_error *err)
{
    __attribute__((cleanup(secrets_done))) struct secrets secrets = {0};
    struct rb_providers *providers = NULL;

    for (size_t i = 0; i < SECRET_COUNT; i++)
        RB_TRY(rb_options_read_secret(roster->config.options, secret_names[i], &secrets.list[i], err));
    RB_TRY(read_providers(roster, &secrets, &providers, err));
    if (roster->config.webhooks && make_senders(roster, &secrets, providers, err) < 0) {
        rb_providers_unref(providers);
        return -1;
    }
    rb_providers_unref(roster->providers);
    roster->providers = providers;
    return 0;
}

struct rb_providers *rb_roster_providers(const struct rb_roster *roster)
{
    return roster->providers;
}
