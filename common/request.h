/*
 * request.h — one small HTTP request to a service that the operator configured: a registry, a provider's API.
 *
 * Way:  common
 *
 * Not for the bytes of videos and not for addresses that come from outside: those go through consumer/download.h.
 */
#pragma once

#include "common/buffer.h"
#include "common/http.h"

struct rb_request;

struct rb_request_spec {
    const char *method; /* "GET", "POST", ... */
    const char *url;
    const char *body; /* NULL for none */
    size_t body_bytes;
    const char *const *headers;    /* "Name: value", NULL at the end; NULL for none */
    const char *user_and_password; /* "user:password" for Basic authentication; NULL or "" for none */
    int64_t timeout_ms;
    size_t max_answer_bytes;
    bool direct; /* never through a proxy, whatever the environment says: for addresses of this machine's own */
};

/*
 * Called once with the answer, or with an error when there was none.
 *
 * Takes:  status, the HTTP status, 0 without an answer; body, borrowed for the call; err, SOURCE_AWAY without an answer,
 *         else NULL.
 */
typedef void (*rb_request_done_fn)(long status, const struct rb_buffer *body, const struct rb_error *err, void *arg);

/*
 * Send a request.
 *
 * Takes:  spec, borrowed for the call: everything in it is copied.
 * Gives:  owned by the caller: rb_request_free it, in on_done or later. Freed earlier, on_done does not come.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_request *rb_request_send(struct rb_http *http, const struct rb_request_spec *spec, rb_request_done_fn on_done,
                                   void *arg);

/*
 * What Retry-After of the answer asks for, seconds or a date.
 *
 * Gives:  milliseconds from now; 0 when there was none.
 * Loop:   loop thread, in on_done.
 */
int64_t rb_request_retry_after_ms(const struct rb_request *request);

/*
 * Stop the request if it runs, and free it. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_request_free(struct rb_request *request);
