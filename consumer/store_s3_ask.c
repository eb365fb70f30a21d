/*
 * store_s3_ask.c — questions to an S3 store: is it there, may we write, what was left unfinished.
 *
 * Way:  download -> [store_s3] -> record
 *
 * An ask is a row of calls, one at a time. The function that each of them ends in decides what comes next.
 */
#include <inttypes.h>

#include "common/clock.h"
#include "consumer/s3_xml.h"
#include "consumer/store_s3_internal.h"

#define ASK_MAGIC       0x53334153u
#define UPLOADS_MAX     1000 /* that one page of the list holds */
#define SWEEP_PAGES_MAX 1000

/* An upload that was begun and never completed. */
struct upload {
    char *key;
    char *id;
};

/* A page of the list of them, while it is worked off. */
struct uploads {
    struct upload rows[UPLOADS_MAX];
    size_t count;
    size_t done;
    struct upload reading; /* the one that is being read */
    char *initiated;
    char *next_key; /* where the next page begins; NULL when this is the last one */
    char *next_id;
    bool more;
    size_t pages;
};

struct rb_ask {
    uint32_t magic;
    struct store_s3 *store; /* borrowed */
    char *bucket;
    char *key;
    char *body; /* of the call that is out */
    enum rb_check how;
    bool made;
    int64_t older_than_ms;
    struct uploads *uploads; /* of a sweep; NULL for others */
    struct rb_s3_call *call;
    void (*next)(struct rb_ask *ask, const struct rb_s3_result *result);
    enum rb_poll state;
    struct rb_store_answer answer;
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static void on_called(void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);
    struct rb_s3_call *call = ask->call;

    ask->call = NULL;
    ask->next(ask, rb_s3_call_result(call));
    rb_s3_call_free(call);
    if (ask->state != RB_POLL_WAIT)
        ask->on_change(ask->arg);
}

static void ask_call(struct rb_ask *ask, struct rb_s3_call_spec spec,
                     void (*next)(struct rb_ask *ask, const struct rb_s3_result *result))
{
    spec.bucket = ask->bucket;
    spec.on_done = on_called;
    spec.arg = ask;
    ask->next = next;
    ask->call = rb_s3_call_new(&ask->store->env, &spec);
}

static void ask_fail(struct rb_ask *ask, const struct rb_error *err)
{
    ask->state = RB_POLL_FAILED;
    ask->error = *err;
}

static struct rb_ask *ask_new(struct rb_store *base, const char *bucket, const char *key, rb_loop_fn on_change,
                              void *arg)
{
    struct rb_ask *ask = rb_xalloc(sizeof(*ask));

    *ask = (struct rb_ask){
        .magic = ASK_MAGIC,
        .store = (struct store_s3 *)base,
        .bucket = rb_xstrdup(bucket),
        .key = rb_xstrdup(key),
        .on_change = on_change,
        .arg = arg,
        .answer.bytes = -1,
    };
    return ask;
}

/* find */

/* Without the right to list, S3 answers 403 for what is not there: then nobody can say. Whatever else is refused is refused
 * again when the object is written, with a body that says why. */
static void after_find(struct rb_ask *ask, const struct rb_s3_result *result)
{
    if (result->error.code != RB_E_NONE && (result->status < 400 || result->status >= 500)) {
        ask_fail(ask, &result->error);
        return;
    }
    ask->state = RB_POLL_DONE;
    ask->answer.found = result->status != 404;
    if (result->error.code == RB_E_NONE) {
        ask->answer.bytes = result->bytes;
        snprintf(ask->answer.sha256, sizeof(ask->answer.sha256), "%s", result->sha256);
    }
}

struct rb_ask *s3_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = ask_new(base, object->bucket, object->key, on_change, arg);

    ask_call(ask, (struct rb_s3_call_spec){.doing = "look for", .method = "HEAD", .key = ask->key}, after_find);
    return ask;
}

/* check: is the bucket there? And may we write: an upload is begun and taken back, nothing of it is ever seen. */

static void take_upload_id(const char *path, const char *text, void *arg)
{
    char **id = arg;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0 && *id == NULL)
        *id = rb_xstrdup(text);
}

static void after_try_end(struct rb_ask *ask, const struct rb_s3_result *result)
{
    (void)result; /* that it could be begun is what counts */
    ask->state = RB_POLL_DONE;
    ask->answer.found = true;
    ask->answer.made = ask->made;
}

static void after_try(struct rb_ask *ask, const struct rb_s3_result *result)
{
    RB_AUTO_TEXT *id = NULL;
    RB_AUTO_BUFFER query = {0};
    struct rb_error err = {0};

    if (result->error.code != RB_E_NONE) {
        ask_fail(ask, &result->error);
        return;
    }
    if (rb_s3_xml_read(result->body.bytes, result->body.used, take_upload_id, &id, &err) < 0 || id == NULL) {
        rb_fail(&err, RB_E_STORE_AWAY, 0, "the store begins an upload without an id");
        ask_fail(ask, &err);
        return;
    }
    rb_buffer_print(&query, "uploadId=");
    rb_s3_encode(&query, id, "");
    ask_call(ask,
             (struct rb_s3_call_spec){
                 .doing = "take back a test upload to", .method = "DELETE", .key = ask->key, .query = query.bytes},
             after_try_end);
}

static void try_to_write(struct rb_ask *ask)
{
    struct rb_s3_call_spec spec = {
        .doing = "begin a test upload to", .method = "POST", .key = ask->key, .query = "uploads="};

    (void)s3_storage_headers(ask->store, spec.headers, 0);
    ask_call(ask, spec, after_try);
}

static void after_make(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool there = strcmp(result->code, "BucketAlreadyOwnedByYou") == 0;

    if (result->error.code != RB_E_NONE && !there) {
        ask_fail(ask, &result->error);
        return;
    }
    ask->made = !there;
    try_to_write(ask);
}

static void make_bucket(struct rb_ask *ask)
{
    const char *region = ask->store->config.region;
    bool named = ask->store->config.endpoint[0] == '\0' && strcmp(region, "us-east-1") != 0;

    free(ask->body);
    ask->body = named ? rb_xprintf("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                                   "<LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
                                   region)
                      : NULL;
    ask_call(ask,
             (struct rb_s3_call_spec){.doing = "make the bucket",
                                      .method = "PUT",
                                      .body = ask->body,
                                      .body_bytes = named ? strlen(ask->body) : 0},
             after_make);
}

static void after_look(struct rb_ask *ask, const struct rb_s3_result *result)
{
    struct rb_error err = {0};

    if (result->status == 404 && ask->how == RB_CHECK_MAKE) {
        make_bucket(ask);
    } else if (result->status == 404) {
        rb_fail(&err, RB_E_STORE_REFUSED, 404, "there is no bucket '%s'; make it, or run setup with s3_make_bucket",
                ask->bucket);
        ask_fail(ask, &err);
    } else if (result->error.code != RB_E_NONE && result->status != 403) {
        ask_fail(ask, &result->error);
    } else if (ask->how == RB_CHECK_LOOK && result->error.code == RB_E_NONE) {
        ask->state = RB_POLL_DONE;
        ask->answer.found = true;
    } else {
        try_to_write(ask); /* after 403 too: who may only write may not look */
    }
}

struct rb_ask *s3_ask_check(struct rb_store *base, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                            void *arg)
{
    struct rb_ask *ask = ask_new(base, bucket, ".reelbus-check", on_change, arg);

    ask->how = how;
    ask_call(ask, (struct rb_s3_call_spec){.doing = "look at the bucket", .method = "HEAD"}, after_look);
    return ask;
}

/* sweep */

static void sweep_page(struct rb_ask *ask);

static void take_text(char **place, const char *text)
{
    free(*place);
    *place = rb_xstrdup(text);
}

static bool is_old(const struct rb_ask *ask)
{
    int64_t initiated_ms = 0;

    return ask->uploads->initiated != NULL && rb_clock_parse(ask->uploads->initiated, &initiated_ms) == 0 &&
           rb_clock_unix_ms() - initiated_ms >= ask->older_than_ms;
}

/* One <Upload> has been read: old ones are kept for removing. */
static void end_upload(struct rb_ask *ask)
{
    struct uploads *uploads = ask->uploads;

    if (uploads->reading.key != NULL && uploads->reading.id != NULL && is_old(ask) && uploads->count < UPLOADS_MAX) {
        uploads->rows[uploads->count++] = uploads->reading;
        uploads->reading = (struct upload){0};
    }
    free(uploads->initiated);
    uploads->initiated = NULL;
}

static void on_list_element(const char *path, const char *text, void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);
    struct uploads *uploads = ask->uploads;

    if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0)
        take_text(&uploads->reading.key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0)
        take_text(&uploads->reading.id, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/Initiated") == 0)
        take_text(&uploads->initiated, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0)
        end_upload(ask);
    else if (strcmp(path, "ListMultipartUploadsResult/IsTruncated") == 0)
        uploads->more = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListMultipartUploadsResult/NextKeyMarker") == 0)
        take_text(&uploads->next_key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/NextUploadIdMarker") == 0)
        take_text(&uploads->next_id, text);
}

static void sweep_next(struct rb_ask *ask);

static void after_removal(struct rb_ask *ask, const struct rb_s3_result *result)
{
    if (result->error.code != RB_E_NONE && result->status != 404) {
        ask_fail(ask, &result->error);
        return;
    }
    ask->answer.swept += result->error.code == RB_E_NONE;
    sweep_next(ask);
}

static void drop_rows(struct uploads *uploads)
{
    for (size_t i = 0; i < uploads->count; i++) {
        free(uploads->rows[i].key);
        free(uploads->rows[i].id);
    }
    uploads->count = 0;
    uploads->done = 0;
}

/* Remove the next one of the page; at its end, ask for the next page. */
static void sweep_next(struct rb_ask *ask)
{
    struct uploads *uploads = ask->uploads;

    if (uploads->done < uploads->count) {
        const struct upload *upload = &uploads->rows[uploads->done++];
        RB_AUTO_BUFFER query = {0};

        rb_buffer_print(&query, "uploadId=");
        rb_s3_encode(&query, upload->id, "");
        ask_call(ask,
                 (struct rb_s3_call_spec){
                     .doing = "remove an upload of", .method = "DELETE", .key = upload->key, .query = query.bytes},
                 after_removal);
    } else if (uploads->more && uploads->next_key != NULL && ++uploads->pages < SWEEP_PAGES_MAX) {
        drop_rows(uploads);
        sweep_page(ask);
    } else {
        ask->state = RB_POLL_DONE;
    }
}

static void after_list(struct rb_ask *ask, const struct rb_s3_result *result)
{
    struct rb_error err = {0};

    if (result->error.code != RB_E_NONE) {
        ask_fail(ask, &result->error);
        return;
    }
    ask->uploads->more = false;
    if (rb_s3_xml_read(result->body.bytes, result->body.used, on_list_element, ask, &err) < 0)
        ask_fail(ask, &err);
    else
        sweep_next(ask);
}

static void add_parameter(struct rb_buffer *query, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    rb_buffer_print(query, "%s=", name);
    rb_s3_encode(query, value, "");
    rb_buffer_add(query, "&", 1);
}

static void sweep_page(struct rb_ask *ask)
{
    RB_AUTO_BUFFER query = {0};

    add_parameter(&query, "key-marker", ask->uploads->next_key);
    add_parameter(&query, "prefix", ask->key);
    add_parameter(&query, "upload-id-marker", ask->uploads->next_id);
    rb_buffer_print(&query, "uploads=");
    ask_call(ask, (struct rb_s3_call_spec){.doing = "list the uploads of", .method = "GET", .query = query.bytes},
             after_list);
}

struct rb_ask *s3_ask_sweep(struct rb_store *base, const struct rb_sweep *what, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = ask_new(base, what->bucket, what->prefix, on_change, arg);

    ask->older_than_ms = what->older_than_ms;
    ask->uploads = rb_xalloc(sizeof(*ask->uploads));
    sweep_page(ask);
    return ask;
}

enum rb_poll s3_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err)
{
    if (ask->state == RB_POLL_DONE)
        *ret_answer = ask->answer;
    else if (ask->state == RB_POLL_FAILED)
        *err = ask->error;
    return ask->state;
}

void s3_ask_forget(struct rb_ask *ask)
{
    rb_s3_call_free(ask->call);
    if (ask->uploads != NULL) {
        drop_rows(ask->uploads);
        free(ask->uploads->reading.key);
        free(ask->uploads->reading.id);
        free(ask->uploads->initiated);
        free(ask->uploads->next_key);
        free(ask->uploads->next_id);
        free(ask->uploads);
    }
    free(ask->bucket);
    free(ask->key);
    free(ask->body);
    ask->magic = 0;
    free(ask);
}
