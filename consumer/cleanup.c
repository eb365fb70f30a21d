/*
 * cleanup.c — removes what nobody needs any more from the store.
 *
 * Way:  consumer cleanup
 */
#include "consumer/cleanup.h"

#include <inttypes.h>
#include <stdio.h>

#include "consumer/store_kinds.h"
#include "consumer/store_probe.h"

#define CLEANUP_TIMEOUT_MS 3600000

int rb_cleanup(const struct consumer_options *options, struct rb_error *err)
{
    const struct rb_sweep what = {
        .bucket = options->bucket,
        .prefix = options->cleanup_prefix,
        .older_than_ms = options->cleanup_uploads_ms,
    };
    struct rb_loop *loop = rb_loop_new();
    struct rb_store_answer answer = {0};
    struct rb_store *store = NULL;
    int result = rb_store_open(loop, options, &store, err);
    bool sweeps = result == 0 && store->ops->sweep != NULL;

    if (result == 0) {
        result = rb_store_probe_sweep(loop, store, &what, CLEANUP_TIMEOUT_MS, &answer, err);
        store->ops->free(store);
    }
    rb_loop_free(loop);
    if (sweeps && result == 0)
        printf("uploads   %-28s %" PRId64 " unfinished removed\n", options->bucket, answer.swept);
    else if (result == 0)
        printf("uploads   %-28s the store removes unfinished ones by itself\n", options->bucket);
    return result;
}
