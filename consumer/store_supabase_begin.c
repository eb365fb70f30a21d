/*
 * store_supabase_begin.c — an object on its way into Supabase Storage: what its owner does with it, from beginning to end.
 *
 * Way:  download -> [store_supabase] -> record
 */
#include "consumer/store_supabase_put.h"

#define RETRY_FIRST_MS  200
#define RETRY_MAX_MS    3000
#define REMOVE_AFTER_MS 500 /* a server that is taking in a chunk has to notice first that it was cut */

static void tell(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    put->on_change(put->arg);
}

struct rb_put *supabase_put_begin(struct rb_store *base, const struct rb_put_spec *spec)
{
    struct store_supabase *store = (struct store_supabase *)base;
    struct rb_put *put = rb_xalloc(sizeof(*put));

    *put = (struct rb_put){
        .magic = PUT_MAGIC,
        .store = store,
        .next = store->puts,
        .link = &store->puts,
        .bucket = rb_xstrdup(spec->object->bucket),
        .key = rb_xstrdup(spec->object->key),
        .content_type = rb_xstrdup(spec->object->content_type),
        .traceparent = rb_xstrdup(spec->object->traceparent),
        .replace = spec->replace,
        .length = spec->bytes,
        .queue = spec->queue,
        .on_change = spec->on_change,
        .arg = spec->arg,
        .backoff = {RETRY_FIRST_MS, RETRY_MAX_MS, 0},
    };
    if (put->next != NULL)
        put->next->link = &put->next;
    store->puts = put;
    rb_uuid_new(put->id);
    rb_task_init(&put->tell, store->loop, tell, put);
    put->again = rb_timer_new(store->loop, supabase_put_on_again, put);
    if (store->misfit.code != RB_E_NONE)
        supabase_put_break(put, &store->misfit);
    else
        supabase_put_enter(put, put->length <= store->config.single_max_bytes ? PUT_SENDING : PUT_CREATING);
    return put;
}

void supabase_put_more(struct rb_put *put)
{
    if (put->call != NULL)
        rb_supabase_call_more(put->call);
}

void supabase_put_commit(struct rb_put *put, int64_t bytes, const char *sha256)
{
    if (put->state == PUT_BROKEN)
        return;
    if (put->length >= 0 && put->length != bytes) {
        supabase_put_break_with(put, RB_E_SOURCE_CUT, "has not the size that the source had said");
        return;
    }
    put->all_there = true;
    put->bytes = bytes;
    snprintf(put->sha256, sizeof(put->sha256), "%s", sha256);
    if (put->call != NULL)
        rb_supabase_call_release(put->call);
}

enum rb_poll supabase_put_poll(const struct rb_put *put, struct rb_error *err)
{
    if (put->state == PUT_BROKEN) {
        *err = put->error;
        return RB_POLL_FAILED;
    }
    return put->state == PUT_DONE ? RB_POLL_DONE : RB_POLL_WAIT;
}

void supabase_put_end(struct rb_put *put, rb_loop_fn on_released, void *arg)
{
    bool cut = put->state == PUT_CHUNK && put->call != NULL;

    if (supabase_put_is_sent(put))
        supabase_put_drop_upload(put); /* it may be the object by now: the server would take its bytes away */
    put->ended = true;
    rb_task_done(&put->tell);
    rb_timer_stop(put->again);
    if (put->state != PUT_CREATING) { /* whose answer has the name that is needed to take it back */
        rb_supabase_call_free(put->call);
        put->call = NULL;
    }
    supabase_kept_close(put);
    put->queue = NULL;
    on_released(arg);
    rb_backoff_reset(&put->backoff);
    if (put->upload_id == NULL && put->call == NULL) {
        supabase_put_free(put);
    } else if (cut) {
        put->state = PUT_REMOVING;
        rb_timer_start(put->again, REMOVE_AFTER_MS);
    } else if (put->upload_id != NULL) {
        supabase_put_enter(put, PUT_REMOVING);
    }
}

void supabase_put_free(struct rb_put *put)
{
    struct store_supabase *store = put->store;

    rb_supabase_call_free(put->call);
    supabase_kept_close(put);
    rb_task_done(&put->tell);
    rb_timer_free(put->again);
    free(put->upload_id);
    free(put->call_body);
    free(put->bucket);
    free(put->key);
    free(put->content_type);
    free(put->traceparent);
    *put->link = put->next;
    if (put->next != NULL)
        put->next->link = put->link;
    put->magic = 0;
    free(put);
    if (store->closing && store->puts == NULL)
        rb_loop_stop(store->loop);
}
