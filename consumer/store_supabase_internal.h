/*
 * store_supabase_internal.h — what the files of the Supabase store share.
 *
 * Way:  download -> [store_supabase] -> record
 */
#pragma once

#include "consumer/store_supabase.h"
#include "consumer/supabase_call.h"

struct store_supabase {
    struct rb_store store;
    struct rb_store_supabase_config config;
    struct rb_loop *loop; /* borrowed */
    struct rb_supabase_env env;
    char *base;             /* of the API, without a slash at its end */
    char *public_base;      /* of links */
    int64_t buffers_left;   /* bytes that may be taken still */
    bool no_copy;           /* this server does not copy an object onto itself */
    struct rb_error misfit; /* why nothing can be stored in the bucket as it is, as the last check saw it */
    struct rb_put *puts;    /* all that have not been freed */
    bool closing;           /* stop the loop when the last one is */
};

/*
 * The put ops of rb_store_ops.
 *
 * Loop:   loop thread, outside of libcurl callbacks; all five.
 */
struct rb_put *supabase_put_begin(struct rb_store *base, const struct rb_put_spec *spec);
/* Loop: as above. */
void supabase_put_more(struct rb_put *put);
/* Loop: as above. */
void supabase_put_commit(struct rb_put *put, int64_t bytes, const char *sha256);
/* Loop: as above. */
enum rb_poll supabase_put_poll(const struct rb_put *put, struct rb_error *err);
/* Loop: as above. */
void supabase_put_end(struct rb_put *put, rb_loop_fn on_released, void *arg);

/*
 * Free a put, whatever it does.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void supabase_put_free(struct rb_put *put);

/*
 * The ask ops of rb_store_ops.
 *
 * Loop:   loop thread, outside of libcurl callbacks; all six.
 */
struct rb_ask *supabase_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                 void *arg);

/*
 * As of rb_store_ops: an object is read to its end.
 *
 * Loop:   loop thread.
 */
struct rb_ask *supabase_ask_read(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                 void *arg);
/* Loop: as above. */
struct rb_ask *supabase_ask_link(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                 void *arg);
/* Loop: as above. */
struct rb_ask *supabase_ask_check(struct rb_store *base, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                                  void *arg);
/* Loop: as above. */
struct rb_ask *supabase_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                   void *arg);
/* Loop: as above. */
struct rb_ask *supabase_ask_remove_many(struct rb_store *base, const struct rb_keys *keys, rb_loop_fn on_change,
                                        void *arg);
/* Loop: as above. */
enum rb_poll supabase_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err);
/* Loop: as above. */
void supabase_ask_forget(struct rb_ask *ask);
