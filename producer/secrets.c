/*
 * secrets.c — lists of secrets.
 *
 * Way:  receive -> verify -> [secrets]
 */
#include "producer/secrets.h"

#include <openssl/crypto.h>

static void blind(const struct rb_secrets *secrets, const char *text, uint8_t ret_digest[RB_HMAC_BYTES])
{
    rb_hmac_sign(secrets->blind, &(struct rb_piece){text, strlen(text)}, 1, ret_digest);
}

static void add(struct rb_secrets *secrets, const char *text, size_t bytes)
{
    char *secret = rb_xstrndup(text, bytes);

    secrets->list[secrets->count] = secret;
    blind(secrets, secret, secrets->blinded[secrets->count++]);
}

int rb_secrets_init(const char *text, const uint8_t key[RB_SECRETS_KEY_BYTES], struct rb_secrets *ret_secrets,
                    struct rb_error *err)
{
    RB_AUTO_SECRETS secrets = {.blind = rb_hmac_new(key, RB_SECRETS_KEY_BYTES)};

    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ", \t\r\n");

        size_t length = strcspn(at, ",\r\n");
        size_t used = length;

        while (used > 0 && (at[used - 1] == ' ' || at[used - 1] == '\t'))
            used--;
        if (used > 0 && secrets.count == RB_SECRETS_MAX)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "there are more than %d secrets in the list", RB_SECRETS_MAX);
        if (used > 0)
            add(&secrets, at, used);
        at += length;
    }
    if (secrets.count == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there is no secret in the list");
    *ret_secrets = secrets;
    secrets = (struct rb_secrets){0};
    return 0;
}

void rb_secrets_done(struct rb_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        OPENSSL_cleanse(secrets->list[i], strlen(secrets->list[i]));
        free(secrets->list[i]);
    }
    rb_hmac_free(secrets->blind);
    *secrets = (struct rb_secrets){0};
}

bool rb_secrets_have(const struct rb_secrets *secrets, const char *given)
{
    uint8_t digest[RB_HMAC_BYTES];
    bool match = false;

    blind(secrets, given, digest);
    for (size_t i = 0; i < secrets->count; i++) /* all of them, also after a match */
        match |= rb_hmac_same(digest, secrets->blinded[i], RB_HMAC_BYTES);
    return match;
}
