/*
 * stores.c — the store that videos go to, and a second one for when that takes none.
 *
 * Way:  store_kinds -> [stores] -> main
 */
#include "consumer/stores.h"

#include "consumer/store_kinds.h"

/* The file has the same names of options in it. The environment is that of the first store. */
int rb_stores_read_fallback(const struct rb_options *all_options, struct rb_options *ret_options, struct rb_error *err)
{
    const struct consumer_options *options = all_options->values;
    char *argv[] = {"reelbus-consumer",           "--config", options->fallback_config, "--database-url",
                    options->common.database_url, NULL};
    char *environment[] = {NULL};

    if (options->fallback_config[0] == '\0')
        return 0;
    if (rb_options_read(all_options->spec, RB_COUNT(argv) - 1, argv, environment, ret_options) >= 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'fallback_config': there is a mistake in the file");
    return 0;
}

static int open_fallback(struct rb_loop *loop, const struct consumer_options *first, struct rb_stores *stores,
                         struct rb_error *err)
{
    const struct consumer_options *options = stores->fallback_options.values;

    if (strcmp(options->store, first->store) == 0 && strcmp(options->bucket, first->bucket) == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "the fallback store must differ from the first in 'store' or 'bucket', so that rows tell which "
                       "it was");
    stores->fallback.bucket = options->bucket;
    return rb_store_open(loop, options, &stores->fallback.store, err);
}

int rb_stores_open(struct rb_loop *loop, const struct rb_options *all_options, struct rb_stores *stores,
                   struct rb_error *err)
{
    const struct consumer_options *options = all_options->values;

    stores->first.bucket = options->bucket;
    RB_TRY(rb_store_open(loop, options, &stores->first.store, err));
    RB_TRY(rb_stores_read_fallback(all_options, &stores->fallback_options, err));
    return stores->fallback_options.values != NULL ? open_fallback(loop, options, stores, err) : 0;
}

static void close_store(struct rb_store *store)
{
    if (store != NULL)
        store->ops->free(store);
}

void rb_stores_close(struct rb_stores *stores)
{
    close_store(stores->first.store);
    close_store(stores->fallback.store);
    if (stores->fallback_options.values != NULL)
        rb_options_done(&stores->fallback_options);
    *stores = (struct rb_stores){0};
}
