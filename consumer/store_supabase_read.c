/*
 * store_supabase_read.c — reads an object of Supabase Storage to its end, for its hash.
 *
 * Way:  verify -> [store_supabase]
 */
#include "consumer/store_supabase_ask.h"

static void on_bytes(const void *bytes, size_t count, void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);

    rb_store_read_take(&ask->read, bytes, count);
}

static void after_read(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    bool gone = result->error.code != RB_E_NONE && result->meaning == 404;

    if (result->error.code != RB_E_NONE && !gone) {
        supabase_ask_fail(ask, &result->error);
        return;
    }
    if (!gone)
        rb_store_read_end(&ask->read, &ask->answer);
    ask->state = RB_POLL_DONE;
}

struct rb_ask *supabase_ask_read(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = supabase_ask_new(base, object->bucket, object->key, on_change, arg);
    RB_AUTO_TEXT *path = rb_supabase_path("/object/authenticated", object->bucket, object->key);

    rb_store_read_begin(&ask->read);
    supabase_ask_call(ask,
                      (struct rb_supabase_call_spec){
                          .doing = "read", .method = "GET", .path = path, .key = ask->key, .on_body = on_bytes},
                      after_read);
    return ask;
}
