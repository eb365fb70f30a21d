/*
 * supabase_call.h — one request to Supabase Storage, with the key shown as its kind wants it, and what was answered.
 *
 * Way:  store_supabase -> [supabase_call]
 */
#pragma once

#include "consumer/store_call.h"
#include "consumer/supabase_answer.h"
#include "consumer/supabase_key.h"

struct rb_supabase_call;

/* What all calls of a store share. All borrowed for as long as calls live. */
struct rb_supabase_env {
    struct rb_loop *loop;
    struct rb_http *http;
    const char *base; /* "https://ref.supabase.co/storage/v1" */
    const char *key;
    enum rb_supabase_key key_kind;
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* without any progress */
};

struct rb_supabase_call_spec {
    const char *doing;          /* for messages: "write", "look at"; static */
    const char *method;         /* static */
    const char *path;           /* encoded, behind the base; borrowed for the call */
    const char *bucket;         /* for messages; borrowed until the end of the call, as key, body, stream and arg */
    const char *key;            /* NULL for the bucket */
    const char *traceparent;    /* borrowed for the call; NULL for none */
    struct curl_slist *headers; /* further ones; owned by the call from now on */
    const void *body;           /* goes first; NULL for none */
    size_t body_bytes;
    struct rb_byteq *stream; /* goes behind it; NULL for none */
    int64_t stream_bytes;    /* RB_STORE_CALL_UNKNOWN when nobody knows */
    bool hold_last;          /* keep the last byte of the stream back until rb_supabase_call_release */
    bool slow;               /* the server may work on it for minutes without a word */
    void (*on_sent)(const void *bytes, size_t count, bool from_stream, void *arg); /* from inside libcurl; or NULL */
    void (*on_body)(const void *bytes, size_t count, void *arg);                   /* as of store_call.h */
    rb_loop_fn on_progress; /* bytes were taken out of the stream; NULL for none */
    rb_loop_fn on_done;     /* there is a result; never called before the asking returns */
    void *arg;
};

/*
 * Send a request.
 *
 * Gives:  owned by the caller; rb_supabase_call_free it, in on_done or later.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_supabase_call *rb_supabase_call_new(const struct rb_supabase_env *env,
                                              const struct rb_supabase_call_spec *spec);

/*
 * Stop it and free it. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_supabase_call_free(struct rb_supabase_call *call);

/*
 * Bytes have come into the stream.
 *
 * Loop:   loop thread, outside of libcurl callbacks; may take bytes before it returns.
 */
void rb_supabase_call_more(struct rb_supabase_call *call);

/*
 * The last byte of the stream may go.
 *
 * Loop:   as rb_supabase_call_more.
 */
void rb_supabase_call_release(struct rb_supabase_call *call);

/*
 * The result, once on_done was called.
 *
 * Gives:  borrowed from the call.
 * Loop:   loop thread.
 */
const struct rb_supabase_result *rb_supabase_call_result(const struct rb_supabase_call *call);

/*
 * A path behind the base, encoded.
 *
 * Takes:  route, "/object"; key, NULL for none.
 * Gives:  owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_supabase_path(const char *route, const char *bucket, const char *key);

/*
 * Add a header line to a list.
 *
 * Gives:  the list, which may begin elsewhere now; NULL is an empty one.
 * Loop:   any thread.
 */
struct curl_slist *rb_supabase_header(struct curl_slist *headers, const char *name, const char *value);
