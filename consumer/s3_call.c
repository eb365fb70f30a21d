/*
 * s3_call.c — one signed request to S3.
 *
 * Way:  store_s3 -> [s3_call]
 */
#include "consumer/s3_call.h"

#include <openssl/evp.h>

#include "common/clock.h"
#include "common/digits.h"
#include "consumer/s3_call_internal.h"
#include "consumer/s3_xml.h"

#define SLOW_FACTOR 10

static int64_t patience_ms(const struct rb_s3_call *call)
{
    return call->env->timeout_ms * (call->spec.slow ? SLOW_FACTOR : 1);
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

/* What libcurl takes and brings. */

static void on_sent(const void *bytes, size_t count, bool from_stream, void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);

    (void)from_stream;
    if (call->md5 != NULL && EVP_DigestUpdate(call->md5, bytes, count) != 1)
        RB_BUG("OpenSSL has no MD5");
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

static void on_rewind(void *arg)
{
    start_md5(RB_CAST(rb_s3_call, arg, CALL_MAGIC));
}

static void on_header(const char *line, size_t bytes, void *arg)
{
    rb_s3_answer_take_header(&RB_CAST(rb_s3_call, arg, CALL_MAGIC)->result, line, bytes);
}

static void on_progress(void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);

    if (call->spec.on_progress != NULL)
        call->spec.on_progress(call->spec.arg);
}

static void on_body(const void *bytes, size_t count, void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);

    call->spec.on_body(bytes, count, call->spec.arg);
}

static void take_md5(struct rb_s3_call *call)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (call->md5 == NULL)
        return;
    if (EVP_DigestFinal_ex(call->md5, digest, &bytes) != 1)
        RB_BUG("OpenSSL has no MD5");
    rb_digits_hex(digest, bytes, call->result.md5);
}

static void drop_request(struct rb_s3_call *call)
{
    rb_store_call_free(call->call);
    call->call = NULL;
    free(call->access_key);
    call->access_key = NULL;
}

/* With other keys it may be answered otherwise, once, if its body is still there. */
static bool try_other_keys(struct rb_s3_call *call)
{
    if (!rb_s3_answer_wants_other_keys(&call->result) || call->renewed ||
        !rb_s3_credentials_renew(call->env->credentials, call->access_key) || rb_store_call_taken(call->call) > 0)
        return false;
    call->renewed = true;
    drop_request(call);
    rb_s3_answer_clear(&call->result);
    rb_task_queue(&call->start);
    return true;
}

/* The store waited for a body that the source did not send. */
static void look_for_starving(struct rb_s3_call *call)
{
    const struct rb_s3_result *result = &call->result;

    if (rb_store_call_is_starved(call->call) && (result->status == 408 || strcmp(result->code, "RequestTimeout") == 0))
        fail_with(call, RB_E_SOURCE_SLOW, (int)result->status,
                  "the source sent nothing until the store tired of waiting");
}

static void on_called(void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    struct rb_store_reply *reply = rb_store_call_reply(call->call);
    const struct rb_s3_subject subject = subject_of(call);

    call->result.status = reply->status;
    call->result.bytes = reply->content_bytes;
    rb_buffer_done(&call->result.body);
    call->result.body = reply->body;
    reply->body = (struct rb_buffer){0};
    take_md5(call);
    if (reply->status == 0)
        fail_with(call, reply->code, reply->detail, reply->trouble);
    else
        rb_s3_answer_judge(&call->result, &subject, rb_clock_unix_ms());
    call->result.error.wait_ms = reply->wait_ms;
    look_for_starving(call);
    if (!try_other_keys(call))
        call->spec.on_done(call->spec.arg);
}

/* The request. */

static void send_request(struct rb_s3_call *call, const struct rb_s3_keys *keys)
{
    RB_AUTO_S3_PLACE place = {0};
    RB_AUTO_TEXT *url = NULL;

    rb_s3_place_init(&place, call->env->address, call->spec.bucket, call->spec.key);
    url = rb_xprintf("%s%s%s", place.url, call->spec.query != NULL ? "?" : "",
                     call->spec.query != NULL ? call->spec.query : "");
    s3_call_sign(call, &place, keys);
    start_md5(call);

    const struct rb_store_call_spec spec = {
        .method = call->spec.method,
        .url = url,
        .headers = RB_STEAL(call->headers),
        .body = call->spec.body,
        .body_bytes = call->spec.body_bytes,
        .stream = call->spec.stream,
        .stream_bytes = call->spec.stream_bytes,
        .hold_last = call->spec.hold_last,
        .connect_timeout_ms = call->env->connect_timeout_ms,
        .timeout_ms = patience_ms(call),
        .answer_max_bytes = RB_S3_XML_MAX_BYTES,
        .on_header = on_header,
        .on_sent = on_sent,
        .on_rewind = on_rewind,
        .on_body = call->spec.on_body != NULL ? on_body : NULL,
        .on_progress = on_progress,
        .on_done = on_called,
        .arg = call,
    };
    call->call = rb_store_call_new(call->env->loop, call->env->http, &spec);
    if (call->released)
        rb_store_call_release(call->call);
}

static void start(void *arg)
{
    struct rb_s3_call *call = RB_CAST(rb_s3_call, arg, CALL_MAGIC);
    const struct rb_s3_keys *keys = NULL;

    switch (rb_s3_credentials_get(call->env->credentials, &call->waiter, &keys, &call->result.error)) {
    case RB_POLL_WAIT:
        return;
    case RB_POLL_FAILED:
        call->spec.on_done(call->spec.arg);
        return;
    case RB_POLL_DONE:
        send_request(call, keys);
        return;
    }
}

struct rb_s3_call *rb_s3_call_new(const struct rb_s3_env *env, const struct rb_s3_call_spec *spec)
{
    struct rb_s3_call *call = rb_xalloc(sizeof(*call));

    *call = (struct rb_s3_call){.magic = CALL_MAGIC, .env = env, .spec = *spec};
    call->spec.bucket = rb_xstrdup(spec->bucket);
    call->spec.key = rb_xstrdup(spec->key);
    call->spec.query = rb_xstrdup(spec->query);
    call->spec.traceparent = rb_xstrdup(spec->traceparent);
    for (size_t i = 0; i < RB_S3_CALL_HEADERS_MAX && spec->headers[i].name != NULL; i++)
        call->spec.headers[i].value = rb_xstrdup(spec->headers[i].value);
    rb_s3_answer_clear(&call->result);
    call->waiter = (struct rb_s3_waiter){.on_change = start, .arg = call};
    rb_task_init(&call->start, env->loop, start, call);
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
    EVP_MD_CTX_free(call->md5);
    free((char *)call->spec.bucket);
    free((char *)call->spec.key);
    free((char *)call->spec.query);
    free((char *)call->spec.traceparent);
    for (size_t i = 0; i < RB_S3_CALL_HEADERS_MAX && call->spec.headers[i].name != NULL; i++)
        free((char *)call->spec.headers[i].value);
    rb_buffer_done(&call->result.body);
    call->magic = 0;
    free(call);
}

void rb_s3_call_more(struct rb_s3_call *call)
{
    if (call->call != NULL)
        rb_store_call_more(call->call);
}

void rb_s3_call_release(struct rb_s3_call *call)
{
    call->released = true;
    if (call->call != NULL)
        rb_store_call_release(call->call);
}

const struct rb_s3_result *rb_s3_call_result(const struct rb_s3_call *call)
{
    return &call->result;
}

int64_t rb_s3_call_taken(const struct rb_s3_call *call)
{
    return call->call != NULL ? rb_store_call_taken(call->call) : 0;
}
