/*
 * ed25519.h — Ed25519 signatures, and sets of public keys as JSON Web Keys have them. OpenSSL does the work.
 *
 * Way:  receive -> verify -> [ed25519]
 */
#pragma once

#include "common/error.h"

#define RB_ED25519_KEY_BYTES       32
#define RB_ED25519_SIGNATURE_BYTES 64
#define RB_KEYSET_MAX              8

/* The public keys that are valid now. */
struct rb_keyset {
    uint8_t keys[RB_KEYSET_MAX][RB_ED25519_KEY_BYTES];
    size_t count;
};

/*
 * Has one of the keys signed this message?
 *
 * Takes:  message of bytes bytes, borrowed for the call.
 * Loop:   pure, any thread.
 */
bool rb_keyset_verify(const struct rb_keyset *keyset, const void *message, size_t bytes,
                      const uint8_t signature[RB_ED25519_SIGNATURE_BYTES]);

/*
 * Add a key. One that is there already is not added again.
 *
 * Gives:  false when there is no room.
 * Loop:   pure, any thread.
 */
bool rb_keyset_add(struct rb_keyset *keyset, const uint8_t key[RB_ED25519_KEY_BYTES]);

/*
 * Are these the same keys, in the same order?
 *
 * Loop:   pure, any thread.
 */
bool rb_keyset_same(const struct rb_keyset *one, const struct rb_keyset *other);

/*
 * Read a JSON Web Key Set (RFC 7517): keys of type OKP, curve Ed25519 (RFC 8037) are taken, others and
 * broken ones passed over.
 *
 * Takes:  text, borrowed for the call.
 * Gives:  ret_keyset with 1 to RB_KEYSET_MAX keys.
 * Fails:  BAD_REQUEST when it is no such set, there is no such key or there are too many.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_keyset_parse(const char *text, size_t bytes, struct rb_keyset *ret_keyset, struct rb_error *err);
