/*
 * cleanup.c — removes what nobody needs any more from the store.
 *
 * Way:  consumer cleanup
 */
#include "consumer/cleanup.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/exit_codes.h"
#include "consumer/say.h"
#include "consumer/store_kinds.h"
#include "consumer/store_probe.h"

#define CLEANUP_TIMEOUT_MS 3600000

static int sweep(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    const struct rb_sweep what = {
        .bucket = options->bucket,
        .prefix = options->cleanup_prefix,
        .older_than_ms = options->cleanup_uploads_ms,
    };
    struct rb_store_answer answer = {0};
    RB_AUTO_TEXT *removed = NULL;
    struct rb_store *store = NULL;
    bool sweeps;
    int result;

    RB_TRY(rb_store_open(loop, options, &store, err));
    sweeps = store->ops->sweep != NULL;
    result = rb_store_probe_sweep(loop, store, &what, CLEANUP_TIMEOUT_MS, &answer, err);
    store->ops->free(store);
    if (result < 0)
        return -1;
    removed = rb_xprintf("%" PRId64 " unfinished removed", answer.swept);
    rb_say("uploads", options->bucket, sweeps ? removed : "the store removes unfinished ones by itself");
    return 0;
}

static bool sweep_fails(const struct consumer_options *options)
{
    struct rb_loop *loop = rb_loop_new();
    struct rb_error err = {0};
    int result = sweep(loop, options, &err);

    rb_loop_free(loop);
    if (result < 0)
        fprintf(stderr, "reelbus-consumer cleanup: store '%s': %s\n", options->bucket, err.message);
    return result < 0;
}

int rb_cleanup(const struct consumer_options *options, const struct consumer_options *fallback)
{
    bool failed = sweep_fails(options);

    if (fallback != NULL && sweep_fails(fallback))
        failed = true;
    return failed ? RB_EXIT_FAILED : RB_EXIT_OK;
}
