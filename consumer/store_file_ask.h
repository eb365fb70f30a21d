/*
 * store_file_ask.h — what the file store is asked, off the loop: is an object there, would writing work, and remove one.
 *
 * Way:  transfer, remove -> [store_file] -> store
 */
#pragma once

#include "consumer/store.h"

/*
 * Begin to look for a file, as of rb_store_ops. Its hash is what was noted when it was written, and not read from its bytes.
 *
 * Gives:  owned by the caller; store_file_ask_forget it. The answer is never a failure: what cannot be opened is not there,
 *         and whoever puts it learns why.
 * Loop:   loop thread.
 */
struct rb_ask *store_file_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                   void *arg);

/*
 * Begin to read a file to its end, as of rb_store_ops.
 *
 * Gives:  owned by the caller; store_file_ask_forget it: what is being read is read on, and nobody waits for it.
 * Loop:   loop thread.
 */
struct rb_ask *store_file_ask_read(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                   void *arg);

/*
 * Begin to write a small file and to look at the bucket, as of rb_store_ops. The file is gone again when this answers.
 *
 * Takes:  how, which makes no difference: a bucket that is missing is made with its first object.
 * Gives:  owned by the caller; store_file_ask_forget it.
 * Loop:   loop thread.
 */
struct rb_ask *store_file_ask_check(struct rb_store *base, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                                    void *arg);

/*
 * Begin to remove a file. The folder that it lay in stays: another video may be on its way into it.
 *
 * Gives:  owned by the caller; store_file_ask_forget it.
 * Loop:   loop thread.
 */
struct rb_ask *store_file_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                     void *arg);

/*
 * Begin to list the files of a bucket, those of folders below it too.
 *
 * Gives:  owned by the caller; store_file_ask_forget it.
 * Loop:   loop thread.
 */
struct rb_ask *store_file_ask_list(struct rb_store *base, const char *bucket, const char *prefix, rb_loop_fn on_change,
                                   void *arg);

/*
 * Go on with the next page.
 *
 * Loop:   loop thread.
 */
void store_file_ask_list_on(struct rb_ask *ask);

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
