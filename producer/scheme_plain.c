/*
 * scheme_plain.c — a shared secret in x-webhook-secret; when a signature secret is configured, x-webhook-signature too:
 * the hexadecimal HMAC-SHA256 of the body, with or without "sha256=" before it.
 *
 * Way:  receive -> verify -> [scheme_plain] -> notice
 */
#include "common/digits.h"
#include "producer/scheme.h"

static int init(struct rb_verifier *verifier, const struct rb_provider_webhook *webhook, struct rb_error *err)
{
    RB_AUTO_SECRETS signing = {0};

    RB_TRY(rb_secrets_init(webhook->secret, verifier->random, &verifier->shared, err));
    if (webhook->signature_secret == NULL)
        return 0;
    RB_TRY(rb_secrets_init(webhook->signature_secret, verifier->random, &signing, err));
    for (size_t i = 0; i < signing.count; i++)
        rb_scheme_add_key(verifier, signing.list[i], strlen(signing.list[i]));
    return 0;
}

static int check_signature(struct rb_verifier *verifier, const struct rb_verify_request *request, struct rb_error *err)
{
    const struct rb_piece body = {request->body, request->body_bytes};
    const char *text = NULL;
    uint8_t digest[1][RB_HMAC_BYTES];

    if (verifier->key_count == 0)
        return 0;
    RB_TRY(rb_scheme_header(request, "x-webhook-signature", &text, err));
    if (strncmp(text, "sha256=", 7) == 0)
        text += 7;
    if (rb_digits_from_hex(text, strlen(text), digest[0], RB_HMAC_BYTES) != RB_HMAC_BYTES)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the header x-webhook-signature is no hexadecimal HMAC-SHA256");
    if (!rb_scheme_match(verifier, &body, 1, digest, 1))
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the signature is not one of our secrets'");
    return 0;
}

static int verify(struct rb_verifier *verifier, const struct rb_verify_request *request,
                  struct rb_verified *ret_verified, struct rb_error *err)
{
    const char *secret = NULL;

    RB_TRY(rb_scheme_header(request, "x-webhook-secret", &secret, err));
    RB_TRY(rb_verify_shared_secret(secret, &verifier->shared, err));
    RB_TRY(check_signature(verifier, request, err));
    ret_verified->delivery_id = rb_scheme_unsigned_id(request, "webhook-id");
    return 0;
}

const struct rb_scheme_ops rb_scheme_plain = {init, verify};
