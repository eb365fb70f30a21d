/*
 * s3_credentials.h — where the keys for S3 come from, and that they are fresh.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 *
 * Sources are looked at in the order of credentials.c's table, as the AWS SDKs do; the first one that is configured is
 * used. Keys that expire are fetched anew some time before. Nothing of a secret is ever logged.
 */
#pragma once

#include "common/http.h"
#include "consumer/s3_keys.h"

struct rb_s3_credentials;

/* All borrowed for as long as the credentials live; "" where nothing is set. */
struct rb_s3_credentials_config {
    const char *source; /* "auto" or the name of one source */
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    const char *file; /* shared credentials file; "": ~/.aws/credentials */
    const char *profile;
    const char *web_identity_token_file;
    const char *role_arn;
    const char *role_session_name;
    const char *sts_endpoint; /* "": AWS in the region */
    const char *region;
    const char *container_url;  /* a whole one ... */
    const char *container_path; /* ... or one at the usual address */
    const char *container_token;
    const char *container_token_file;
    const char *instance_endpoint;
};

/* Somebody who waits for keys. Part of its owner. */
struct rb_s3_waiter {
    rb_loop_fn on_change;
    void *arg; /* borrowed */
    struct rb_s3_waiter *next;
    bool waiting;
};

/*
 * Begin to look for keys.
 *
 * Takes:  http, borrowed for as long as the credentials live; config, borrowed likewise.
 * Gives:  ret_credentials, owned by the caller; rb_s3_credentials_free it.
 * Fails:  BAD_OPTION when the source named is none, or is not configured.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_s3_credentials_new(struct rb_loop *loop, struct rb_http *http,
                                        const struct rb_s3_credentials_config *config,
                                        struct rb_s3_credentials **ret_credentials, struct rb_error *err);

/*
 * Free them. Nobody may wait for them any more. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_s3_credentials_free(struct rb_s3_credentials *credentials);

/*
 * Get keys.
 *
 * Takes:  waiter, whose on_change is called, once and not before this returns, after WAIT, when there is news.
 * Gives:  DONE with ret_keys, borrowed until the end of the turn.
 * Fails:  STORE_DENIED when the source has none, STORE_AWAY when it cannot be reached. Asked again, it is tried again,
 *         but not more often than every few seconds.
 * Loop:   loop thread; may read a small file before it returns.
 */
enum rb_poll rb_s3_credentials_get(struct rb_s3_credentials *credentials, struct rb_s3_waiter *waiter,
                                   const struct rb_s3_keys **ret_keys, struct rb_error *err);

/*
 * Do not wait any more. Fine for one that does not.
 *
 * Loop:   loop thread.
 */
void rb_s3_credentials_forget(struct rb_s3_credentials *credentials, struct rb_s3_waiter *waiter);

/*
 * The store says that these keys have expired: fetch others, unless that was done already.
 *
 * Gives:  whether it is worth while to get keys again; false for those that stand in the options.
 * Loop:   loop thread.
 */
bool rb_s3_credentials_renew(struct rb_s3_credentials *credentials, const char *access_key);
