/*
 * hmac.c — HMAC-SHA256 with a key that stays.
 *
 * Way:  receive -> verify -> [hmac]
 */
#include "producer/hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

struct rb_hmac {
    EVP_MAC_CTX *context; /* owned; has the key, which OpenSSL wipes */
};

struct rb_hmac *rb_hmac_new(const void *key, size_t bytes)
{
    struct rb_hmac *hmac = rb_xalloc(sizeof(*hmac));
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};

    hmac->context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (hmac->context == NULL || EVP_MAC_init(hmac->context, key, bytes, params) != 1)
        RB_BUG("OpenSSL has no HMAC-SHA256");
    return hmac;
}

void rb_hmac_free(struct rb_hmac *hmac)
{
    if (hmac == NULL)
        return;
    EVP_MAC_CTX_free(hmac->context);
    free(hmac);
}

void rb_hmac_sign(struct rb_hmac *hmac, const struct rb_piece *pieces, size_t count, uint8_t ret_digest[RB_HMAC_BYTES])
{
    size_t bytes = 0;
    bool good = EVP_MAC_init(hmac->context, NULL, 0, NULL) == 1; /* begins again with the key that is there */

    for (size_t i = 0; good && i < count; i++)
        good = EVP_MAC_update(hmac->context, pieces[i].bytes, pieces[i].count) == 1;
    if (!good || EVP_MAC_final(hmac->context, ret_digest, &bytes, RB_HMAC_BYTES) != 1 || bytes != RB_HMAC_BYTES)
        RB_BUG("OpenSSL cannot compute HMAC-SHA256");
}

bool rb_hmac_same(const void *one, const void *other, size_t bytes)
{
    return CRYPTO_memcmp(one, other, bytes) == 0;
}
