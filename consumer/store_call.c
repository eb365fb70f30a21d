/*
 * store_call.c — one HTTP request to a store.
 *
 * Way:  store_s3, store_supabase -> [store_call]
 */
#include "consumer/store_call.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/errmap.h"
#include "common/version.h"
#include "consumer/store_call_internal.h"

#define ANSWER_BYTES      16384L /* buffer for answers, which are short */
#define BUFFER_SHARE      4      /* what libcurl sends at once: this part of the queue */
#define BUFFER_MAX        65536

#define RETRY_AFTER_MAX_S 300 /* our own store: nobody gains by staying away for longer */

static bool has_body(const struct rb_store_call *call)
{
    return call->spec.body_bytes > 0 || call->spec.stream != NULL;
}

static void fail_with(struct rb_store_call *call, enum rb_code code, int detail, const char *what)
{
    call->reply.status = 0;
    call->reply.code = code;
    call->reply.detail = detail;
    snprintf(call->reply.trouble, sizeof(call->reply.trouble), "%s", what);
}

static void finish(struct rb_store_call *call)
{
    rb_timer_stop(call->stall);
    call->spec.on_done(call->spec.arg);
}

/* The answer. */

/* A server that refuses may leave the rest of the body unread: the next request on this connection would not be answered. And
 * libcurl, when it waits for more of the body, does not end before that has come. */
static void look_for_refusal(struct rb_store_call *call, const char *line, size_t bytes)
{
    if (has_body(call) && bytes > 9 && memcmp(line, "HTTP/", 5) == 0 && line[9] >= '3') {
        curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
        call->refused = true;
    }
    if (call->refused && call->paused) {
        call->paused = false;
        curl_easy_pause(call->easy, CURLPAUSE_CONT);
    }
}

static size_t on_header(char *line, size_t one, size_t count, void *arg)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);

    call->moved = true;
    look_for_refusal(call, line, one * count);
    if (call->spec.on_header != NULL)
        call->spec.on_header(line, one * count, call->spec.arg);
    return one * count;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);
    size_t n = one * count;
    long status = 0;

    call->moved = true;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->spec.on_body != NULL && status >= 200 && status < 300) {
        call->spec.on_body(bytes, n, call->spec.arg);
        return n;
    }
    if (n > call->spec.answer_max_bytes - call->reply.body.used) {
        fail_with(call, RB_E_STORE_AWAY, 0, "the answer is too long");
        return 0;
    }
    rb_buffer_add(&call->reply.body, bytes, n);
    return n;
}

static void on_finished(CURL *easy, CURLcode result, void *arg)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);
    struct rb_store_reply *reply = &call->reply;
    curl_off_t bytes = -1;
    curl_off_t retry_after_s = 0;

    curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &bytes);
    reply->content_bytes = bytes;
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    reply->wait_ms = RB_MIN(RB_MAX((int64_t)retry_after_s, 0), RETRY_AFTER_MAX_S) * 1000;
    if (reply->code == RB_E_NONE) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply->status);
        /* A server that refuses may close before it has read the body: what it said counts. */
        if (result != CURLE_OK && reply->status < 300)
            fail_with(call, rb_errmap_store_curl(result), (int)result,
                      call->trouble[0] != '\0' ? call->trouble : curl_easy_strerror(result));
    }
    finish(call);
}

/* Waiting for the source is not the store's fault: it has deadlines of its own. */
static void on_stall(void *arg)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);
    char what[80];

    if (call->moved || call->paused) {
        call->moved = false;
        rb_timer_start(call->stall, call->spec.timeout_ms);
        return;
    }
    rb_http_remove(call->http, call->easy);
    snprintf(what, sizeof(what), "nothing has moved for %" PRId64 " ms", call->spec.timeout_ms);
    fail_with(call, RB_E_STORE_AWAY, 0, what);
    finish(call);
}

/* The request. */

static void set_body(struct rb_store_call *call)
{
    const struct rb_store_call_spec *spec = &call->spec;
    bool unknown = spec->stream != NULL && spec->stream_bytes == RB_STORE_CALL_UNKNOWN;
    bool sends =
        strcmp(spec->method, "PUT") == 0 || strcmp(spec->method, "POST") == 0 || strcmp(spec->method, "PATCH") == 0;
    int64_t bytes = (int64_t)spec->body_bytes + (spec->stream != NULL ? spec->stream_bytes : 0);

    if (strcmp(spec->method, "HEAD") == 0) {
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (sends) {
        curl_easy_setopt(call->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(call->easy, CURLOPT_INFILESIZE_LARGE, unknown ? (curl_off_t)-1 : (curl_off_t)bytes);
        curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, store_call_on_read);
        curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
        curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, store_call_on_seek);
        curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
    }
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, spec->method);
}

/* Libcurl's own buffers are most of what a transfer needs beside its queue. */
static void set_buffers(struct rb_store_call *call)
{
    const struct rb_byteq *stream = call->spec.stream;

    curl_easy_setopt(call->easy, CURLOPT_BUFFERSIZE, ANSWER_BYTES);
    if (stream != NULL)
        curl_easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE,
                         (long)RB_MIN(rb_byteq_cap(stream) / BUFFER_SHARE, BUFFER_MAX));
}

static void set_up(struct rb_store_call *call, const char *url)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->spec.headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "reelbus/" RB_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->spec.connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->trouble);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    set_buffers(call);
    set_body(call);
}

static void tell_progress(void *arg)
{
    struct rb_store_call *call = RB_CAST(rb_store_call, arg, CALL_MAGIC);

    if (call->spec.on_progress != NULL)
        call->spec.on_progress(call->spec.arg);
}

struct rb_store_call *rb_store_call_new(struct rb_loop *loop, struct rb_http *http,
                                        const struct rb_store_call_spec *spec)
{
    struct rb_store_call *call = rb_xalloc(sizeof(*call));

    *call = (struct rb_store_call){
        .magic = CALL_MAGIC,
        .http = http,
        .spec = *spec,
        .easy = curl_easy_init(),
        .reply.content_bytes = -1,
    };
    call->spec.url = NULL;
    if (call->easy == NULL)
        RB_BUG("libcurl cannot make an easy handle");
    call->stall = rb_timer_new(loop, on_stall, call);
    rb_task_init(&call->progress, loop, tell_progress, call);
    set_up(call, spec->url);
    rb_timer_start(call->stall, spec->timeout_ms);
    rb_http_add(http, call->easy, on_finished, call);
    return call;
}

void rb_store_call_free(struct rb_store_call *call)
{
    if (call == NULL)
        return;
    rb_http_remove(call->http, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->spec.headers);
    rb_task_done(&call->progress);
    rb_timer_free(call->stall);
    rb_buffer_done(&call->reply.body);
    call->magic = 0;
    free(call);
}

void rb_store_call_more(struct rb_store_call *call)
{
    const uint8_t *bytes;

    if (!call->paused || (store_call_ready(call, &bytes) == 0 && !store_call_is_over(call)))
        return;
    call->paused = false; /* first: unpausing may call store_call_on_read at once */
    call->moved = true;
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

void rb_store_call_release(struct rb_store_call *call)
{
    call->released = true;
    rb_store_call_more(call);
}

struct rb_store_reply *rb_store_call_reply(struct rb_store_call *call)
{
    return &call->reply;
}

int64_t rb_store_call_taken(const struct rb_store_call *call)
{
    return call->taken;
}

bool rb_store_call_is_starved(const struct rb_store_call *call)
{
    const uint8_t *bytes;

    return !store_call_is_over(call) && store_call_ready(call, &bytes) == 0;
}
