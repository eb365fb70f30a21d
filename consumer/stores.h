/*
 * stores.h — the store that videos go to, and a second one for when that takes none.
 *
 * Way:  store_kinds -> [stores] -> main
 */
#pragma once

#include "common/options.h"
#include "consumer/options.h"
#include "consumer/store.h"

/* Part of its owner; zeroed before its first use. Targets point to the options. */
struct rb_stores {
    struct rb_target first;
    struct rb_target fallback; /* store NULL when there is none */
    struct rb_options fallback_options;
};

/*
 * Open both, as the options say.
 *
 * Takes:  options, of the consumer, borrowed until rb_stores_close.
 * Fails:  as rb_store_open; BAD_OPTION when rows could not tell the two apart. rb_stores_close it all the same.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_stores_open(struct rb_loop *loop, const struct rb_options *options, struct rb_stores *stores,
                                 struct rb_error *err);

/*
 * Close what was opened.
 *
 * Loop:   before the loop is freed.
 */
void rb_stores_close(struct rb_stores *stores);

/*
 * Read the config file of the fallback store, for commands.
 *
 * Takes:  options, of the consumer, borrowed for the call.
 * Gives:  ret_options, of the same shape; rb_options_done them. What is not about one store is as in options, unless the file
 *         says otherwise. Left as they are when no such file is named.
 * Fails:  BAD_OPTION; what is wrong in the file was said on standard error.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_stores_read_fallback(const struct rb_options *options, struct rb_options *ret_options,
                                          struct rb_error *err);
