/*
 * s3_call.h — one signed request to S3, with a body from memory or straight out of a queue, and what was answered.
 *
 * Way:  store_s3 -> [s3_call]
 *
 * A body out of a queue is sent only after the server has said that it wants it (Expect: 100-continue), so that a refusal
 * costs none of its bytes.
 */
#pragma once

#include "consumer/s3_address.h"
#include "consumer/s3_answer.h"
#include "consumer/s3_credentials.h"
#include "consumer/s3_sign.h"
#include "consumer/store_call.h"

#define RB_S3_CALL_HEADERS_MAX 12

struct rb_s3_call;

/* What all calls of a store share. All borrowed for as long as calls live. */
struct rb_s3_env {
    struct rb_loop *loop;
    struct rb_http *http;
    struct rb_s3_credentials *credentials;
    const struct rb_s3_address *address;
    const char *region;
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* without any progress */
};

struct rb_s3_call_spec {
    const char *doing; /* for messages: "write", "look at"; static */
    const char *method;
    const char *bucket;      /* borrowed for the call, as all below but for body, stream and arg */
    const char *key;         /* NULL for the bucket */
    const char *traceparent; /* NULL for none */
    const char *query;       /* encoded and sorted, each name with a '='; NULL for none */
    struct rb_s3_header headers[RB_S3_CALL_HEADERS_MAX]; /* copied; up to the first without a name */
    const void *body;                                    /* borrowed until the end of the call; NULL for none */
    size_t body_bytes;
    struct rb_byteq *stream; /* instead of body: borrowed until the end of the call */
    int64_t stream_bytes;
    bool hold_last; /* keep the last byte of the stream back until rb_s3_call_release */
    bool slow;      /* the server may work on it for minutes without a word */
    bool md5;       /* take the MD5 of the body on its way */
    void (*on_body)(const void *bytes, size_t count, void *arg); /* as of store_call.h */
    rb_loop_fn on_progress;                                      /* bytes were taken out of the stream; NULL for none */
    rb_loop_fn on_done; /* there is a result; never called before the asking returns */
    void *arg;
};

/*
 * Send a request.
 *
 * Gives:  owned by the caller; rb_s3_call_free it, in on_done or later.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_s3_call *rb_s3_call_new(const struct rb_s3_env *env, const struct rb_s3_call_spec *spec);

/*
 * Stop it and free it. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_s3_call_free(struct rb_s3_call *call);

/*
 * Bytes have come into the stream.
 *
 * Loop:   loop thread, outside of libcurl callbacks; may take bytes before it returns.
 */
void rb_s3_call_more(struct rb_s3_call *call);

/*
 * The last byte of the stream may go.
 *
 * Loop:   as rb_s3_call_more.
 */
void rb_s3_call_release(struct rb_s3_call *call);

/*
 * The result, once on_done was called.
 *
 * Gives:  borrowed from the call.
 * Loop:   loop thread.
 */
const struct rb_s3_result *rb_s3_call_result(const struct rb_s3_call *call);

/*
 * How many bytes of the stream are gone. While none is, the request can be made again.
 *
 * Loop:   loop thread.
 */
int64_t rb_s3_call_taken(const struct rb_s3_call *call);
