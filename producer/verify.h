/*
 * verify.h — is the sender of this request who it says it is?
 *
 * Way:  receive -> [verify] -> publish
 */
#pragma once

#include "common/error.h"

#define RB_SECRETS_MAX       8
#define RB_SECRETS_KEY_BYTES 32

/* The secrets that are valid now. During a rotation there are two: the old one and the new one. */
struct rb_secrets {
    char *list[RB_SECRETS_MAX]; /* owned; wiped when freed */
    size_t count;
    uint8_t key[RB_SECRETS_KEY_BYTES]; /* of this process alone; secrets are compared by their HMAC under it */
};

/*
 * Read a list of secrets, parted by commas or line feeds; spaces around one are no part of it.
 *
 * Takes:  text, borrowed for the call; key, random bytes.
 * Gives:  ret_secrets; rb_secrets_done it.
 * Fails:  BAD_OPTION when there is none, or more than RB_SECRETS_MAX.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_secrets_init(const char *text, const uint8_t key[RB_SECRETS_KEY_BYTES],
                                  struct rb_secrets *ret_secrets, struct rb_error *err);

/*
 * Wipe and free them.
 *
 * Loop:   pure, any thread.
 */
void rb_secrets_done(struct rb_secrets *secrets);

/*
 * Check a shared secret that came in a header. Takes the same time wherever the first difference is, and tells nothing
 * about the length.
 *
 * Takes:  given, borrowed, NULL when the header is absent.
 * Gives:  0 when it is one of the secrets.
 * Fails:  BAD_SIGNATURE. err->message never holds a secret or what was given.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_verify_shared_secret(const char *given, const struct rb_secrets *secrets, struct rb_error *err);
