/*
 * verify.h — is the sender of this request who it says it is?
 *
 * Way:  receive -> [verify] -> notice -> lookup -> publish
 *
 * One door for all schemes; each scheme is a file scheme_NAME.c and a row of a table. All of it is pure: headers come
 * through a function, the time and the secrets as arguments.
 */
#pragma once

#include "common/avro.h"
#include "common/providers.h"
#include "producer/ed25519.h"
#include "producer/secrets.h"

#define RB_VERIFY_HEADER_BYTES   4096 /* no header that has to do with a signature is longer */
#define RB_VERIFY_CANDIDATES_MAX 8    /* signatures of one request that are looked at */

struct rb_verifier;

/*
 * Finds a header of the request.
 *
 * Gives:  its first value, borrowed, NULL when it is absent; ret_count, how often it came.
 */
typedef const char *(*rb_verify_header_fn)(const void *arg, const char *name, size_t *ret_count);

/* What has come in. All of it borrowed. */
struct rb_verify_request {
    const char *body;
    size_t body_bytes;
    rb_verify_header_fn header;
    const void *arg;
    int64_t now_unix_s;
};

/* What is known about a delivery whose sender is verified. */
struct rb_verified {
    const char *delivery_id; /* the sender's own id, the same when it delivers again; borrowed; NULL when it has none */
    bool id_is_signed;       /* the signature covers it: it alone tells whether two deliveries are one */
    int64_t signed_at_ms;    /* since 1970, by the sender's clock; RB_NO_LONG when its scheme has no time */
};

/*
 * Make ready to check what one webhook receives.
 *
 * Takes:  webhook, with secrets, borrowed for the call; random, this process' own, under which shared secrets are
 *         compared; keyset, borrowed for as long as the verifier lives, of scheme fal, else NULL.
 * Gives:  ret_verifier, owned by the caller; rb_verifier_free it.
 * Fails:  BAD_OPTION when a secret is none; the message does not hold it.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_verifier_new(const struct rb_provider_webhook *webhook, const uint8_t random[RB_SECRETS_KEY_BYTES],
                                  const struct rb_keyset *keyset, struct rb_verifier **ret_verifier,
                                  struct rb_error *err);

/*
 * Wipe and free. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_verifier_free(struct rb_verifier *verifier);

/*
 * Check one request.
 *
 * Takes:  request, borrowed for the call.
 * Gives:  0 when one of the valid secrets has signed exactly this body, and lately; ret_verified, borrowed from request.
 * Fails:  BAD_SIGNATURE, STALE_SIGNATURE. err->message never holds a secret or a signature.
 * Loop:   pure; one thread at a time for one verifier.
 */
RB_MUST_CHECK int rb_verify(struct rb_verifier *verifier, const struct rb_verify_request *request,
                            struct rb_verified *ret_verified, struct rb_error *err);

/*
 * Check a shared secret that came in a header.
 *
 * Takes:  given, borrowed, NULL when the header is absent.
 * Gives:  0 when it is one of the secrets.
 * Fails:  BAD_SIGNATURE. err->message never holds a secret or what was given.
 * Loop:   pure; one thread at a time for one list of secrets.
 */
RB_MUST_CHECK int rb_verify_shared_secret(const char *given, const struct rb_secrets *secrets, struct rb_error *err);
