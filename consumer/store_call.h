/*
 * store_call.h — one HTTP request to a store, with a body from memory, straight out of a queue, or first the one and then
 * the other; and what was answered. What the bytes mean is for whoever asks.
 *
 * Way:  store_s3, store_supabase -> [store_call]
 */
#pragma once

#include "common/buffer.h"
#include "common/byteq.h"
#include "common/http.h"

#define RB_STORE_CALL_UNKNOWN (-1) /* length of a stream that ends when it is released and empty; sent in chunks */

struct rb_store_call;

struct rb_store_call_spec {
    const char *method;         /* static */
    const char *url;            /* borrowed for the call */
    struct curl_slist *headers; /* owned by the call from now on */
    const void *body;           /* goes first; borrowed until the end of the call; NULL for none */
    size_t body_bytes;
    struct rb_byteq *stream; /* goes behind it; borrowed until the end of the call; NULL for none */
    int64_t stream_bytes;    /* RB_STORE_CALL_UNKNOWN when nobody knows */
    bool hold_last;          /* keep the last byte of the stream back until rb_store_call_release */
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* without any progress; waiting for bytes in the stream does not count */
    size_t answer_max_bytes;

    /* These four are called from inside libcurl; NULL for none. A line of the answer's head, with its line end: */
    void (*on_header)(const char *line, size_t bytes, void *arg);
    /* bytes that are on their way now, and whether they came out of the stream: */
    void (*on_sent)(const void *bytes, size_t count, bool from_stream, void *arg);
    /* nothing was on its way after all, it begins anew: */
    void (*on_rewind)(void *arg);

    /* bytes of an answer that is no refusal, and are not kept then; NULL: they are: */
    void (*on_body)(const void *bytes, size_t count, void *arg);

    rb_loop_fn on_progress; /* bytes were taken out of the stream; NULL for none */
    rb_loop_fn on_done;     /* there is an answer; never called before the asking returns */
    void *arg;
};

/* What came of it. */
struct rb_store_reply {
    long status;           /* 0 when there was no answer: code, detail and trouble say why */
    int64_t wait_ms;       /* how long the store asks us to stay away, bounded; 0 when it does not */
    int64_t content_bytes; /* as the answer says, also that to a HEAD; -1 when it does not */
    struct rb_buffer body;
    enum rb_code code; /* NONE, STORE_AWAY or STORE_REFUSED */
    int detail;
    char trouble[CURL_ERROR_SIZE];
};

/*
 * Send a request.
 *
 * Takes:  http and loop, borrowed for as long as the call lives.
 * Gives:  owned by the caller; rb_store_call_free it, in on_done or later.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_store_call *rb_store_call_new(struct rb_loop *loop, struct rb_http *http,
                                        const struct rb_store_call_spec *spec);

/*
 * Stop it and free it. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_store_call_free(struct rb_store_call *call);

/*
 * Bytes have come into the stream.
 *
 * Loop:   loop thread, outside of libcurl callbacks; may take bytes before it returns.
 */
void rb_store_call_more(struct rb_store_call *call);

/*
 * The last byte of the stream may go, and one of unknown length may end: no more bytes will come into the queue.
 *
 * Loop:   as rb_store_call_more.
 */
void rb_store_call_release(struct rb_store_call *call);

/*
 * What was answered, once on_done was called.
 *
 * Gives:  borrowed from the call; the body may be taken out of it.
 * Loop:   loop thread.
 */
struct rb_store_reply *rb_store_call_reply(struct rb_store_call *call);

/*
 * How many bytes of the stream are gone. While none is, the request can be made again.
 *
 * Loop:   loop thread.
 */
int64_t rb_store_call_taken(const struct rb_store_call *call);

/*
 * Was the answer given while the call waited for bytes of the stream? Then a store that tired of waiting is not to blame.
 *
 * Loop:   loop thread.
 */
bool rb_store_call_is_starved(const struct rb_store_call *call);
