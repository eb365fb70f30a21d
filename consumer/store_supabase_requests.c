/*
 * store_supabase_requests.c — the requests that an object on its way into Supabase Storage makes.
 *
 * Way:  download -> [store_supabase] -> record
 */
#include <inttypes.h>

#include "consumer/store_supabase_put.h"

/* What an object is told about itself: whose it is, and its hash once that is known. */
static char *metadata_of(const struct rb_put *put)
{
    RB_AUTO_BUFFER text = {0};

    rb_buffer_print(&text, "{\"reelbus-put\":\"%s\"", put->id);
    if (put->all_there)
        rb_buffer_print(&text, ",\"sha256\":\"%s\"", put->sha256);
    rb_buffer_print(&text, "}");
    return rb_supabase_base64(text.bytes);
}

/* The server takes exactly "true" for yes. */
static struct curl_slist *add_upsert(const struct rb_put *put, struct curl_slist *headers)
{
    return put->replace ? rb_supabase_header(headers, "x-upsert", "true") : headers;
}

static struct curl_slist *add_metadata(const struct rb_put *put, struct curl_slist *headers)
{
    RB_AUTO_TEXT *metadata = metadata_of(put);

    return rb_supabase_header(headers, "x-metadata", metadata);
}

static void keep_sent(const void *bytes, size_t count, bool from_stream, void *arg)
{
    if (from_stream)
        supabase_kept_add(RB_CAST(rb_put, arg, PUT_MAGIC), bytes, count);
}

/* The bytes up to `end`, or up to the end of the queue: first those that were taken out of the queue before. */
static void send_bytes(struct rb_put *put, struct rb_supabase_call_spec *spec, int64_t end)
{
    bool last = end == put->length;

    if (put->kept_used == 0)
        supabase_kept_open(put);
    spec->body = put->kept;
    spec->body_bytes = put->kept_used;
    spec->on_sent = keep_sent;
    if (end == put->taken)
        return;
    spec->stream = put->queue;
    spec->stream_bytes = end < 0 ? RB_STORE_CALL_UNKNOWN : end - put->taken;
    spec->hold_last = last; /* the object appears with it */
}

static void send_object(struct rb_put *put, struct rb_supabase_call_spec *spec)
{
    RB_AUTO_TEXT *cache = rb_xprintf("max-age=%" PRId64, put->store->config.cache_ms / 1000);

    spec->doing = "write";
    spec->method = "POST";
    spec->headers = rb_supabase_header(spec->headers, "Content-Type", put->content_type);
    spec->headers = rb_supabase_header(spec->headers, "Cache-Control", cache);
    spec->headers = add_metadata(put, add_upsert(put, spec->headers));
    send_bytes(put, spec, put->length);
}

static void add_pair(struct rb_buffer *buffer, const char *name, const char *value)
{
    RB_AUTO_TEXT *encoded = rb_supabase_base64(value);

    rb_buffer_print(buffer, "%s%s %s", buffer->used > 0 ? "," : "", name, encoded);
}

static void create(struct rb_put *put, struct rb_supabase_call_spec *spec)
{
    RB_AUTO_TEXT *length = rb_xprintf("%" PRId64, put->length);
    RB_AUTO_TEXT *cache = rb_xprintf("%" PRId64, put->store->config.cache_ms / 1000);
    RB_AUTO_TEXT *metadata = rb_xprintf("{\"reelbus-put\":\"%s\"}", put->id);
    RB_AUTO_BUFFER pairs = {0};

    add_pair(&pairs, "bucketName", put->bucket);
    add_pair(&pairs, "objectName", put->key);
    add_pair(&pairs, "contentType", put->content_type);
    add_pair(&pairs, "cacheControl", cache);
    add_pair(&pairs, "metadata", metadata);
    spec->doing = "begin the upload of";
    spec->method = "POST";
    spec->headers = rb_supabase_header(spec->headers, "Upload-Length", length);
    spec->headers = rb_supabase_header(spec->headers, "Upload-Metadata", pairs.bytes);
}

static void send_chunk(struct rb_put *put, struct rb_supabase_call_spec *spec)
{
    RB_AUTO_TEXT *offset = rb_xprintf("%" PRId64, put->offset);

    spec->doing = "write a chunk of";
    spec->method = "PATCH";
    spec->headers = rb_supabase_header(spec->headers, "Content-Type", "application/offset+octet-stream");
    spec->headers = rb_supabase_header(spec->headers, "Upload-Offset", offset);
    send_bytes(put, spec, RB_MIN(put->offset + RB_SUPABASE_CHUNK_BYTES, put->length));
}

/* Metadata cannot be changed, but an object can be copied onto itself with other metadata. */
static void copy(struct rb_put *put, struct rb_supabase_call_spec *spec)
{
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:b}", "bucketId", put->bucket, "sourceKey", put->key,
                             "destinationBucket", put->bucket, "destinationKey", put->key, "copyMetadata", 0);

    put->call_body = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    spec->doing = "set the hash of";
    spec->method = "POST";
    spec->slow = true;
    spec->body = put->call_body;
    spec->body_bytes = strlen(put->call_body);
    spec->headers = rb_supabase_header(spec->headers, "Content-Type", "application/json");
    spec->headers = rb_supabase_header(spec->headers, "x-upsert", "true");
    spec->headers = add_metadata(put, spec->headers);
}

static char *path_of(const struct rb_put *put)
{
    switch (put->state) {
    case PUT_SENDING:
        return rb_supabase_path("/object", put->bucket, put->key);
    case PUT_LOOKING:
        return rb_supabase_path("/object/info", put->bucket, put->key);
    case PUT_COPYING:
        return rb_xstrdup("/object/copy");
    case PUT_CREATING:
        return rb_xstrdup("/upload/resumable");
    default:
        return rb_xprintf("/upload/resumable/%s", put->upload_id);
    }
}

static void add_request(struct rb_put *put, struct rb_supabase_call_spec *spec)
{
    switch (put->state) {
    case PUT_SENDING:
        send_object(put, spec);
        break;
    case PUT_CREATING:
        create(put, spec);
        break;
    case PUT_CHUNK:
        send_chunk(put, spec);
        break;
    case PUT_MEASURING:
        spec->doing = "look at the upload of";
        spec->method = "HEAD";
        break;
    case PUT_LOOKING:
        spec->doing = "look at";
        spec->method = "GET";
        break;
    case PUT_COPYING:
        copy(put, spec);
        break;
    case PUT_REMOVING:
        spec->doing = "take back the upload of";
        spec->method = "DELETE";
        break;
    case PUT_DONE:
    case PUT_BROKEN:
        RB_BUG("this state has no request");
    }
}

static bool is_resumable(enum put_state state)
{
    return state == PUT_CREATING || state == PUT_CHUNK || state == PUT_MEASURING || state == PUT_REMOVING;
}

static void tell_progress(void *arg)
{
    rb_task_queue(&RB_CAST(rb_put, arg, PUT_MAGIC)->tell);
}

void supabase_put_ask(struct rb_put *put, rb_loop_fn on_done)
{
    RB_AUTO_TEXT *path = path_of(put);
    struct rb_supabase_call_spec spec = {
        .path = path,
        .bucket = put->bucket,
        .key = put->key,
        .traceparent = put->traceparent,
        .on_progress = tell_progress,
        .on_done = on_done,
        .arg = put,
    };

    free(put->call_body);
    put->call_body = NULL;
    if (is_resumable(put->state)) {
        spec.headers = rb_supabase_header(NULL, "Tus-Resumable", "1.0.0");
        spec.headers = add_upsert(put, spec.headers); /* on every request: each is checked on its own */
    }
    add_request(put, &spec);
    put->call = rb_supabase_call_new(&put->store->env, &spec);
    if (put->all_there)
        rb_supabase_call_release(put->call);
}
