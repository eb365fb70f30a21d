/*
 * store_s3_begin.c — an object on its way into S3: what its owner does with it, from beginning to end.
 *
 * Way:  download -> [store_s3] -> record
 */
#include "consumer/store_s3_put.h"

#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS   3000
#define ABORT_AFTER_MS 500 /* a server that is taking in a part has to notice first that it was cut */
#define MIB            (1 << 20)

static void tell(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    put->on_change(put->arg);
}

/* As asked for, but large enough that the parts are not too many. */
static int64_t size_of_parts(const struct rb_store_s3_config *config, int64_t length)
{
    int64_t least = (length / S3_PARTS_MAX / MIB + 1) * MIB;

    return RB_MAX(config->part_bytes, least);
}

struct rb_put *s3_put_begin(struct rb_store *base, const struct rb_put_spec *spec)
{
    struct store_s3 *store = (struct store_s3 *)base;
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
        .part_bytes = size_of_parts(&store->config, spec->bytes),
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
    put->again = rb_timer_new(store->loop, s3_put_on_again, put);
    if (put->length < 0)
        s3_put_enter(put, PUT_FILLING);
    else
        s3_put_enter(put, put->length <= store->config.single_max_bytes ? PUT_STREAMING : PUT_CREATING);
    return put;
}

void s3_put_more(struct rb_put *put)
{
    if (put->state == PUT_FILLING)
        s3_put_fill(put);
    else if (put->call != NULL && put->length >= 0)
        rb_s3_call_more(put->call);
}

void s3_put_commit(struct rb_put *put, int64_t bytes, const char *sha256)
{
    if (put->state == PUT_BROKEN)
        return;
    if (put->length >= 0 && put->length != bytes) {
        s3_put_break_with(put, RB_E_SOURCE_CUT, "has not the size that the source had said");
        return;
    }
    put->all_there = true;
    put->bytes = bytes;
    snprintf(put->sha256, sizeof(put->sha256), "%s", sha256);
    if (put->state == PUT_STREAMING && put->call != NULL)
        rb_s3_call_release(put->call);
    else
        s3_put_more(put);
}

enum rb_poll s3_put_poll(const struct rb_put *put, struct rb_error *err)
{
    if (put->state == PUT_BROKEN) {
        *err = put->error;
        return RB_POLL_FAILED;
    }
    return put->state == PUT_DONE ? RB_POLL_DONE : RB_POLL_WAIT;
}

void s3_put_end(struct rb_put *put, rb_loop_fn on_released, void *arg)
{
    bool cut = put->state == PUT_PART && put->call != NULL;

    put->ended = true;
    rb_task_done(&put->tell);
    rb_timer_stop(put->again);
    if (put->state != PUT_CREATING) { /* whose answer has the id that is needed to take it back */
        rb_s3_call_free(put->call);
        put->call = NULL;
    }
    s3_put_give_back(put);
    put->queue = NULL;
    on_released(arg);
    rb_backoff_reset(&put->backoff);
    if (put->upload_id == NULL && put->call == NULL) {
        s3_put_free(put);
    } else if (cut) {
        put->state = PUT_ABORTING;
        rb_timer_start(put->again, ABORT_AFTER_MS);
    } else if (put->upload_id != NULL) {
        s3_put_enter(put, PUT_ABORTING);
    }
}

void s3_put_free(struct rb_put *put)
{
    struct store_s3 *store = put->store;

    rb_s3_call_free(put->call);
    s3_put_give_back(put);
    rb_task_done(&put->tell);
    rb_timer_free(put->again);
    for (size_t i = 0; i < put->part_count; i++)
        free(put->etags[i]);
    free(put->etags);
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
