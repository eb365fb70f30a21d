/*
 * store_kinds.c — the table of stores that there are.
 *
 * Way:  store_file, store_s3 -> [store_kinds] -> main
 */
#include "consumer/store_kinds.h"

#include "common/buffer.h"
#include "consumer/store_file.h"

static int open_file(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                     struct rb_error *err)
{
    const struct rb_store_file_config config = {options->file_root, options->file_public_url};

    return rb_store_file_new(loop, &config, ret_store, err);
}

static const struct {
    const char *kind;
    int (*open)(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                struct rb_error *err);
} kind_rows[] = {
    {"file", open_file},
};

int rb_store_open(struct rb_loop *loop, const struct consumer_options *options, struct rb_store **ret_store,
                  struct rb_error *err)
{
    RB_AUTO_BUFFER names = {0};

    for (size_t i = 0; i < RB_COUNT(kind_rows); i++) {
        if (strcmp(options->store, kind_rows[i].kind) == 0)
            return kind_rows[i].open(loop, options, ret_store, err);
        rb_buffer_print(&names, "%s%s", i > 0 ? ", " : "", kind_rows[i].kind);
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'store' is '%.20s', expected one of: %s", options->store,
                   names.bytes);
}
