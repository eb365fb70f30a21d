/*
 * store_supabase_ask.h — a question to Supabase Storage, as the files that ask share it.
 *
 * Way:  download -> [store_supabase] -> record
 */
#pragma once

#include "consumer/store_read.h"
#include "consumer/store_supabase_internal.h"

#define ASK_MAGIC 0x53554153u

struct rb_ask {
    uint32_t magic;
    struct store_supabase *store; /* borrowed */
    char *bucket;
    char *key;
    char *body; /* of the call that is out */
    enum rb_check how;
    struct rb_supabase_call *call;
    void (*next)(struct rb_ask *ask, const struct rb_supabase_result *result);
    enum rb_poll state;
    struct rb_store_answer answer;
    struct rb_store_read read; /* of a read; empty for others */
    char *url;                 /* that the answer shows */
    struct rb_keys keys;       /* of a removal of many; empty for others, as below */
    bool *kept;
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

/*
 * Make an ask; supabase_ask_call begins it.
 *
 * Takes:  on_change and arg, as the ops have them.
 * Gives:  owned by the caller; supabase_ask_forget it.
 * Loop:   loop thread.
 */
struct rb_ask *supabase_ask_new(struct rb_store *base, const char *bucket, const char *key, rb_loop_fn on_change,
                                void *arg);

/*
 * Send the next request of an ask.
 *
 * Takes:  next, called with what was answered; it sends another one, or settles the ask.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void supabase_ask_call(struct rb_ask *ask, struct rb_supabase_call_spec spec,
                       void (*next)(struct rb_ask *ask, const struct rb_supabase_result *result));

/*
 * The ask has failed.
 *
 * Loop:   loop thread.
 */
void supabase_ask_fail(struct rb_ask *ask, const struct rb_error *err);
