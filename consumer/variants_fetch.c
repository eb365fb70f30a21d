/*
 * variants_fetch.c — fetches what a provider has of a video beside it, and stores it next to the video.
 *
 * Way:  plan -> transfer -> [variants_fetch] -> record
 */
#include "consumer/variants_fetch.h"

#include <inttypes.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/random.h"
#include "consumer/metrics_table.h"

#define FETCH_MAGIC    0x56415246u
#define TRIES_MAX      3 /* of one */
#define PAUSE_FIRST_MS 500
#define PAUSE_MAX_MS   2000

struct rb_variants_fetch {
    uint32_t magic;
    struct rb_variants_spec spec;
    struct rb_transfer_config config; /* as of the video, but for limits and time */
    struct rb_timer *deadline;        /* of all together */
    struct rb_timer *pause;           /* before the next try */
    struct rb_backoff backoff;
    unsigned variant;     /* the current one; RB_VARIANT_COUNT at the end */
    struct rb_plan *plan; /* of it */
    struct rb_transfer *transfer;
    struct rb_variants got;
};

static void on_part_change(void *arg)
{
    struct rb_variants_fetch *fetch = RB_CAST(rb_variants_fetch, arg, FETCH_MAGIC);

    fetch->spec.on_change(fetch->spec.arg);
}

static bool is_wanted(const struct rb_variants_fetch *fetch)
{
    return (fetch->spec.policy->wanted & 1u << fetch->variant) != 0;
}

static void drop_transfer(struct rb_variants_fetch *fetch)
{
    rb_transfer_free(fetch->transfer);
    rb_plan_free(fetch->plan);
    fetch->transfer = NULL;
    fetch->plan = NULL;
}

static void go_on(struct rb_variants_fetch *fetch)
{
    drop_transfer(fetch);
    rb_timer_stop(fetch->pause);
    rb_backoff_reset(&fetch->backoff);
    fetch->variant++;
}

static void miss(struct rb_variants_fetch *fetch, const struct rb_error *err)
{
    rb_metrics_add(fetch->spec.metrics, METRIC_VARIANTS_MISSED, 1);
    rb_log_error(fetch->spec.about, RB_EV_VARIANT_MISSED, err, "variant=%s tries=%u",
                 rb_variant_name((enum rb_variant)fetch->variant), fetch->backoff.tries + 1);
    go_on(fetch);
}

static void take(struct rb_variants_fetch *fetch, const struct rb_transfer_result *result)
{
    const struct rb_target *target = fetch->spec.target;
    const struct rb_object place = {target->bucket, result->key, result->content_type, NULL};

    fetch->got.list[fetch->variant] = (struct rb_variant_object){
        .url = result->url != NULL ? result->url : target->store->ops->url(target->store, &place),
        .object_key = rb_xstrdup(result->key),
        .bytes = result->bytes,
        .sha256 = rb_xstrdup(result->sha256),
        .content_type = rb_xstrdup(result->content_type),
    };
    rb_metrics_add(fetch->spec.metrics, METRIC_VARIANTS_STORED, 1);
    rb_log(fetch->spec.about, RB_EV_VARIANT_STORED, "variant=%s key=%s/%s bytes=%" PRId64,
           rb_variant_name((enum rb_variant)fetch->variant), target->bucket, result->key, result->bytes);
    go_on(fetch);
}

/* What may pass soon is tried again. Gives: whether it is not. */
static bool fail(struct rb_variants_fetch *fetch, const struct rb_error *err)
{
    bool passing = err->class == RB_IN_PLACE || err->class == RB_LATER || err->code == RB_E_STORE_AWAY ||
                   err->code == RB_E_STORE_BUSY;

    if (!passing || fetch->backoff.tries + 1 >= TRIES_MAX || err->wait_ms > PAUSE_MAX_MS) {
        miss(fetch, err);
        return true;
    }
    drop_transfer(fetch);
    rb_timer_start(fetch->pause, RB_MAX(rb_backoff_next_ms(&fetch->backoff, rb_random()), err->wait_ms));
    return false;
}

static int begin(struct rb_variants_fetch *fetch, struct rb_error *err)
{
    const struct rb_variants_spec *spec = &fetch->spec;
    enum rb_variant variant = (enum rb_variant)fetch->variant;
    RB_AUTO_TEXT *url = rb_adapter_variant_url(spec->provider, spec->row->provider_video_id, variant);
    const struct rb_plan_source source = {url, rb_clock_unix_ms() + spec->policy->timeout_ms};

    RB_TRY(rb_plan_variant_new(spec->row, &source, spec->plan, variant, &fetch->plan, err));
    fetch->transfer = rb_transfer_new(&fetch->config, spec->target, fetch->plan, true, on_part_change, fetch);
    return 0;
}

/* Gives: whether the current one has come to its end. */
static bool step(struct rb_variants_fetch *fetch)
{
    struct rb_transfer_result result = {0};
    struct rb_error err = {0};
    enum rb_poll polled = RB_POLL_FAILED;

    if (!rb_timer_is_started(fetch->deadline)) {
        rb_fail(&err, RB_E_SOURCE_SLOW, 0, "not all variants came within %" PRId64 " ms",
                fetch->spec.policy->timeout_ms);
        miss(fetch, &err);
        return true;
    }
    if (rb_timer_is_started(fetch->pause))
        return false;
    if (fetch->transfer != NULL || begin(fetch, &err) == 0)
        polled = rb_transfer_poll(fetch->transfer, &result, &err);
    if (polled == RB_POLL_DONE)
        take(fetch, &result);
    else if (polled == RB_POLL_FAILED)
        return fail(fetch, &err);
    return polled == RB_POLL_DONE;
}

struct rb_variants_fetch *rb_variants_fetch_new(const struct rb_variants_spec *spec)
{
    struct rb_variants_fetch *fetch = rb_xalloc(sizeof(*fetch));

    *fetch = (struct rb_variants_fetch){
        .magic = FETCH_MAGIC,
        .spec = *spec,
        .config = *spec->transfer,
        .backoff = {.first_ms = PAUSE_FIRST_MS, .max_ms = PAUSE_MAX_MS},
    };
    rb_providers_ref(fetch->config.providers);
    fetch->config.limits.max_bytes = spec->policy->max_bytes;
    fetch->config.timeout_ms = spec->policy->timeout_ms;
    fetch->deadline = rb_timer_new(spec->transfer->loop, on_part_change, fetch);
    fetch->pause = rb_timer_new(spec->transfer->loop, on_part_change, fetch);
    rb_timer_start(fetch->deadline, spec->policy->timeout_ms);
    return fetch;
}

enum rb_poll rb_variants_fetch_poll(struct rb_variants_fetch *fetch, struct rb_variants *ret_variants)
{
    while (fetch->variant < RB_VARIANT_COUNT) {
        if (!is_wanted(fetch))
            fetch->variant++;
        else if (!step(fetch))
            return RB_POLL_WAIT;
    }
    *ret_variants = fetch->got;
    fetch->got = (struct rb_variants){0};
    return RB_POLL_DONE;
}

void rb_variants_fetch_free(struct rb_variants_fetch *fetch)
{
    if (fetch == NULL)
        return;
    drop_transfer(fetch);
    rb_providers_unref(fetch->config.providers);
    rb_timer_free(fetch->deadline);
    rb_timer_free(fetch->pause);
    rb_variants_done(&fetch->got);
    fetch->magic = 0;
    free(fetch);
}
