/*
 * store_kinds.h — the table of stores that there are, and what opens each of them.
 *
 * Way:  store_file, store_s3, store_supabase -> [store_kinds] -> main
 */
#pragma once

#include "consumer/options.h"
#include "consumer/store.h"

/*
 * Open the store that the option `store` names.
 *
 * Takes:  options, borrowed for as long as the store lives.
 * Gives:  ret_store, owned by the caller; free it by its ops.
 * Fails:  BAD_OPTION; the message names the option and the kinds that there are.
 * Loop:   loop thread; may read the file system before it returns.
 */
RB_MUST_CHECK int rb_store_open(struct rb_loop *loop, const struct consumer_options *options,
                                struct rb_store **ret_store, struct rb_error *err);
