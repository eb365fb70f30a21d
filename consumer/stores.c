/*
 * stores.c — the store that videos go to, and a second one for when that takes none.
 *
 * Way:  store_kinds -> [stores] -> main
 */
#include "consumer/stores.h"

#include "consumer/store_kinds.h"

/* What is not about one store is for both as it is for the first, unless the file says otherwise. */
static const char *const shared_names[] = {
    "formats",       "variants",           "video_max_bytes", "connect_timeout_ms",
    "setup_lock_ms", "cleanup_uploads_ms", "cleanup_prefix",
};

static void share(const struct rb_options *first, struct rb_options *second, const char *name)
{
    const struct rb_option *row = rb_options_find(first->spec, name, strlen(name));
    const void *from = (const char *)first->values + row->offset;
    void *to = (char *)second->values + row->offset;

    if (second->sources[row - first->spec->rows] != RB_FROM_DEFAULT)
        return;
    if (row->type == RB_OPTION_TEXT) {
        free(*(char **)to);
        *(char **)to = rb_xstrdup(*(char *const *)from);
    } else {
        RB_ASSERT(row->type == RB_OPTION_MS || row->type == RB_OPTION_BYTES);
        *(int64_t *)to = *(const int64_t *)from;
    }
}

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
    for (size_t i = 0; i < RB_COUNT(shared_names); i++)
        share(all_options, ret_options, shared_names[i]);
    ((struct consumer_options *)ret_options->values)->command.dry_run = options->command.dry_run;
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
