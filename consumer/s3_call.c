/*
 * s3_call.c — one signed request to S3.
 *
 * Way:  store_s3 -> [s3_call]
 */
#include "consumer/s3_call.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "common/clock.h"
#include "common/errmap.h"
#include "common/version.h"
#include "consumer/s3_xml.h"

#define CALL_MAGIC  0x53334341u
#define REQUEST_MAX 4 /* headers that every request has */
#define SLOW_FACTOR 10

struct rb_s3_call {
    uint32_t magic;
    const struct rb_s3_env *env; /* borrowed */
    struct rb_s3_call_spec spec; /* its texts are owned here */
    struct rb_s3_waiter waiter;
    struct rb_task start;
    struct rb_task progress;
    struct rb_timer *stall;
    bool moved; /* something has come or gone since the timer was started */
    CURL *easy; /* NULL before there are keys */
    struct curl_slist *headers;
    char *access_key; /* that it was signed with */
    bool renewed;     /* keys were fetched anew for it */
    bool paused;      /* for lack of bytes in the stream */
    bool released;    /* the last byte may go */
    int64_t sent;     /* bytes of the body */
    EVP_MD_CTX *md5;
    struct rb_s3_result result;
    char trouble[CURL_ERROR_SIZE];
};

static int64_t body_bytes(const struct rb_s3_call *call)
{
    return call->spec.stream != NULL ? call->spec.stream_bytes : (int64_t)call->spec.body_bytes;
}

static int64_t patience_ms(const struct rb_s3_call *call)
{
    return call->env->timeout_ms * (call->spec.slow ? SLOW_FACTOR : 1);
}

static void finish(struct rb_s3_call *call)
{
    rb_timer_stop(call->stall);
    call->spec.on_done(call->spec.arg);
}

static struct rb_s3_subject subject_of(const struct rb_s3_call *call)
{
    return (struct rb_s3_subject){call->spec.doing, call->spec.bucket, call->spec.key, call->env->region};
}

static void fail_with(struct rb_s3_call *call, enum rb_code code, int detail, const char *what)
{
    const struct rb_s3_subject subject = subject_of(call);

    rb_s3_answer_fail(&call->result, &subject, code, detail, what);
}

/* The body. */

static size_t stream_ready(const struct rb_s3_call *call, const uint8_t **ret_bytes)
{
    int64_t left = call->spec.stream_bytes - call->sent - (call->spec.hold_last && !call->released ? 1 : 0);

    return (size_t)RB_MIN((int64_t)rb_byteq_peek(call->spec.stream, ret_bytes), RB_MAX(left, 0));
}

static size_t on_read(char *room, size_t one, size_t count, void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    const uint8_t *bytes = NULL;
    size_t n;

    if (call->sent == body_bytes(call))
        return 0;
    if (call->spec.stream != NULL) {
        n = stream_ready(call, &bytes);
    } else {
        bytes = (const uint8_t *)call->spec.body + call->sent;
        n = call->spec.body_bytes - (size_t)call->sent;
    }
    n = RB_MIN(n, one * count);
    if (n == 0) {
        call->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    memcpy(room, bytes, n);
    if (call->md5 != NULL && EVP_DigestUpdate(call->md5, bytes, n) != 1)
        RB_BUG("OpenSSL has no MD5");
    call->sent += (int64_t)n;
    call->moved = true;
    if (call->spec.stream != NULL) {
        rb_byteq_take(call->spec.stream, n);
        rb_task_queue(&call->progress);
    }
    return n;
}

static void start_md5(struct rb_s3_call *call)
{
    if (!call->spec.md5)
        return;
    if (call->md5 == NULL)
        call->md5 = EVP_MD_CTX_new();
    if (call->md5 == NULL || EVP_DigestInit_ex(call->md5, EVP_md5(), NULL) != 1)
        RB_BUG("OpenSSL has no MD5");
}

/* libcurl found its connection dead and takes another one: from the start, if that is still there. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);

    if (origin != SEEK_SET || offset != 0 || (call->spec.stream != NULL && call->sent > 0))
        return CURL_SEEKFUNC_FAIL;
    call->sent = 0;
    start_md5(call);
    return CURL_SEEKFUNC_OK;
}

/* The answer. */

static size_t on_header(char *line, size_t one, size_t count, void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);

    call->moved = true;
    rb_s3_answer_take_header(&call->result, line, one * count);
    return one * count;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    size_t n = one * count;

    call->moved = true;
    if (n > RB_S3_XML_MAX_BYTES - call->result.body.used) {
        fail_with(call, RB_E_STORE_AWAY, 0, "the answer is too long");
        return 0;
    }
    rb_buffer_add(&call->result.body, bytes, n);
    return n;
}

static void take_md5(struct rb_s3_call *call)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (call->md5 == NULL)
        return;
    if (EVP_DigestFinal_ex(call->md5, digest, &bytes) != 1)
        RB_BUG("OpenSSL has no MD5");
    rb_s3_hex(digest, bytes, call->result.md5);
}

static void drop_request(struct rb_s3_call *call)
{
    if (call->easy != NULL) {
        rb_http_remove(call->env->http, call->easy);
        curl_easy_cleanup(call->easy);
        call->easy = NULL;
    }
    curl_slist_free_all(call->headers);
    call->headers = NULL;
    free(call->access_key);
    call->access_key = NULL;
    call->paused = false;
}

/* With other keys it may be answered otherwise, once, if its body is still there. */
static bool try_other_keys(struct rb_s3_call *call)
{
    bool again = call->spec.stream == NULL || call->sent == 0;

    if (!rb_s3_answer_wants_other_keys(&call->result) || call->renewed ||
        !rb_s3_credentials_renew(call->env->credentials, call->access_key) || !again)
        return false;
    call->renewed = true;
    drop_request(call);
    rb_s3_answer_clear(&call->result);
    call->sent = 0;
    rb_task_queue(&call->start);
    return true;
}

static void on_finished(CURL *easy, CURLcode result, void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    const struct rb_s3_subject subject = subject_of(call);
    curl_off_t bytes = -1;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &call->result.status);
    curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &bytes);
    call->result.bytes = bytes;
    take_md5(call);
    /* A server that refuses may close before it has read the body: what it said counts. */
    if (result != CURLE_OK && call->result.status < 300)
        call->result.status = 0;
    if (call->result.error.code == RB_E_NONE && call->result.status == 0)
        fail_with(call, rb_errmap_store_curl(result), (int)result,
                  call->trouble[0] != '\0' ? call->trouble : curl_easy_strerror(result));
    else if (call->result.error.code == RB_E_NONE)
        rb_s3_answer_judge(&call->result, &subject, rb_clock_unix_ms());
    if (!try_other_keys(call))
        finish(call);
}

/* The request. */

static void add_header(struct rb_s3_call *call, struct rb_s3_header *all, size_t *count, const char *name,
                       const char *value)
{
    if (strcmp(name, "host") != 0) { /* libcurl sends that one by itself */
        RB_AUTO_TEXT *line = rb_xprintf("%s: %s", name, value);

        call->headers = curl_slist_append(call->headers, line);
    }
    all[(*count)++] = (struct rb_s3_header){name, value};
}

static const char *payload_hash(const struct rb_s3_call *call, char *ret_text)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (call->spec.stream != NULL)
        return RB_S3_UNSIGNED;
    if (call->spec.body_bytes == 0)
        return RB_S3_SHA256_OF_NOTHING;
    if (EVP_Digest(call->spec.body, call->spec.body_bytes, digest, NULL, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    return rb_s3_hex(digest, 32, ret_text);
}

static void sign(struct rb_s3_call *call, const struct rb_s3_place *place, const struct rb_s3_keys *keys)
{
    struct rb_s3_header all[RB_S3_CALL_HEADERS_MAX + REQUEST_MAX];
    size_t count = 0;
    char date[RB_S3_DATE_TEXT_BYTES];
    char hash[65];
    const char *payload = payload_hash(call, hash);
    const struct rb_s3_signer signer = {keys->access_key, keys->secret_key, call->env->region, "s3"};

    rb_s3_sign_date(rb_clock_unix_ms(), date);
    add_header(call, all, &count, "host", place->host);
    add_header(call, all, &count, "x-amz-date", date);
    add_header(call, all, &count, "x-amz-content-sha256", payload);
    if (keys->session_token != NULL)
        add_header(call, all, &count, "x-amz-security-token", keys->session_token);
    for (size_t i = 0; i < RB_S3_CALL_HEADERS_MAX && call->spec.headers[i].name != NULL; i++)
        add_header(call, all, &count, call->spec.headers[i].name, call->spec.headers[i].value);

    const struct rb_s3_request request = {
        .method = call->spec.method,
        .path = place->path,
        .query = call->spec.query != NULL ? call->spec.query : "",
        .headers = all,
        .header_count = count,
        .payload = payload,
    };
    RB_AUTO_TEXT *authorization = rb_s3_sign(&request, &signer, date);
    RB_AUTO_TEXT *line = rb_xprintf("authorization: %s", authorization);

    call->headers = curl_slist_append(call->headers, line);
    call->headers = curl_slist_append(call->headers, call->spec.stream != NULL ? "Expect: 100-continue" : "Expect:");
    call->access_key = rb_xstrdup(keys->access_key);
}

static void set_body(struct rb_s3_call *call)
{
    CURL *easy = call->easy;

    if (strcmp(call->spec.method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(call->spec.method, "PUT") == 0 || strcmp(call->spec.method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_bytes(call));
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->spec.method);
    } else {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->spec.method);
    }
    start_md5(call);
}

static void set_up(struct rb_s3_call *call, const struct rb_s3_place *place)
{
    CURL *easy = call->easy;
    RB_AUTO_TEXT *url = rb_xprintf("%s%s%s", place->url, call->spec.query != NULL ? "?" : "",
                                   call->spec.query != NULL ? call->spec.query : "");

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "reelbus/" RB_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->env->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->trouble);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    set_body(call);
}

static void send_request(struct rb_s3_call *call, const struct rb_s3_keys *keys)
{
    RB_AUTO_S3_PLACE place = {0};

    rb_s3_place_init(&place, call->env->address, call->spec.bucket, call->spec.key);
    call->easy = curl_easy_init();
    if (call->easy == NULL)
        RB_BUG("libcurl cannot make an easy handle");
    sign(call, &place, keys);
    set_up(call, &place);
    call->moved = false;
    rb_timer_start(call->stall, patience_ms(call));
    rb_http_add(call->env->http, call->easy, on_finished, call);
}

static void start(void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    const struct rb_s3_keys *keys = NULL;

    switch (rb_s3_credentials_get(call->env->credentials, &call->waiter, &keys, &call->result.error)) {
    case RB_POLL_WAIT:
        return;
    case RB_POLL_FAILED:
        finish(call);
        return;
    case RB_POLL_DONE:
        send_request(call, keys);
        return;
    }
}

/* Waiting for the source is not the store's fault: it has deadlines of its own. */
static void on_stall(void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    char what[80];

    if (call->moved || call->paused) {
        call->moved = false;
        rb_timer_start(call->stall, patience_ms(call));
        return;
    }
    rb_http_remove(call->env->http, call->easy);
    snprintf(what, sizeof(what), "nothing has moved for %" PRId64 " ms", patience_ms(call));
    fail_with(call, RB_E_STORE_AWAY, 0, what);
    call->result.status = 0;
    finish(call);
}

static void tell_progress(void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);

    if (call->spec.on_progress != NULL)
        call->spec.on_progress(call->spec.arg);
}

struct rb_s3_call *rb_s3_call_new(const struct rb_s3_env *env, const struct rb_s3_call_spec *spec)
{
    struct rb_s3_call *call = rb_xalloc(sizeof(*call));

    *call = (struct rb_s3_call){.magic = CALL_MAGIC, .env = env, .spec = *spec};
    call->spec.bucket = rb_xstrdup(spec->bucket);
    call->spec.key = rb_xstrdup(spec->key);
    call->spec.query = rb_xstrdup(spec->query);
    for (size_t i = 0; i < RB_S3_CALL_HEADERS_MAX && spec->headers[i].name != NULL; i++)
        call->spec.headers[i].value = rb_xstrdup(spec->headers[i].value);
    rb_s3_answer_clear(&call->result);
    call->waiter = (struct rb_s3_waiter){.on_change = start, .arg = call};
    call->stall = rb_timer_new(env->loop, on_stall, call);
    rb_task_init(&call->start, env->loop, start, call);
    rb_task_init(&call->progress, env->loop, tell_progress, call);
    rb_task_queue(&call->start);
    return call;
}

void rb_s3_call_free(struct rb_s3_call *call)
{
    if (call == NULL)
        return;
    drop_request(call);
    rb_s3_credentials_forget(call->env->credentials, &call->waiter);
    rb_task_done(&call->start);
    rb_task_done(&call->progress);
    rb_timer_free(call->stall);
    EVP_MD_CTX_free(call->md5);
    free((char *)call->spec.bucket);
    free((char *)call->spec.key);
    free((char *)call->spec.query);
    for (size_t i = 0; i < RB_S3_CALL_HEADERS_MAX && call->spec.headers[i].name != NULL; i++)
        free((char *)call->spec.headers[i].value);
    rb_buffer_done(&call->result.body);
    call->magic = 0;
    free(call);
}

void rb_s3_call_more(struct rb_s3_call *call)
{
    const uint8_t *bytes;

    if (!call->paused || stream_ready(call, &bytes) == 0)
        return;
    call->paused = false; /* first: unpausing may call on_read at once */
    call->moved = true;
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

void rb_s3_call_release(struct rb_s3_call *call)
{
    call->released = true;
    rb_s3_call_more(call);
}

const struct rb_s3_result *rb_s3_call_result(const struct rb_s3_call *call)
{
    return &call->result;
}

int64_t rb_s3_call_taken(const struct rb_s3_call *call)
{
    return call->spec.stream != NULL ? call->sent : 0;
}
