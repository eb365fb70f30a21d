/*
 * senders.c — everybody whose webhooks are taken.
 *
 * Way:  receive -> [senders] -> verify
 */
#include "producer/senders.h"

#include <openssl/crypto.h>

#define OWN_TOLERANCE_MS 300000

static void free_secret(char *secret)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

static int sender_init(struct rb_sender *sender, const struct rb_senders_config *config, const struct rb_senders *old,
                       struct rb_error *err)
{
    const struct rb_provider_webhook *webhook = sender->webhook;
    const struct rb_keyset *keys = NULL;

    for (size_t i = 0; webhook->jwks_url != NULL && old != NULL && i < old->count && sender->jwks == NULL; i++)
        if (old->list[i].jwks != NULL && rb_jwks_is(old->list[i].jwks, webhook->jwks_url, webhook->jwks_cache))
            sender->jwks = rb_jwks_ref(old->list[i].jwks);
    if (webhook->jwks_url != NULL && sender->jwks == NULL) {
        const struct rb_jwks_config jwks = {config->loop,        config->http,    webhook->jwks_url,
                                            webhook->jwks_cache, config->on_keys, config->arg};

        sender->jwks = rb_jwks_new(&jwks);
    }
    if (sender->jwks != NULL)
        keys = rb_jwks_keys(sender->jwks);
    return rb_verifier_new(webhook, config->random, keys, &sender->verifier, err);
}

static int init_own(struct rb_senders *senders, const struct rb_senders_config *config, struct rb_error *err)
{
    senders->mine = (struct rb_provider_webhook){
        .scheme = RB_SCHEME_PLAIN,
        .body = RB_BODY_PLAIN,
        .secret = rb_xstrdup(config->secret),
        .signature_secret = config->signature_secret[0] != '\0' ? rb_xstrdup(config->signature_secret) : NULL,
        .tolerance_ms = OWN_TOLERANCE_MS,
    };
    senders->own.webhook = &senders->mine;
    if (config->secret[0] == '\0')
        return 0;
    return sender_init(&senders->own, config, NULL, err);
}

static int init_list(struct rb_senders *senders, const struct rb_senders_config *config, const struct rb_senders *old,
                     struct rb_error *err)
{
    const struct rb_providers *providers = senders->providers;
    struct rb_error trouble = {0};

    senders->list = rb_xalloc(RB_MAX(providers->count, 1) * sizeof(*senders->list));
    for (size_t i = 0; i < providers->count; i++) {
        const struct rb_provider *provider = &providers->list[i];
        struct rb_sender *sender = &senders->list[senders->count];

        if (provider->webhook.scheme == RB_SCHEME_NONE)
            continue;
        *sender = (struct rb_sender){.provider = provider, .webhook = &provider->webhook};
        senders->count++;
        if (sender_init(sender, config, old, &trouble) < 0)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "the webhook of the provider '%s': %s", provider->name,
                           trouble.message);
    }
    return 0;
}

int rb_senders_new(const struct rb_senders_config *config, const struct rb_senders *old,
                   struct rb_senders **ret_senders, struct rb_error *err)
{
    struct rb_senders *senders = rb_xalloc(sizeof(*senders));

    senders->references = 1;
    senders->providers = rb_providers_ref(config->providers);
    if (init_own(senders, config, err) < 0 || init_list(senders, config, old, err) < 0) {
        rb_senders_unref(senders);
        return -1;
    }
    *ret_senders = senders;
    return 0;
}

struct rb_senders *rb_senders_ref(struct rb_senders *senders)
{
    senders->references++;
    return senders;
}

void rb_senders_unref(struct rb_senders *senders)
{
    if (senders == NULL || --senders->references > 0)
        return;
    for (size_t i = 0; i < senders->count; i++) {
        rb_verifier_free(senders->list[i].verifier);
        rb_jwks_unref(senders->list[i].jwks);
    }
    rb_verifier_free(senders->own.verifier);
    free_secret(senders->mine.secret);
    free_secret(senders->mine.signature_secret);
    rb_providers_unref(senders->providers);
    free(senders->list);
    free(senders);
}

const struct rb_sender *rb_senders_find(const struct rb_senders *senders, const char *name)
{
    for (size_t i = 0; i < senders->count; i++)
        if (strcmp(senders->list[i].provider->name, name) == 0)
            return &senders->list[i];
    return NULL;
}
