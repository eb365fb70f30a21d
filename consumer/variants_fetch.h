/*
 * variants_fetch.h — fetches what a provider has of a video beside it, and stores it next to the video.
 *
 * Way:  plan -> transfer -> [variants_fetch] -> record
 *
 * A courtesy: each is tried a few times, all of them have one deadline, and what cannot be had is left out and said in the
 * log. The bytes go the way of all bytes: guard, download, transfer, store.
 */
#pragma once

#include "common/log.h"
#include "common/metrics.h"
#include "consumer/row.h"
#include "consumer/transfer.h"
#include "consumer/variants.h"

struct rb_variants_fetch;

struct rb_variants_policy {
    unsigned wanted;    /* a bit for each enum rb_variant */
    int64_t max_bytes;  /* of one */
    int64_t timeout_ms; /* for all of them together */
};

/* All borrowed for as long as the fetch lives; of the providers a reference is kept. */
struct rb_variants_spec {
    const struct rb_variants_policy *policy;
    const struct rb_transfer_config *transfer; /* as of the video; the provider is one of its providers */
    const struct rb_plan_policy *plan;
    const struct rb_target *target; /* where the video went */
    const struct rb_provider *provider;
    const struct rb_row *row;
    const struct rb_log_about *about;
    struct rb_metrics *metrics;
    rb_loop_fn on_change; /* rb_variants_fetch_poll has a new answer */
    void *arg;
};

/*
 * Begin, one after the other.
 *
 * Gives:  owned by the caller; rb_variants_fetch_free it.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
struct rb_variants_fetch *rb_variants_fetch_new(const struct rb_variants_spec *spec);

/*
 * Move what can be moved, and say how it is going.
 *
 * Gives:  DONE with ret_variants, what could be had: taken over by the caller, rb_variants_done it. Once. Never FAILED.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
enum rb_poll rb_variants_fetch_poll(struct rb_variants_fetch *fetch, struct rb_variants *ret_variants);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_variants_fetch_free(struct rb_variants_fetch *fetch);
