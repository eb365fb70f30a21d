/*
 * scheme_standard.c — Standard Webhooks 1.0.0, as OpenAI-compatible services, Replicate and everybody behind Svix send it.
 *
 * Way:  receive -> verify -> [scheme_standard] -> notice
 *
 * Signed is "ID.TIME.BODY", with the texts of the headers as they came. webhook-signature is a list of VERSION,BASE64
 * parted by spaces: v1 is HMAC-SHA256, v1a is Ed25519, others are passed over, and one that fits is enough.
 *
 * Senders differ, and so: any white space parts the list; base64 alone is a v1; svix-* headers are taken when there is no
 * webhook-id; a secret without "whsec_" is its text, as OpenAI's library has it, or base64, as the reference libraries do.
 */
#include <openssl/crypto.h>

#include "common/buffer.h"
#include "common/digits.h"
#include "producer/scheme.h"

#define SECRET_MAX_BYTES    1024
#define UNPREFIXED_AT_LEAST 24 /* bytes: shorter ones are rather a password that looks like base64 */

/* The texts of the three headers. */
struct message {
    const char *id;
    const char *time;
    const char *signatures;
};

/* Signatures of one request that could be right. */
struct candidates {
    uint8_t digests[RB_VERIFY_CANDIDATES_MAX][RB_HMAC_BYTES];
    size_t digest_count;
    uint8_t signatures[RB_VERIFY_CANDIDATES_MAX][RB_ED25519_SIGNATURE_BYTES];
    size_t signature_count;
};

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int take_secret(struct rb_verifier *verifier, const char *secret, struct rb_error *err)
{
    uint8_t key[SECRET_MAX_BYTES];
    bool prefixed = begins(secret, "whsec_") || begins(secret, "whpk_") || begins(secret, "whsk_");
    const char *digits = prefixed ? strchr(secret, '_') + 1 : secret;
    int bytes = rb_digits_from_secret(digits, strlen(digits), key, sizeof(key));
    int result = 0;

    if (begins(secret, "whsk_"))
        result = rb_fail(err, RB_E_BAD_OPTION, 0, "expected the public key 'whpk_': 'whsk_' begins the sender's own");
    else if (prefixed && bytes <= 0)
        result = rb_fail(err, RB_E_BAD_OPTION, 0, "expected base64 behind 'whsec_' or 'whpk_'");
    else if (begins(secret, "whpk_") && (bytes != RB_ED25519_KEY_BYTES || !rb_keyset_add(&verifier->public_keys, key)))
        result = rb_fail(err, RB_E_BAD_OPTION, 0, "expected a public key of 32 bytes behind 'whpk_'");
    else if (begins(secret, "whsec_") || (!prefixed && bytes >= UNPREFIXED_AT_LEAST))
        rb_scheme_add_key(verifier, key, (size_t)bytes);
    if (!prefixed)
        rb_scheme_add_key(verifier, secret, strlen(secret));
    OPENSSL_cleanse(key, sizeof(key));
    return result;
}

static int init(struct rb_verifier *verifier, const struct rb_provider_webhook *webhook, struct rb_error *err)
{
    RB_AUTO_SECRETS secrets = {0};

    RB_TRY(rb_secrets_init(webhook->secret, verifier->random, &secrets, err));
    for (size_t i = 0; i < secrets.count; i++)
        RB_TRY(take_secret(verifier, secrets.list[i], err));
    return 0;
}

static int read_headers(const struct rb_verify_request *request, struct message *ret_message, struct rb_error *err)
{
    static const char *const names[][3] = {{"webhook-id", "webhook-timestamp", "webhook-signature"},
                                           {"svix-id", "svix-timestamp", "svix-signature"}};
    size_t count = 0;
    bool is_svix = request->header(request->arg, "webhook-id", &count) == NULL &&
                   request->header(request->arg, "svix-id", &count) != NULL;
    const char *const *name = names[is_svix];

    RB_TRY(rb_scheme_header(request, name[0], &ret_message->id, err));
    RB_TRY(rb_scheme_header(request, name[1], &ret_message->time, err));
    RB_TRY(rb_scheme_header(request, name[2], &ret_message->signatures, err));
    /* With a dot in the id, one signature could stand for two messages. */
    if (!rb_provider_id_valid(ret_message->id) || strchr(ret_message->id, '.') != NULL)
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the header %s is no id of a message", name[0]);
    return 0;
}

static void take_candidate(struct candidates *candidates, const char *text, size_t length)
{
    const char *comma = memchr(text, ',', length);
    size_t version = comma != NULL ? (size_t)(comma - text) : 0;
    const char *digits = comma != NULL ? comma + 1 : text;
    size_t count = length - (size_t)(digits - text);

    if (comma == NULL || (version == 2 && memcmp(text, "v1", 2) == 0)) {
        if (rb_digits_from_base64(digits, count, candidates->digests[candidates->digest_count], RB_HMAC_BYTES) ==
            RB_HMAC_BYTES)
            candidates->digest_count++;
    } else if (version == 3 && memcmp(text, "v1a", 3) == 0) {
        if (rb_digits_from_base64(digits, count, candidates->signatures[candidates->signature_count],
                                  RB_ED25519_SIGNATURE_BYTES) == RB_ED25519_SIGNATURE_BYTES)
            candidates->signature_count++;
    }
}

static void split(const char *list, struct candidates *candidates)
{
    static const char space[] = " \t\r\n\v\f";

    for (list += strspn(list, space); *list != '\0'; list += strspn(list, space)) {
        size_t length = strcspn(list, space);

        if (candidates->digest_count + candidates->signature_count == RB_VERIFY_CANDIDATES_MAX)
            return;
        take_candidate(candidates, list, length);
        list += length;
    }
}

static bool match_public(const struct rb_verifier *verifier, const struct candidates *candidates,
                         const struct rb_piece *pieces, size_t count)
{
    RB_AUTO_BUFFER message = {0};

    if (candidates->signature_count == 0 || verifier->public_keys.count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        rb_buffer_add(&message, pieces[i].bytes, pieces[i].count);
    for (size_t i = 0; i < candidates->signature_count; i++)
        if (rb_keyset_verify(&verifier->public_keys, message.bytes, message.used, candidates->signatures[i]))
            return true;
    return false;
}

static int verify(struct rb_verifier *verifier, const struct rb_verify_request *request,
                  struct rb_verified *ret_verified, struct rb_error *err)
{
    struct message message = {0};
    struct candidates candidates = {0};

    RB_TRY(read_headers(request, &message, err));
    RB_TRY(rb_scheme_check_time(verifier, request, message.time, strlen(message.time), ret_verified, err));
    split(message.signatures, &candidates);

    const struct rb_piece pieces[] = {{message.id, strlen(message.id)},
                                      {".", 1},
                                      {message.time, strlen(message.time)},
                                      {".", 1},
                                      {request->body, request->body_bytes}};

    if (!rb_scheme_match(verifier, pieces, RB_COUNT(pieces), candidates.digests, candidates.digest_count) &&
        !match_public(verifier, &candidates, pieces, RB_COUNT(pieces)))
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "none of the signatures is one of our secrets'");
    ret_verified->delivery_id = message.id;
    ret_verified->id_is_signed = true;
    return 0;
}

const struct rb_scheme_ops rb_scheme_standard = {init, verify};
