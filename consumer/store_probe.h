/*
 * store_probe.h — asks the store now and then whether writing to it would work.
 *
 * Way:  store_kinds -> [store_probe] -> main
 */
#pragma once

#include "consumer/store.h"

struct rb_store_probe;

/*
 * Begin to ask: now, then again and again, sooner while the answer is no.
 *
 * Takes:  store, borrowed for as long as the probe lives; bucket, borrowed likewise; every_ms, the pause between two.
 * Gives:  owned by the caller; rb_store_probe_free it before the store.
 * Loop:   loop thread.
 */
struct rb_store_probe *rb_store_probe_new(struct rb_loop *loop, struct rb_store *store, const char *bucket,
                                          int64_t every_ms);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_store_probe_free(struct rb_store_probe *probe);

/*
 * Would writing work, as far as is known?
 *
 * Gives:  false before the first answer; true for a store that is not asked.
 * Loop:   loop thread.
 */
bool rb_store_probe_is_up(const struct rb_store_probe *probe);

/*
 * Ask once and wait for the answer.
 *
 * Takes:  how, as far as it should go; timeout_ms, the longest wait.
 * Gives:  0 and ret_answer, which is empty for a store that is not asked.
 * Fails:  STORE_*.
 * Loop:   runs the loop: for commands, while nothing else runs it.
 */
RB_MUST_CHECK int rb_store_probe_once(struct rb_loop *loop, struct rb_store *store, const char *bucket,
                                      enum rb_check how, int64_t timeout_ms, struct rb_store_answer *ret_answer,
                                      struct rb_error *err);

/*
 * Remove what killed processes have left unfinished, and wait for the end of it.
 *
 * Gives:  0 and ret_answer; nothing was swept where opening the store does that.
 * Fails:  STORE_*; some may be gone then.
 * Loop:   as rb_store_probe_once.
 */
RB_MUST_CHECK int rb_store_probe_sweep(struct rb_loop *loop, struct rb_store *store, const struct rb_sweep *what,
                                       int64_t timeout_ms, struct rb_store_answer *ret_answer, struct rb_error *err);
