/*
 * store_s3_requests.c — the requests that an object on its way into S3 makes.
 *
 * Way:  download -> [store_s3] -> record
 */
#include <inttypes.h>

#include "common/failpoint.h"
#include "consumer/s3_xml.h"
#include "consumer/store_s3_put.h"

/* Headers of a request, as they come together. */
struct headers {
    struct rb_s3_header *rows;
    size_t count;
};

static void add(struct headers *headers, const char *name, const char *value)
{
    headers->rows[headers->count++] = (struct rb_s3_header){name, value};
}

/* What a new object is told: type, metadata, and how it is kept. */
static void add_object(const struct rb_put *put, struct headers *headers)
{
    add(headers, "content-type", put->content_type);
    add(headers, "x-amz-meta-reelbus-put", put->id);
    headers->count = s3_storage_headers(put->store, headers->rows, headers->count);
}

/* Only if there is none of that name. What was refused with this condition may have been so for it: then without. */
static void add_condition(struct rb_put *put, struct headers *headers)
{
    const struct store_s3 *store = put->store;
    bool wanted = !put->replace && !store->no_conditions;

    put->on_trial = wanted && store->doubted != NULL && strcmp(store->doubted, put->key) == 0;
    put->conditional = wanted && !put->on_trial;
    if (put->conditional)
        add(headers, "if-none-match", "*");
}

static char *upload_query(const struct rb_put *put, size_t part)
{
    struct rb_buffer query = {0};

    if (part > 0)
        rb_buffer_print(&query, "partNumber=%zu&", part);
    rb_buffer_print(&query, "uploadId=");
    rb_s3_encode(&query, put->upload_id, "");
    return rb_buffer_steal(&query);
}

static void print_escaped(struct rb_buffer *buffer, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&' || *text == '<' || *text == '>')
            rb_buffer_print(buffer, "&#%d;", *text);
        else
            rb_buffer_add(buffer, text, 1);
    }
}

static char *list_of_parts(const struct rb_put *put)
{
    struct rb_buffer text = {0};

    rb_buffer_print(&text, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < put->part_count; i++) {
        rb_buffer_print(&text, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
        print_escaped(&text, put->etags[i]);
        rb_buffer_print(&text, "</ETag></Part>");
    }
    rb_buffer_print(&text, "</CompleteMultipartUpload>");
    return rb_buffer_steal(&text);
}

static void body_from_buffer(const struct rb_put *put, struct rb_s3_call_spec *spec)
{
    spec->body = put->buffer;
    spec->body_bytes = put->buffer_used;
}

static void body_from_queue(const struct rb_put *put, struct rb_s3_call_spec *spec, int64_t bytes)
{
    spec->stream = put->queue;
    spec->stream_bytes = bytes;
}

static void send_object(struct rb_put *put, struct rb_s3_call_spec *spec, struct headers *headers)
{
    spec->doing = "write";
    spec->method = "PUT";
    spec->md5 = put->store->md5;
    add_object(put, headers);
    add_condition(put, headers);
    if (put->state == PUT_STREAMING) {
        body_from_queue(put, spec, put->length);
        spec->hold_last = true; /* the object appears with it */
    } else {
        body_from_buffer(put, spec);
        if (put->sha256[0] != '\0')
            add(headers, "x-amz-meta-sha256", put->sha256);
    }
}

static void send_part(struct rb_put *put, struct rb_s3_call_spec *spec, char **ret_query)
{
    spec->doing = "write a part of";
    spec->method = "PUT";
    spec->md5 = put->store->md5;
    *ret_query = upload_query(put, put->part_count + 1);
    spec->query = *ret_query;
    if (put->buffer != NULL)
        body_from_buffer(put, spec);
    else
        body_from_queue(put, spec, RB_MIN(put->part_bytes, put->length - put->parts_sent));
}

static void complete(struct rb_put *put, struct rb_s3_call_spec *spec, struct headers *headers, char **ret_query)
{
    RB_FAIL_HERE(s3_complete);
    spec->doing = "complete the upload of";
    spec->method = "POST";
    spec->slow = true;
    *ret_query = upload_query(put, 0);
    spec->query = *ret_query;
    put->call_body = list_of_parts(put);
    spec->body = put->call_body;
    spec->body_bytes = strlen(put->call_body);
    add(headers, "content-type", "application/xml");
    add_condition(put, headers);
}

/* Metadata cannot be changed, but an object can be copied onto itself with other metadata: only the one that was sent, and
 * not what somebody has put in its place since. */
static void copy(struct rb_put *put, struct rb_s3_call_spec *spec, struct headers *headers, char **ret_source)
{
    struct rb_buffer source = {0};

    rb_buffer_print(&source, "/");
    rb_s3_encode(&source, put->bucket, "");
    rb_buffer_print(&source, "/");
    rb_s3_encode(&source, put->key, "/");
    *ret_source = rb_buffer_steal(&source);
    spec->doing = "set the hash of";
    spec->method = "PUT";
    spec->slow = true;
    add(headers, "content-type", put->content_type);
    add(headers, "x-amz-copy-source", *ret_source);
    if (put->etag[0] != '\0')
        add(headers, "x-amz-copy-source-if-match", put->etag);
    add(headers, "x-amz-metadata-directive", "REPLACE");
    add(headers, "x-amz-meta-reelbus-put", put->id);
    add(headers, "x-amz-meta-sha256", put->sha256);
    headers->count = s3_storage_headers(put->store, headers->rows, headers->count);
}

static void tell_progress(void *arg)
{
    rb_task_queue(&RB_CAST(rb_put, arg, PUT_MAGIC)->tell);
}

void s3_put_ask(struct rb_put *put, rb_loop_fn on_done)
{
    struct rb_s3_call_spec spec = {
        .bucket = put->bucket,
        .key = put->key,
        .traceparent = put->traceparent,
        .on_progress = tell_progress,
        .on_done = on_done,
        .arg = put,
    };
    struct headers headers = {.rows = spec.headers};
    RB_AUTO_TEXT *text = NULL;

    free(put->call_body);
    put->call_body = NULL;
    put->conditional = put->on_trial = false;
    switch (put->state) {
    case PUT_STREAMING:
    case PUT_SENDING:
        send_object(put, &spec, &headers);
        break;
    case PUT_CREATING:
        spec.doing = "begin the upload of";
        spec.method = "POST";
        spec.query = "uploads=";
        add_object(put, &headers);
        break;
    case PUT_PART:
        send_part(put, &spec, &text);
        break;
    case PUT_COMPLETING:
        complete(put, &spec, &headers, &text);
        break;
    case PUT_LOOKING:
        spec.doing = "look at";
        spec.method = "HEAD";
        break;
    case PUT_COPYING:
        copy(put, &spec, &headers, &text);
        break;
    case PUT_ABORTING:
        spec.doing = "take back the upload of";
        spec.method = "DELETE";
        text = upload_query(put, 0);
        spec.query = text;
        break;
    case PUT_FILLING:
    case PUT_DONE:
    case PUT_BROKEN:
        RB_BUG("this state has no request");
    }
    put->call = rb_s3_call_new(&put->store->env, &spec);
    if (put->state == PUT_STREAMING && put->all_there)
        rb_s3_call_release(put->call);
}

static void take_id(const char *path, const char *text, void *arg)
{
    char **id = arg;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0 && *id == NULL && text[0] != '\0')
        *id = rb_xstrdup(text);
}

static void take_etag(const char *path, const char *text, void *arg)
{
    char **etag = arg;

    if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0 && *etag == NULL)
        *etag = rb_xstrdup(text);
}

void s3_put_read_etag(const struct rb_s3_result *result, char *ret_etag, size_t room)
{
    struct rb_error ignored = {0};
    char *etag = NULL;

    if (result->body.used > 0)
        (void)!rb_s3_xml_read(result->body.bytes, result->body.used, take_etag, &etag, &ignored);
    snprintf(ret_etag, room, "%s", etag != NULL && strlen(etag) < room ? etag : "");
    free(etag);
}

int s3_put_read_id(const struct rb_s3_result *result, char **ret_id, struct rb_error *err)
{
    char *id = NULL;

    if (result->body.used > 0 && rb_s3_xml_read(result->body.bytes, result->body.used, take_id, &id, err) < 0) {
        free(id);
        return -1;
    }
    if (id == NULL)
        return rb_fail(err, RB_E_STORE_AWAY, 0, "the store begins an upload without an id");
    *ret_id = id;
    return 0;
}

bool s3_put_is_other(const struct rb_s3_result *result)
{
    const char *etag = result->etag + (result->etag[0] == '"');
    size_t bytes = strcspn(etag, "\"");
    bool is_md5 = bytes == 32 && strspn(etag, "0123456789abcdefABCDEF") == 32;

    return result->md5[0] != '\0' && is_md5 && strncmp(result->encryption, "aws:kms", 7) != 0 &&
           strncasecmp(etag, result->md5, 32) != 0;
}
