/*
 * pool.c — a call that blocks, made off the loop.
 *
 * Way:  common
 */
#include "common/pool.h"

#include <stdatomic.h>

#define POOL_CALL_MAGIC 0x504f4f4cu

struct rb_pool_call {
    uint32_t magic;
    uv_work_t work;
    rb_loop_fn work_fn;
    rb_loop_fn done_fn; /* NULL when there is none, or it was called */
    void *arg;          /* borrowed */
    atomic_bool ended;
};

static void on_work(uv_work_t *work)
{
    struct rb_pool_call *call = RB_CAST(rb_pool_call, work->data, POOL_CALL_MAGIC);

    call->work_fn(call->arg);
    atomic_store(&call->ended, true);
}

static void on_done(uv_work_t *work, int status)
{
    struct rb_pool_call *call = RB_CAST(rb_pool_call, work->data, POOL_CALL_MAGIC);

    (void)status; /* nobody cancels it */
    if (call->done_fn != NULL)
        call->done_fn(call->arg);
    call->magic = 0;
    free(call);
}

struct rb_pool_call *rb_pool_start(struct rb_loop *loop, rb_loop_fn work, rb_loop_fn done, void *arg)
{
    struct rb_pool_call *call = rb_xalloc(sizeof(*call));

    *call = (struct rb_pool_call){.magic = POOL_CALL_MAGIC, .work_fn = work, .done_fn = done, .arg = arg};
    call->work.data = call;
    if (uv_queue_work(rb_loop_uv(loop), &call->work, on_work, on_done) < 0)
        RB_BUG("libuv takes no work");
    return call;
}

bool rb_pool_has_ended(const struct rb_pool_call *call)
{
    return atomic_load(&call->ended);
}

void rb_pool_finish(struct rb_pool_call *call)
{
    rb_loop_fn done = call->done_fn;

    RB_ASSERT(rb_pool_has_ended(call));
    call->done_fn = NULL;
    if (done != NULL)
        done(call->arg);
}

void rb_pool_forget(struct rb_pool_call *call)
{
    RB_ASSERT(rb_pool_has_ended(call));
    call->done_fn = NULL;
}
