/*
 * store_probe.c — asks the store now and then whether writing to it would work.
 *
 * Way:  store_kinds -> [store_probe] -> main
 */
#include "consumer/store_probe.h"

#include <inttypes.h>

#include "common/backoff.h"
#include "common/log.h"
#include "common/random.h"

#define PROBE_MAGIC    0x50524f42u
#define RETRY_FIRST_MS 1000

struct rb_store_probe {
    uint32_t magic;
    struct rb_store *store; /* borrowed */
    const char *bucket;     /* borrowed */
    int64_t every_ms;
    struct rb_ask *ask;
    struct rb_timer *timer;
    struct rb_backoff backoff;
    bool up;
};

static void on_answer(void *arg)
{
    struct rb_store_probe *probe = RB_CAST(rb_store_probe, arg, PROBE_MAGIC);
    struct rb_store_answer answer = {0};
    struct rb_error err = {0};
    enum rb_poll answered = probe->store->ops->answer(probe->ask, &answer, &err);
    int64_t pause_ms = probe->every_ms;

    if (answered == RB_POLL_WAIT)
        return;
    probe->store->ops->forget(probe->ask);
    probe->ask = NULL;
    if (answered == RB_POLL_DONE) {
        rb_backoff_reset(&probe->backoff);
        if (!probe->up)
            rb_log(NULL, RB_EV_STORE_UP, "store=%s bucket=%s", probe->store->ops->kind, probe->bucket);
    } else {
        if (probe->up || probe->backoff.tries == 0)
            rb_log_error(NULL, RB_EV_STORE_DOWN, &err, "store=%s", probe->store->ops->kind);
        pause_ms = rb_backoff_next_ms(&probe->backoff, rb_random());
    }
    probe->up = answered == RB_POLL_DONE;
    rb_timer_start(probe->timer, pause_ms);
}

static void ask_now(void *arg)
{
    struct rb_store_probe *probe = RB_CAST(rb_store_probe, arg, PROBE_MAGIC);

    probe->ask = probe->store->ops->check(probe->store, probe->bucket, RB_CHECK_LOOK, on_answer, probe);
}

struct rb_store_probe *rb_store_probe_new(struct rb_loop *loop, struct rb_store *store, const char *bucket,
                                          int64_t every_ms)
{
    struct rb_store_probe *probe = rb_xalloc(sizeof(*probe));

    *probe = (struct rb_store_probe){
        .magic = PROBE_MAGIC,
        .store = store,
        .bucket = bucket,
        .every_ms = every_ms,
        .backoff = {RETRY_FIRST_MS, every_ms, 0},
        .up = store->ops->check == NULL,
    };
    probe->timer = rb_timer_new(loop, ask_now, probe);
    if (!probe->up)
        ask_now(probe);
    return probe;
}

void rb_store_probe_free(struct rb_store_probe *probe)
{
    if (probe == NULL)
        return;
    if (probe->ask != NULL)
        probe->store->ops->forget(probe->ask);
    rb_timer_free(probe->timer);
    probe->magic = 0;
    free(probe);
}

bool rb_store_probe_is_up(const struct rb_store_probe *probe)
{
    return probe->up;
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

/* Run the loop until an ask is answered. */
static int wait_for(struct rb_loop *loop, struct rb_store *store, struct rb_ask *ask, int64_t timeout_ms,
                    struct rb_store_answer *ret_answer, struct rb_error *err)
{
    struct rb_timer *timer = rb_timer_new(loop, stop_loop, loop);
    enum rb_poll answered;

    rb_timer_start(timer, timeout_ms);
    rb_loop_run(loop);
    answered = store->ops->answer(ask, ret_answer, err);
    store->ops->forget(ask);
    rb_timer_free(timer);
    if (answered == RB_POLL_WAIT)
        return rb_fail(err, RB_E_STORE_AWAY, 0, "the store did not answer within %" PRId64 " ms", timeout_ms);
    return answered == RB_POLL_DONE ? 0 : -1;
}

int rb_store_probe_once(struct rb_loop *loop, struct rb_store *store, const char *bucket, enum rb_check how,
                        int64_t timeout_ms, struct rb_store_answer *ret_answer, struct rb_error *err)
{
    if (store->ops->check == NULL)
        return 0;
    return wait_for(loop, store, store->ops->check(store, bucket, how, stop_loop, loop), timeout_ms, ret_answer, err);
}

int rb_store_probe_sweep(struct rb_loop *loop, struct rb_store *store, const struct rb_sweep *what, int64_t timeout_ms,
                         struct rb_store_answer *ret_answer, struct rb_error *err)
{
    if (store->ops->sweep == NULL)
        return 0;
    return wait_for(loop, store, store->ops->sweep(store, what, stop_loop, loop), timeout_ms, ret_answer, err);
}
