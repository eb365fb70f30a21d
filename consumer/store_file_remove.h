/*
 * store_file_remove.h — removes an object that is a file, off the loop.
 *
 * Way:  remove -> [store_file]
 */
#pragma once

#include "consumer/store.h"

/*
 * Begin to remove a file. The folder that it lay in stays: another video may be on its way into it.
 *
 * Takes:  root_fd, of the folder that buckets lie in, borrowed for the call; the rest as of rb_store_ops.
 * Gives:  owned by the caller; store_file_ask_forget it.
 * Loop:   loop thread.
 */
struct rb_ask *store_file_ask_remove(struct rb_loop *loop, int root_fd, const struct rb_object *object,
                                     rb_loop_fn on_change, void *arg);

/*
 * The answer, as of rb_store_ops.
 *
 * Fails:  STORE_*.
 * Loop:   loop thread.
 */
enum rb_poll store_file_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err);

/*
 * Free it. A file that is being removed is removed all the same.
 *
 * Loop:   loop thread.
 */
void store_file_ask_forget(struct rb_ask *ask);
