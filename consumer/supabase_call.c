/*
 * supabase_call.c — one request to Supabase Storage.
 *
 * Way:  store_supabase -> [supabase_call]
 */
#include "consumer/supabase_call.h"

#include "consumer/s3_sign.h"

#define CALL_MAGIC       0x53555043u
#define ANSWER_MAX_BYTES (1 << 20)
#define SLOW_FACTOR      10
#define PATIENCE_MIN_MS  10000 /* whoever asks for an upload that is being written to is answered after some seconds */

struct rb_supabase_call {
    uint32_t magic;
    const struct rb_supabase_env *env; /* borrowed */
    struct rb_supabase_call_spec spec; /* its path and headers are not kept */
    struct rb_store_call *call;
    struct rb_supabase_result result;
};

struct curl_slist *rb_supabase_header(struct curl_slist *headers, const char *name, const char *value)
{
    RB_AUTO_TEXT *line = rb_xprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(headers, line);

    if (longer == NULL)
        RB_BUG("libcurl has no memory for a header");
    return longer;
}

char *rb_supabase_path(const char *route, const char *bucket, const char *key)
{
    struct rb_buffer path = {0};

    rb_buffer_print(&path, "%s/", route);
    rb_s3_encode(&path, bucket, "");
    if (key != NULL) {
        rb_buffer_add(&path, "/", 1);
        rb_s3_encode(&path, key, "/");
    }
    return rb_buffer_steal(&path);
}

/* The server refuses a secret key that comes as a bearer token: it is no JWT. */
static struct curl_slist *add_key(const struct rb_supabase_env *env, struct curl_slist *headers)
{
    headers = rb_supabase_header(headers, "apikey", env->key);
    if (env->key_kind == RB_SUPABASE_JWT) {
        RB_AUTO_TEXT *bearer = rb_xprintf("Bearer %s", env->key);

        headers = rb_supabase_header(headers, "Authorization", bearer);
    }
    return rb_supabase_header(headers, "Expect", ""); /* it is always told to go on, and refused only then */
}

static void on_header(const char *line, size_t bytes, void *arg)
{
    rb_supabase_answer_take_header(&RB_CAST(rb_supabase_call, arg, CALL_MAGIC)->result, line, bytes);
}

static void on_sent(const void *bytes, size_t count, bool from_stream, void *arg)
{
    struct rb_supabase_call *call = RB_CAST(rb_supabase_call, arg, CALL_MAGIC);

    if (call->spec.on_sent != NULL)
        call->spec.on_sent(bytes, count, from_stream, call->spec.arg);
}

static void on_body(const void *bytes, size_t count, void *arg)
{
    struct rb_supabase_call *call = RB_CAST(rb_supabase_call, arg, CALL_MAGIC);

    call->spec.on_body(bytes, count, call->spec.arg);
}

static void on_progress(void *arg)
{
    struct rb_supabase_call *call = RB_CAST(rb_supabase_call, arg, CALL_MAGIC);

    if (call->spec.on_progress != NULL)
        call->spec.on_progress(call->spec.arg);
}

static void on_called(void *arg)
{
    struct rb_supabase_call *call = RB_CAST(rb_supabase_call, arg, CALL_MAGIC);
    const struct rb_store_reply *reply = rb_store_call_reply(call->call);
    const struct rb_supabase_subject subject = {call->spec.doing, call->spec.bucket, call->spec.key};

    if (reply->status == 0)
        rb_supabase_answer_fail(&call->result, &subject, reply->code, reply->detail, reply->trouble);
    else
        rb_supabase_answer_judge(&call->result, &subject, reply->status, &reply->body);
    call->result.error.wait_ms = reply->wait_ms;
    if (rb_store_call_is_starved(call->call) && call->result.meaning == 408)
        rb_supabase_answer_fail(&call->result, &subject, RB_E_SOURCE_SLOW, 408,
                                "the source sent nothing until the store tired of waiting");
    call->spec.on_done(call->spec.arg);
}

struct rb_supabase_call *rb_supabase_call_new(const struct rb_supabase_env *env,
                                              const struct rb_supabase_call_spec *spec)
{
    struct rb_supabase_call *call = rb_xalloc(sizeof(*call));
    RB_AUTO_TEXT *url = rb_xprintf("%s%s", env->base, spec->path);

    struct curl_slist *headers = add_key(env, spec->headers);

    if (spec->traceparent != NULL)
        headers = rb_supabase_header(headers, "traceparent", spec->traceparent);
    *call = (struct rb_supabase_call){.magic = CALL_MAGIC, .env = env, .spec = *spec};
    call->spec.path = call->spec.traceparent = NULL;
    call->spec.headers = NULL;
    rb_supabase_answer_init(&call->result);

    const struct rb_store_call_spec below = {
        .method = spec->method,
        .url = url,
        .headers = headers,
        .body = spec->body,
        .body_bytes = spec->body_bytes,
        .stream = spec->stream,
        .stream_bytes = spec->stream_bytes,
        .hold_last = spec->hold_last,
        .connect_timeout_ms = env->connect_timeout_ms,
        .timeout_ms = RB_MAX(env->timeout_ms, PATIENCE_MIN_MS) * (spec->slow ? SLOW_FACTOR : 1),
        .answer_max_bytes = ANSWER_MAX_BYTES,
        .on_header = on_header,
        .on_sent = on_sent,
        .on_body = spec->on_body != NULL ? on_body : NULL,
        .on_progress = on_progress,
        .on_done = on_called,
        .arg = call,
    };
    call->call = rb_store_call_new(env->loop, env->http, &below);
    return call;
}

void rb_supabase_call_free(struct rb_supabase_call *call)
{
    if (call == NULL)
        return;
    rb_store_call_free(call->call);
    rb_supabase_answer_done(&call->result);
    call->magic = 0;
    free(call);
}

void rb_supabase_call_more(struct rb_supabase_call *call)
{
    rb_store_call_more(call->call);
}

void rb_supabase_call_release(struct rb_supabase_call *call)
{
    rb_store_call_release(call->call);
}

const struct rb_supabase_result *rb_supabase_call_result(const struct rb_supabase_call *call)
{
    return &call->result;
}
