/*
 * s3_keys.h — a set of keys for S3, and how each of their sources writes it.
 *
 * Way:  store_s3 -> s3_credentials -> [s3_keys]
 */
#pragma once

#include "common/error.h"

#define RB_S3_NEVER INT64_MAX

struct rb_s3_keys {
    char *access_key; /* owned, as all below; NULL when there are none */
    char *secret_key;
    char *session_token;     /* NULL for keys that last */
    int64_t expires_unix_ms; /* RB_S3_NEVER when nobody said */
};

/*
 * Wipe and free what is in it.
 *
 * Loop:   pure, any thread.
 */
void rb_s3_keys_done(struct rb_s3_keys *keys);

/*
 * Take keys over as they are.
 *
 * Takes:  all borrowed; session_token may be NULL or "".
 * Gives:  ret_keys; rb_s3_keys_done it.
 * Loop:   pure, any thread.
 */
void rb_s3_keys_set(struct rb_s3_keys *ret_keys, const char *access_key, const char *secret_key,
                    const char *session_token);

/*
 * Find a profile in the text of a shared credentials file.
 *
 * Gives:  as rb_s3_keys_set.
 * Fails:  STORE_DENIED when it is not there or has no keys; the message never holds what is in the file.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_s3_keys_read_profile(const char *text, const char *profile, struct rb_s3_keys *ret_keys,
                                          struct rb_error *err);

/*
 * Read what a container's or an instance's address answers: a JSON object.
 *
 * Gives:  as rb_s3_keys_set.
 * Fails:  STORE_DENIED; the message never holds what is in the answer.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_s3_keys_read_json(const char *bytes, size_t count, struct rb_s3_keys *ret_keys,
                                       struct rb_error *err);

/*
 * Read what STS answers to AssumeRoleWithWebIdentity: XML, keys or an error.
 *
 * Gives:  as rb_s3_keys_set.
 * Fails:  STORE_DENIED; the message holds at most the code and text of STS's own error.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_s3_keys_read_sts(const char *bytes, size_t count, struct rb_s3_keys *ret_keys,
                                      struct rb_error *err);

#define RB_AUTO_S3_KEYS __attribute__((cleanup(rb_s3_keys_done))) struct rb_s3_keys
