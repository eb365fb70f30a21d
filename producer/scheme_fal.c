/*
 * scheme_fal.c — X-Fal-Webhook-Signature: an Ed25519 signature, in hexadecimal digits, of four lines: the request's id, the
 * user's id, the time, and the hexadecimal SHA-256 of the body. The public keys come from a JSON Web Key Set.
 *
 * Way:  receive -> verify -> [scheme_fal] -> notice
 */
#include <openssl/evp.h>

#include "common/buffer.h"
#include "common/digits.h"
#include "producer/scheme.h"

static int init(struct rb_verifier *verifier, const struct rb_provider_webhook *webhook, struct rb_error *err)
{
    (void)webhook;
    (void)err;
    RB_ASSERT(verifier->keyset != NULL);
    return 0;
}

/* What is signed is lines: an id with a line feed in it could not have come in a header, and must not be believed. */
static int read_id(const struct rb_verify_request *request, const char *name, const char **ret_id, struct rb_error *err)
{
    RB_TRY(rb_scheme_header(request, name, ret_id, err));
    if (!rb_provider_id_valid(*ret_id))
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the header %s is no id", name);
    return 0;
}

static void hash_body(const struct rb_verify_request *request, char *ret_text)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (EVP_Digest(request->body, request->body_bytes, digest, &bytes, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    rb_digits_hex(digest, bytes, ret_text);
}

static int verify(struct rb_verifier *verifier, const struct rb_verify_request *request,
                  struct rb_verified *ret_verified, struct rb_error *err)
{
    const char *id = NULL, *user = NULL, *time = NULL, *text = NULL;
    uint8_t signature[RB_ED25519_SIGNATURE_BYTES];
    char hash[2 * EVP_MAX_MD_SIZE + 1];
    RB_AUTO_BUFFER message = {0};

    RB_TRY(read_id(request, "x-fal-webhook-request-id", &id, err));
    RB_TRY(read_id(request, "x-fal-webhook-user-id", &user, err));
    RB_TRY(rb_scheme_header(request, "x-fal-webhook-timestamp", &time, err));
    RB_TRY(rb_scheme_header(request, "x-fal-webhook-signature", &text, err));
    RB_TRY(rb_scheme_check_time(verifier, request, time, strlen(time), ret_verified, err));
    if (rb_digits_from_hex(text, strlen(text), signature, sizeof(signature)) != sizeof(signature))
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the header x-fal-webhook-signature is no hexadecimal signature");
    hash_body(request, hash);
    rb_buffer_print(&message, "%s\n%s\n%s\n%s", id, user, time, hash);
    if (verifier->keyset->count == 0)
        return rb_fail(err, RB_E_KEYS_AWAY, 0, "the public keys of the sender are not known yet");
    if (!rb_keyset_verify(verifier->keyset, message.bytes, message.used, signature))
        return rb_fail(err, RB_E_UNKNOWN_KEY, 0, "the signature is not one of the sender's known keys'");
    ret_verified->delivery_id = id;
    ret_verified->id_is_signed = true;
    return 0;
}

const struct rb_scheme_ops rb_scheme_fal = {init, verify};
