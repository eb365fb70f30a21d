/*
 * store_call_internal.h — what store_call.c and store_call_body.c share: the call itself.
 *
 * Way:  store_s3, store_supabase -> [store_call]
 */
#pragma once

#include "consumer/store_call.h"

#define CALL_MAGIC 0x53544341u

struct rb_store_call {
    uint32_t magic;
    struct rb_http *http;           /* borrowed */
    struct rb_store_call_spec spec; /* its url is not kept */
    struct rb_task progress;
    struct rb_timer *stall;
    bool moved; /* something has come or gone since the timer was started */
    CURL *easy;
    bool paused;      /* for lack of bytes in the stream */
    bool released;    /* the last byte may go */
    bool refused;     /* nothing more need go */
    size_t body_sent; /* bytes out of memory */
    int64_t taken;    /* bytes out of the stream */
    struct rb_store_reply reply;
    char trouble[CURL_ERROR_SIZE]; /* libcurl's words */
};

/*
 * How many bytes of the stream may go now?
 *
 * Gives:  ret_bytes, where they are; borrowed from the queue.
 * Loop:   loop thread.
 */
size_t store_call_ready(const struct rb_store_call *call, const uint8_t **ret_bytes);

/*
 * Has all of the stream gone?
 *
 * Loop:   loop thread.
 */
bool store_call_is_over(const struct rb_store_call *call);

/*
 * CURLOPT_READFUNCTION: libcurl takes bytes of the body. Pauses when there are none yet.
 *
 * Takes:  arg, a call.
 * Loop:   inside of libcurl.
 */
size_t store_call_on_read(char *room, size_t one, size_t count, void *arg);

/*
 * CURLOPT_SEEKFUNCTION: libcurl has found its connection dead and takes another one: from the start, if that is still there.
 *
 * Takes:  arg, a call.
 * Loop:   inside of libcurl.
 */
int store_call_on_seek(void *arg, curl_off_t offset, int origin);
