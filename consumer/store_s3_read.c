/*
 * store_s3_read.c — reads an object of an S3 store to its end, for its hash.
 *
 * Way:  verify -> [store_s3]
 */
#include "consumer/store_s3_ask.h"

static void on_bytes(const void *bytes, size_t count, void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);

    rb_store_read_take(&ask->read, bytes, count);
}

static void after_read(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool gone = result->status == 404;

    if (result->error.code != RB_E_NONE && !gone) {
        s3_ask_fail(ask, &result->error);
        return;
    }
    if (!gone)
        rb_store_read_end(&ask->read, &ask->answer);
    ask->state = RB_POLL_DONE;
}

struct rb_ask *s3_ask_read(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, object->bucket, object->key, on_change, arg);

    rb_store_read_begin(&ask->read);
    s3_ask_call(ask, (struct rb_s3_call_spec){.doing = "read", .method = "GET", .key = ask->key, .on_body = on_bytes},
                after_read);
    return ask;
}
