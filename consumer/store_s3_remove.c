/*
 * store_s3_remove.c — removes an object from an S3 store.
 *
 * Way:  remove -> [store_s3]
 */
#include "consumer/store_s3_ask.h"

/* Most servers answer 204 for what is not there, some 404. A bucket that is not there is another matter: the wrong one, maybe. */
static void after_remove(struct rb_ask *ask, const struct rb_s3_result *result)
{
    bool gone = result->status == 404 && strcmp(result->code, "NoSuchBucket") != 0;

    if (result->error.code != RB_E_NONE && !gone)
        s3_ask_fail(ask, &result->error);
    else
        ask->state = RB_POLL_DONE;
}

struct rb_ask *s3_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = s3_ask_new(base, object->bucket, object->key, on_change, arg);

    s3_ask_call(ask, (struct rb_s3_call_spec){.doing = "remove", .method = "DELETE", .key = ask->key}, after_remove);
    return ask;
}
