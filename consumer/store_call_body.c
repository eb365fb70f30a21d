/*
 * store_call_body.c — the body of a request to a store, as libcurl takes it: out of memory, out of the queue.
 *
 * Way:  store_s3, store_supabase -> [store_call]
 */
#include <stdio.h>

#include "consumer/store_call_internal.h"

size_t store_call_ready(const struct rb_store_call *call, const uint8_t **ret_bytes)
{
    bool hold = call->spec.hold_last && !call->released;
    size_t used = rb_byteq_peek(call->spec.stream, ret_bytes);

    if (call->spec.stream_bytes == RB_STORE_CALL_UNKNOWN)
        return used;
    return (size_t)RB_MIN((int64_t)used, RB_MAX(call->spec.stream_bytes - call->taken - (hold ? 1 : 0), 0));
}

bool store_call_is_over(const struct rb_store_call *call)
{
    if (call->spec.stream == NULL)
        return true;
    if (call->spec.stream_bytes == RB_STORE_CALL_UNKNOWN)
        return call->released && rb_byteq_used(call->spec.stream) == 0;
    return call->taken == call->spec.stream_bytes;
}

static void note_sent(struct rb_store_call *call, const void *bytes, size_t count, bool from_stream)
{
    call->moved = true;
    if (call->spec.on_sent != NULL)
        call->spec.on_sent(bytes, count, from_stream, call->spec.arg);
}

static size_t read_body(struct rb_store_call *call, char *room, size_t count)
{
    const char *bytes = (const char *)call->spec.body + call->body_sent;
    size_t n = RB_MIN(call->spec.body_bytes - call->body_sent, count);

    memcpy(room, bytes, n);
    call->body_sent += n;
    note_sent(call, bytes, n, false);
    return n;
}

static size_t read_stream(struct rb_store_call *call, char *room, size_t count)
{
    const uint8_t *bytes;
    size_t n = RB_MIN(store_call_ready(call, &bytes), count);

    if (n == 0) {
        call->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    memcpy(room, bytes, n);
    call->taken += (int64_t)n;
    note_sent(call, bytes, n, true);
    rb_byteq_take(call->spec.stream, n);
    rb_task_queue(&call->progress);
    return n;
}

size_t store_call_on_read(char *room, size_t one, size_t count, void *arg)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);

    if (call->refused)
        return 0;
    if (call->body_sent < call->spec.body_bytes)
        return read_body(call, room, one * count);
    return store_call_is_over(call) ? 0 : read_stream(call, room, one * count);
}

int store_call_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);

    if (origin != SEEK_SET || offset != 0 || call->taken > 0)
        return CURL_SEEKFUNC_FAIL;
    call->body_sent = 0;
    if (call->spec.on_rewind != NULL)
        call->spec.on_rewind(call->spec.arg);
    return CURL_SEEKFUNC_OK;
}
