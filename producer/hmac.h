/*
 * hmac.h — HMAC-SHA256 with a key that stays, and the texts in which digests come. OpenSSL does the work.
 *
 * Way:  receive -> verify -> [hmac]
 */
#pragma once

#include "common/base.h"

#define RB_HMAC_BYTES 32

struct rb_hmac;

/* A piece of what is signed, borrowed. */
struct rb_piece {
    const void *bytes;
    size_t count;
};

/*
 * Take a key. Setting one up costs more than a short message, so keys are kept ready.
 *
 * Takes:  key, copied; it is wiped when the struct is freed.
 * Gives:  owned by the caller; rb_hmac_free it.
 * Loop:   pure, any thread.
 */
struct rb_hmac *rb_hmac_new(const void *key, size_t bytes);

/*
 * Wipe and free. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_hmac_free(struct rb_hmac *hmac);

/*
 * Sign the pieces, one behind the other.
 *
 * Takes:  pieces, borrowed for the call.
 * Gives:  ret_digest.
 * Loop:   pure; one thread at a time for one hmac.
 */
void rb_hmac_sign(struct rb_hmac *hmac, const struct rb_piece *pieces, size_t count, uint8_t ret_digest[RB_HMAC_BYTES]);

/*
 * Are these bytes the same? Takes the same time wherever the first difference is.
 *
 * Loop:   pure, any thread.
 */
bool rb_hmac_same(const void *one, const void *other, size_t bytes);
