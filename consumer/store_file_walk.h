/*
 * store_file_walk.h — walks through the files of a bucket, some at a time; so memory does not grow with them.
 *
 * Way:  store_file_ask -> [store_file_walk]
 */
#pragma once

#include "consumer/store.h"

struct file_walk;

/*
 * Begin.
 *
 * Takes:  root_fd, borrowed for as long as the walk lives; bucket and prefix, of keys, borrowed for the call.
 * Gives:  owned by the caller; file_walk_free it.
 * Loop:   any thread.
 */
struct file_walk *file_walk_new(int root_fd, const char *bucket, const char *prefix);

/*
 * Close what is open and free it. NULL is fine.
 *
 * Loop:   any thread.
 */
void file_walk_free(struct file_walk *walk);

/*
 * Read the next page.
 *
 * Gives:  0 and ret_answer, borrowed from the walk until the next page; -1 with errno. A folder that has gone meanwhile is passed
 *         over, and so is what is no file.
 * Loop:   on the pool; blocks.
 */
RB_MUST_CHECK int file_walk_page(struct file_walk *walk, struct rb_store_answer *ret_answer);
