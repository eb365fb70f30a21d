/*
 * ed25519.c — Ed25519 signatures and sets of public keys.
 *
 * Way:  receive -> verify -> [ed25519]
 */
#include "producer/ed25519.h"

#include <openssl/evp.h>

#include "common/digits.h"
#include "common/json.h"

static bool verify_one(const uint8_t *key, const void *message, size_t bytes, const uint8_t *signature)
{
    EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, RB_ED25519_KEY_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = public != NULL && context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1 &&
                EVP_DigestVerify(context, signature, RB_ED25519_SIGNATURE_BYTES, message, bytes) == 1;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public);
    return good;
}

bool rb_keyset_verify(const struct rb_keyset *keyset, const void *message, size_t bytes,
                      const uint8_t signature[RB_ED25519_SIGNATURE_BYTES])
{
    for (size_t i = 0; i < keyset->count; i++)
        if (verify_one(keyset->keys[i], message, bytes, signature))
            return true;
    return false;
}

bool rb_keyset_add(struct rb_keyset *keyset, const uint8_t key[RB_ED25519_KEY_BYTES])
{
    for (size_t i = 0; i < keyset->count; i++)
        if (memcmp(keyset->keys[i], key, RB_ED25519_KEY_BYTES) == 0)
            return true;
    if (keyset->count == RB_KEYSET_MAX)
        return false;
    memcpy(keyset->keys[keyset->count++], key, RB_ED25519_KEY_BYTES);
    return true;
}

bool rb_keyset_same(const struct rb_keyset *one, const struct rb_keyset *other)
{
    return one->count == other->count && memcmp(one->keys, other->keys, one->count * RB_ED25519_KEY_BYTES) == 0;
}

static bool is_ed25519(const json_t *key)
{
    const char *type = rb_json_text(key, "kty"), *curve = rb_json_text(key, "crv");

    return type != NULL && curve != NULL && strcmp(type, "OKP") == 0 && strcmp(curve, "Ed25519") == 0;
}

/* A key that is broken is passed over, as the standard wants it: it must not take the others with it. */
static int take_key(const json_t *json, struct rb_keyset *keyset, struct rb_error *err)
{
    const char *x = rb_json_text(json, "x");
    uint8_t key[RB_ED25519_KEY_BYTES];

    if (x == NULL || rb_digits_from_base64url(x, strlen(x), key, sizeof(key)) != sizeof(key))
        return 0;
    if (!rb_keyset_add(keyset, key))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "the set has more than %d keys", RB_KEYSET_MAX);
    return 0;
}

int rb_keyset_parse(const char *text, size_t bytes, struct rb_keyset *ret_keyset, struct rb_error *err)
{
    struct rb_keyset keyset = {0};
    RB_AUTO_JSON *json = NULL;
    const json_t *keys;
    const json_t *key;
    size_t index;

    RB_TRY(rb_json_parse(text, bytes, &json, err));
    keys = json_object_get(json, "keys");
    if (!json_is_array(keys))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "this is no set of keys: it has no list 'keys'");
    json_array_foreach(keys, index, key)
    {
        if (is_ed25519(key))
            RB_TRY(take_key(key, &keyset, err));
    }
    if (keyset.count == 0)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "there is no Ed25519 key in the set");
    *ret_keyset = keyset;
    return 0;
}
