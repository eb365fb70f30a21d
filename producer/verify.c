/*
 * verify.c — is the sender of this request who it says it is?
 *
 * Way:  receive -> [verify] -> notice -> lookup -> publish
 */
#include "producer/verify.h"

#include <openssl/crypto.h>

#include "producer/scheme.h"

#define TIME_MAX_DIGITS 12

static const struct rb_scheme_ops *const schemes[] = {
    [RB_SCHEME_PLAIN] = &rb_scheme_plain,
    [RB_SCHEME_STANDARD] = &rb_scheme_standard,
    [RB_SCHEME_OPENROUTER] = &rb_scheme_openrouter,
    [RB_SCHEME_FAL] = &rb_scheme_fal,
};

int rb_verifier_new(const struct rb_provider_webhook *webhook, const uint8_t random[RB_SECRETS_KEY_BYTES],
                    const struct rb_keyset *keyset, struct rb_verifier **ret_verifier, struct rb_error *err)
{
    struct rb_verifier *verifier = rb_xalloc(sizeof(*verifier));

    RB_ASSERT(webhook->scheme != RB_SCHEME_NONE);
    verifier->ops = schemes[webhook->scheme];
    verifier->tolerance_s = webhook->tolerance_ms / 1000;
    verifier->keyset = keyset;
    verifier->random = random;
    if (verifier->ops->init(verifier, webhook, err) < 0) {
        rb_verifier_free(verifier);
        return -1;
    }
    verifier->random = NULL;
    *ret_verifier = verifier;
    return 0;
}

void rb_verifier_free(struct rb_verifier *verifier)
{
    if (verifier == NULL)
        return;
    for (size_t i = 0; i < verifier->key_count; i++)
        rb_hmac_free(verifier->keys[i]);
    rb_secrets_done(&verifier->shared);
    free(verifier);
}

int rb_verify(struct rb_verifier *verifier, const struct rb_verify_request *request, struct rb_verified *ret_verified,
              struct rb_error *err)
{
    *ret_verified = (struct rb_verified){.signed_at_ms = RB_NO_LONG};
    return verifier->ops->verify(verifier, request, ret_verified, err);
}

int rb_verify_shared_secret(const char *given, const struct rb_secrets *secrets, struct rb_error *err)
{
    if (given == NULL)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the request has no shared secret");
    return rb_secrets_have(secrets, given)
               ? 0
               : rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the shared secret of the request is not ours");
}

int rb_scheme_header(const struct rb_verify_request *request, const char *name, const char **ret_value,
                     struct rb_error *err)
{
    size_t count = 0;
    const char *value = request->header(request->arg, name, &count);

    if (value == NULL || value[0] == '\0')
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the request has no header %s", name);
    if (count > 1)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the request has the header %s more than once", name);
    if (strnlen(value, RB_VERIFY_HEADER_BYTES + 1) > RB_VERIFY_HEADER_BYTES)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the header %s is over %d bytes", name, RB_VERIFY_HEADER_BYTES);
    *ret_value = value;
    return 0;
}

const char *rb_scheme_unsigned_id(const struct rb_verify_request *request, const char *name)
{
    size_t count = 0;
    const char *value = request->header(request->arg, name, &count);

    return count == 1 && rb_provider_id_valid(value) ? value : NULL;
}

int rb_scheme_check_time(const struct rb_verifier *verifier, const struct rb_verify_request *request, const char *text,
                         size_t length, struct rb_verified *ret_verified, struct rb_error *err)
{
    int64_t time = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i == TIME_MAX_DIGITS)
            return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the signature's time is not in seconds since 1970");
        time = time * 10 + text[i] - '0';
    }
    if (length == 0)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the signature has no time");
    if (request->now_unix_s - time > verifier->tolerance_s)
        return rb_fail(err, RB_E_STALE_SIGNATURE, 0, "the signature is %lld s old",
                       (long long)(request->now_unix_s - time));
    if (time - request->now_unix_s > verifier->tolerance_s)
        return rb_fail(err, RB_E_STALE_SIGNATURE, 0, "the signature is from %lld s in the future",
                       (long long)(time - request->now_unix_s));
    ret_verified->signed_at_ms = time * 1000;
    return 0;
}

void rb_scheme_add_key(struct rb_verifier *verifier, const void *key, size_t bytes)
{
    RB_ASSERT(verifier->key_count < RB_SCHEME_KEYS_MAX);
    verifier->keys[verifier->key_count++] = rb_hmac_new(key, bytes);
}

bool rb_scheme_match(struct rb_verifier *verifier, const struct rb_piece *pieces, size_t piece_count,
                     uint8_t (*digests)[RB_HMAC_BYTES], size_t count)
{
    uint8_t wanted[RB_HMAC_BYTES];
    bool match = false;

    for (size_t i = 0; i < verifier->key_count; i++) { /* all of them, also after a match */
        rb_hmac_sign(verifier->keys[i], pieces, piece_count, wanted);
        for (size_t j = 0; j < count; j++)
            match |= rb_hmac_same(wanted, digests[j], RB_HMAC_BYTES);
    }
    OPENSSL_cleanse(wanted, sizeof(wanted));
    return match;
}
