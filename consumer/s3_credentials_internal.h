/*
 * s3_credentials_internal.h — what the sources of keys for S3 share: the table's shape, and how a fetch ends.
 *
 * Way:  store_s3 -> s3_call -> [s3_credentials]
 */
#pragma once

#include "common/request.h"
#include "consumer/s3_credentials.h"

#define CREDENTIALS_MAGIC 0x53334352u

struct s3_source;

struct rb_s3_credentials {
    uint32_t magic;
    struct rb_http *http;                          /* borrowed */
    const struct rb_s3_credentials_config *config; /* borrowed */
    const struct s3_source *source;
    struct rb_s3_keys keys; /* the newest; empty before the first */
    bool stale;             /* the store does not take them any more */
    bool fetching;
    struct rb_request *request;
    char *instance_token;  /* of the instance's own address, while it is asked */
    struct rb_error error; /* of the last fetch; code NONE when it went well */
    int64_t failed_until_ms;
    struct rb_timer *refresh;
    struct rb_s3_waiter *waiters;
    struct rb_s3_waiter *told; /* those of them whose turn it is to be told; who waits again is not among them */
    struct rb_task tell;
};

/* A place that keys come from. fetch ends, now or later, in took or in failed. */
struct s3_source {
    const char *name;
    bool lasts; /* asking again gives the same */
    bool (*is_configured)(const struct rb_s3_credentials_config *config);
    void (*fetch)(struct rb_s3_credentials *credentials);
};

static inline bool is_set(const char *text)
{
    return text[0] != '\0';
}

/*
 * A fetch has failed; it will be tried again.
 *
 * Loop:   loop thread.
 */
void s3_source_failed(struct rb_s3_credentials *credentials, const struct rb_error *err);

/*
 * A fetch has brought keys.
 *
 * Takes:  keys, which are empty afterwards.
 * Loop:   loop thread.
 */
void s3_source_took(struct rb_s3_credentials *credentials, struct rb_s3_keys *keys);

/*
 * The end of a fetch whose answer has been read: took, or failed when result is negative or the keys are as good as
 * expired.
 *
 * Takes:  err, of the result.
 * Loop:   loop thread.
 */
void s3_source_settle(struct rb_s3_credentials *credentials, int result, struct rb_s3_keys *keys, struct rb_error *err);

/*
 * Drop the request before, send one.
 *
 * Takes:  on_done, called with the credentials.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void s3_source_ask(struct rb_s3_credentials *credentials, struct rb_request_spec *spec, rb_request_done_fn on_done);

/*
 * An answer must be 200 and not empty.
 *
 * Takes:  what on_done was called with.
 * Fails:  STORE_AWAY, STORE_DENIED.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int s3_source_check(long status, const struct rb_buffer *body, const struct rb_error *away,
                                  struct rb_error *err);

/*
 * The sources: is there what it needs, and begin a fetch.
 *
 * Loop:   loop thread; all ten.
 */
bool s3_keys_is_configured(const struct rb_s3_credentials_config *config);
/* Loop: as above. */
void s3_keys_fetch(struct rb_s3_credentials *credentials);
/* Loop: as above. */
bool s3_web_identity_is_configured(const struct rb_s3_credentials_config *config);
/* Loop: as above. */
void s3_web_identity_fetch(struct rb_s3_credentials *credentials);
/* Loop: as above; reads a file. */
bool s3_file_is_configured(const struct rb_s3_credentials_config *config);
/* Loop: as above; reads a file. */
void s3_file_fetch(struct rb_s3_credentials *credentials);
/* Loop: as above. */
bool s3_container_is_configured(const struct rb_s3_credentials_config *config);
/* Loop: as above. */
void s3_container_fetch(struct rb_s3_credentials *credentials);
/* Loop: as above. */
bool s3_instance_is_configured(const struct rb_s3_credentials_config *config);
/* Loop: as above. */
void s3_instance_fetch(struct rb_s3_credentials *credentials);
