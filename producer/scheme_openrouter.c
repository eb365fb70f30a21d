/*
 * scheme_openrouter.c — X-OpenRouter-Signature: t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256 of "SECONDS,BODY".
 *
 * Way:  receive -> verify -> [scheme_openrouter] -> notice
 */
#include "common/digits.h"
#include "producer/scheme.h"

struct parts {
    const char *time; /* not ended; NULL while none was seen */
    size_t time_bytes;
    uint8_t digests[RB_VERIFY_CANDIDATES_MAX][RB_HMAC_BYTES];
    size_t count;
};

static int init(struct rb_verifier *verifier, const struct rb_provider_webhook *webhook, struct rb_error *err)
{
    RB_AUTO_SECRETS secrets = {0};

    RB_TRY(rb_secrets_init(webhook->secret, verifier->random, &secrets, err));
    for (size_t i = 0; i < secrets.count; i++)
        rb_scheme_add_key(verifier, secrets.list[i], strlen(secrets.list[i]));
    return 0;
}

/* Names that are not known are passed over; v1 may come again, t may not. */
static int take_part(struct parts *parts, const char *text, size_t length, struct rb_error *err)
{
    if (length >= 2 && memcmp(text, "t=", 2) == 0) {
        if (parts->time != NULL)
            return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "the signature has two times");
        parts->time = text + 2;
        parts->time_bytes = length - 2;
    } else if (length >= 3 && memcmp(text, "v1=", 3) == 0 && parts->count < RB_VERIFY_CANDIDATES_MAX) {
        if (rb_digits_from_hex(text + 3, length - 3, parts->digests[parts->count], RB_HMAC_BYTES) == RB_HMAC_BYTES)
            parts->count++;
    }
    return 0;
}

static int verify(struct rb_verifier *verifier, const struct rb_verify_request *request,
                  struct rb_verified *ret_verified, struct rb_error *err)
{
    struct parts parts = {0};
    const char *text = NULL;

    RB_TRY(rb_scheme_header(request, "x-openrouter-signature", &text, err));
    for (text += strspn(text, ", "); *text != '\0'; text += strspn(text, ", ")) {
        size_t length = strcspn(text, ", ");

        RB_TRY(take_part(&parts, text, length, err));
        text += length;
    }
    RB_TRY(rb_scheme_check_time(verifier, request, parts.time, parts.time_bytes, ret_verified, err));

    const struct rb_piece pieces[] = {{parts.time, parts.time_bytes}, {",", 1}, {request->body, request->body_bytes}};

    if (!rb_scheme_match(verifier, pieces, RB_COUNT(pieces), parts.digests, parts.count))
        return rb_fail(err, RB_E_BAD_SIGNATURE, 0, "none of the signatures is one of our secrets'");
    ret_verified->delivery_id = rb_scheme_unsigned_id(request, "x-openrouter-idempotency-key");
    return 0;
}

const struct rb_scheme_ops rb_scheme_openrouter = {init, verify};
