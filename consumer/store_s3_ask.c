/*
 * store_s3_ask.c — questions to an S3 store: is it there, may we write.
 *
 * Way:  download -> [store_s3] -> record
 *
 * An ask is a row of calls, one at a time. The function that each of them ends in decides what comes next.
 */
#include "consumer/store_s3_ask.h"
#include "consumer/s3_xml.h"

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

void s3_ask_call(struct rb_ask *ask, struct rb_s3_call_spec spec,
                 void (*next)(struct rb_ask *ask, const struct rb_s3_result *result))
{
    spec.bucket = ask->bucket;
    spec.on_done = on_called;
    spec.arg = ask;
    ask->next = next;
    ask->call = rb_s3_call_new(&ask->store->env, &spec);
}

void s3_ask_fail(struct rb_ask *ask, const struct rb_error *err)
{
    ask->state = RB_POLL_FAILED;
    ask->error = *err;
}

struct rb_ask *s3_ask_new(struct rb_store *base, const char *bucket, const char *key, rb_loop_fn on_change, void *arg)
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

/* Without the right to list, S3 answers 403 for what is not there. Then nobody can say, and it counts as not there: so the
 * object is written under the condition that it is not, and what another has written meanwhile is not replaced unseen.
 * Whatever else is refused is refused again when the object is written, with a body that says why. But who asks us to come later is not asked for more. */
static void after_find(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool refused = result->status >= 400 && result->status < 500 && result->error.code != RB_E_STORE_BUSY;

    if (result->error.code != RB_E_NONE && !refused) {
        s3_ask_fail(ask, &result->error);
        return;
    }
    ask->state = RB_POLL_DONE;
    ask->answer.found = result->error.code == RB_E_NONE;
    ask->answer.refused = refused && result->status != 404;
    if (ask->answer.found) {
        ask->answer.bytes = result->bytes;
        snprintf(ask->answer.sha256, sizeof(ask->answer.sha256), "%s", result->sha256);
    }
}

struct rb_ask *s3_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, object->bucket, object->key, on_change, arg);

    s3_ask_call(ask,
                (struct rb_s3_call_spec){
                    .doing = "look for", .method = "HEAD", .key = ask->key, .traceparent = object->traceparent},
                after_find);
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
        s3_ask_fail(ask, &result->error);
        return;
    }
    if (rb_s3_xml_read(result->body.bytes, result->body.used, take_upload_id, &id, &err) < 0 || id == NULL) {
        rb_fail(&err, RB_E_STORE_AWAY, 0, "the store begins an upload without an id");
        s3_ask_fail(ask, &err);
        return;
    }
    rb_buffer_print(&query, "uploadId=");
    rb_s3_encode(&query, id, "");
    s3_ask_call(ask,
                (struct rb_s3_call_spec){
                    .doing = "take back a test upload to", .method = "DELETE", .key = ask->key, .query = query.bytes},
                after_try_end);
}

static void try_to_write(struct rb_ask *ask)
{
    struct rb_s3_call_spec spec = {
        .doing = "begin a test upload to", .method = "POST", .key = ask->key, .query = "uploads="};

    (void)s3_storage_headers(ask->store, spec.headers, 0);
    s3_ask_call(ask, spec, after_try);
}

static void after_make(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool there = strcmp(result->code, "BucketAlreadyOwnedByYou") == 0;

    if (result->error.code != RB_E_NONE && !there) {
        s3_ask_fail(ask, &result->error);
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
    s3_ask_call(ask,
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
        s3_ask_fail(ask, &err);
    } else if (result->error.code != RB_E_NONE && result->status != 403) {
        s3_ask_fail(ask, &result->error);
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
    struct rb_ask *ask = s3_ask_new(base, bucket, ".reelbus-check", on_change, arg);

    ask->how = how;
    s3_ask_call(ask, (struct rb_s3_call_spec){.doing = "look at the bucket", .method = "HEAD"}, after_look);
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
    s3_sweep_free(ask->uploads);
    s3_list_free(ask->listing);
    rb_store_read_done(&ask->read);
    free(ask->bucket);
    free(ask->key);
    free(ask->body);
    free(ask->kept);
    ask->magic = 0;
    free(ask);
}
