/*
 * scheme.h — what a file scheme_NAME.c has to offer, and what it may use. Nobody else includes this.
 *
 * Way:  receive -> verify -> [scheme] -> notice
 */
#pragma once

#include "producer/hmac.h"
#include "producer/verify.h"

#define RB_SCHEME_KEYS_MAX (2 * RB_SECRETS_MAX)

struct rb_scheme_ops {
    /* Take the secrets of a webhook. Fails with BAD_OPTION, naming no secret. */
    int (*init)(struct rb_verifier *verifier, const struct rb_provider_webhook *webhook, struct rb_error *err);
    /* As rb_verify. */
    int (*verify)(struct rb_verifier *verifier, const struct rb_verify_request *request,
                  struct rb_verified *ret_verified, struct rb_error *err);
};

struct rb_verifier {
    const struct rb_scheme_ops *ops;
    int64_t tolerance_s;
    struct rb_hmac *keys[RB_SCHEME_KEYS_MAX]; /* owned; that sign */
    size_t key_count;
    struct rb_keyset public_keys;   /* that verify */
    const struct rb_keyset *keyset; /* borrowed; that verify and come from elsewhere */
    struct rb_secrets shared;       /* plain: that are compared as they are */
    const uint8_t *random;          /* borrowed for init: for lists of secrets */
};

extern const struct rb_scheme_ops rb_scheme_plain;
extern const struct rb_scheme_ops rb_scheme_standard;
extern const struct rb_scheme_ops rb_scheme_openrouter;
extern const struct rb_scheme_ops rb_scheme_fal;

/*
 * A header that must be there exactly once, and be neither empty nor longer than RB_VERIFY_HEADER_BYTES.
 *
 * Gives:  ret_value, borrowed from request.
 * Fails:  BAD_SIGNATURE, naming the header.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_scheme_header(const struct rb_verify_request *request, const char *name, const char **ret_value,
                                   struct rb_error *err);

/*
 * The sender's id of a delivery, when it is not part of what is signed and may be missing.
 *
 * Gives:  borrowed from request; NULL when there is none, more than one, or it is too long or no plain text.
 * Loop:   pure, any thread.
 */
const char *rb_scheme_unsigned_id(const struct rb_verify_request *request, const char *name);

/*
 * Is this the time of a signature, in seconds since 1970, and near enough to now?
 *
 * Takes:  text of length bytes: digits and nothing else.
 * Gives:  ret_verified->signed_at_ms.
 * Fails:  BAD_SIGNATURE when it is no time, STALE_SIGNATURE when it is too far away.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_scheme_check_time(const struct rb_verifier *verifier, const struct rb_verify_request *request,
                                       const char *text, size_t length, struct rb_verified *ret_verified,
                                       struct rb_error *err);

/*
 * Add a key that signs.
 *
 * Takes:  key, copied.
 * Loop:   pure, any thread.
 */
void rb_scheme_add_key(struct rb_verifier *verifier, const void *key, size_t bytes);

/*
 * Is one of the digests what one of the keys makes of these pieces? All keys and digests are looked at.
 *
 * Takes:  digests, count of them.
 * Loop:   pure, any thread.
 */
bool rb_scheme_match(struct rb_verifier *verifier, const struct rb_piece *pieces, size_t piece_count,
                     uint8_t (*digests)[RB_HMAC_BYTES], size_t count);
