/*
 * store_file.h — objects as files: {root}/{bucket}/{key}.
 *
 * Way:  download -> [store_file] -> record
 *
 * A file is written under {root}/.partial, given its hash as an attribute and its mode, synced, renamed into its place, and
 * the folder synced. Whoever sees the file sees all of it. All of this runs on libuv's pool, off the loop.
 */
#pragma once

#include "consumer/store.h"

struct rb_store_file_config {
    const char *root;       /* made when it is not there */
    const char *public_url; /* what stands before {bucket}/{key} in the URL that people get; ends in a slash */
    const char *file_mode;  /* of what is stored, octal, whatever the umask is */
    const char *dir_mode;   /* and of folders that are made */
    bool keeps_unfinished;  /* leave what others have left */
};

/*
 * Open the store, and remove what killed processes have left unfinished in it, unless it is to be kept.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  ret_store, owned by the caller; free it by its ops.
 * Fails:  BAD_OPTION when the root cannot be made or written to, or a mode is none.
 * Loop:   loop thread; reads the file system before it returns.
 */
RB_MUST_CHECK int rb_store_file_new(struct rb_loop *loop, const struct rb_store_file_config *config,
                                    struct rb_store **ret_store, struct rb_error *err);
