/*
 * secrets.h — lists of secrets: during a rotation there are two, the old one and the new one.
 *
 * Way:  receive -> verify -> [secrets]
 */
#pragma once

#include "common/error.h"
#include "producer/hmac.h"

#define RB_SECRETS_MAX       8
#define RB_SECRETS_KEY_BYTES 32

struct rb_secrets {
    char *list[RB_SECRETS_MAX]; /* owned; wiped when freed */
    size_t count;
    struct rb_hmac *blind; /* owned; secrets are compared by what they look like under a key of this process alone */
    uint8_t blinded[RB_SECRETS_MAX][RB_HMAC_BYTES];
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
 * Wipe and free them; fine for an empty list.
 *
 * Loop:   pure, any thread.
 */
void rb_secrets_done(struct rb_secrets *secrets);

/*
 * Is this one of the secrets? Takes the same time wherever the first difference is, and tells nothing about the length.
 *
 * Takes:  given, borrowed for the call.
 * Loop:   pure; one thread at a time for one list.
 */
bool rb_secrets_have(const struct rb_secrets *secrets, const char *given);

#define RB_AUTO_SECRETS __attribute__((cleanup(rb_secrets_done))) struct rb_secrets
