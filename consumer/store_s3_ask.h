/*
 * store_s3_ask.h — a question to an S3 store, as the files that ask share it.
 *
 * Way:  download -> [store_s3] -> record
 */
#pragma once

#include "consumer/store_read.h"
#include "consumer/store_s3_internal.h"

#define ASK_MAGIC 0x53334153u

struct uploads; /* of a sweep */
struct listing; /* of a list */

struct rb_ask {
    uint32_t magic;
    struct store_s3 *store; /* borrowed */
    char *bucket;
    char *key;
    char *body; /* of the call that is out */
    enum rb_check how;
    bool made;
    int64_t older_than_ms;
    struct uploads *uploads; /* of a sweep; NULL for others */
    struct listing *listing; /* of a list; NULL for others */
    struct rb_keys keys;     /* of a removal of many; empty for others, as below */
    bool *kept;
    struct rb_s3_call *call;
    void (*next)(struct rb_ask *ask, const struct rb_s3_result *result);
    enum rb_poll state;
    struct rb_store_answer answer;
    struct rb_store_read read; /* of a read; empty for others */
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

/*
 * Make an ask; s3_ask_call begins it.
 *
 * Takes:  key, NULL for none; on_change and arg, as the ops have them.
 * Gives:  owned by the caller; s3_ask_forget it.
 * Loop:   loop thread.
 */
struct rb_ask *s3_ask_new(struct rb_store *base, const char *bucket, const char *key, rb_loop_fn on_change, void *arg);

/*
 * Send the next request of an ask.
 *
 * Takes:  next, called with what was answered; it sends another one, or settles the ask.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void s3_ask_call(struct rb_ask *ask, struct rb_s3_call_spec spec,
                 void (*next)(struct rb_ask *ask, const struct rb_s3_result *result));

/*
 * The ask has failed.
 *
 * Loop:   loop thread.
 */
void s3_ask_fail(struct rb_ask *ask, const struct rb_error *err);

/*
 * Free what a sweep remembers. NULL is fine.
 *
 * Loop:   loop thread.
 */
void s3_sweep_free(struct uploads *uploads);

/*
 * Free what a list knows. NULL is fine.
 *
 * Loop:   loop thread.
 */
void s3_list_free(struct listing *listing);
