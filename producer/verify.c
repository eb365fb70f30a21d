/*
 * verify.c — is the sender of this request who it says it is?
 *
 * Way:  receive -> [verify] -> publish
 */
#include "producer/verify.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define DIGEST_BYTES 32

int rb_secrets_init(const char *text, const uint8_t key[RB_SECRETS_KEY_BYTES], struct rb_secrets *ret_secrets,
                    struct rb_error *err)
{
    struct rb_secrets secrets = {0};

    memcpy(secrets.key, key, RB_SECRETS_KEY_BYTES);
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ", \t\r\n");

        size_t length = strcspn(at, ",\r\n");
        size_t used = length;

        while (used > 0 && (at[used - 1] == ' ' || at[used - 1] == '\t'))
            used--;
        if (used > 0 && secrets.count == RB_SECRETS_MAX) {
            rb_secrets_done(&secrets);
            return rb_fail(err, RB_E_BAD_OPTION, 0, "there are more than %d webhook secrets", RB_SECRETS_MAX);
        }
        if (used > 0)
            secrets.list[secrets.count++] = rb_xstrndup(at, used);
        at += length;
    }
    if (secrets.count == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there is no webhook secret");
    *ret_secrets = secrets;
    return 0;
}

void rb_secrets_done(struct rb_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        OPENSSL_cleanse(secrets->list[i], strlen(secrets->list[i]));
        free(secrets->list[i]);
    }
    OPENSSL_cleanse(secrets, sizeof(*secrets));
}

static void digest(const struct rb_secrets *secrets, const char *text, uint8_t ret_digest[DIGEST_BYTES])
{
    unsigned bytes = DIGEST_BYTES;

    if (HMAC(EVP_sha256(), secrets->key, RB_SECRETS_KEY_BYTES, (const unsigned char *)text, strlen(text), ret_digest,
             &bytes) == NULL)
        RB_BUG("OpenSSL has no HMAC-SHA256");
}

int rb_verify_shared_secret(const char *given, const struct rb_secrets *secrets, struct rb_error *err)
{
    uint8_t of_given[DIGEST_BYTES], of_secret[DIGEST_BYTES];
    bool matches = false;

    if (given == NULL)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the request has no shared secret");
    digest(secrets, given, of_given);
    for (size_t i = 0; i < secrets->count; i++) { /* all of them, also after a match */
        digest(secrets, secrets->list[i], of_secret);
        matches |= CRYPTO_memcmp(of_given, of_secret, DIGEST_BYTES) == 0;
    }
    return matches ? 0 : rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the shared secret of the request is not ours");
}
