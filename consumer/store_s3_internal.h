/*
 * store_s3_internal.h — what the files of the S3 store share.
 *
 * Way:  download -> [store_s3] -> record
 */
#pragma once

#include "consumer/s3_call.h"
#include "consumer/store_s3.h"

#define S3_PARTS_MAX 10000 /* of one upload, by S3's own rule */

struct store_s3 {
    struct rb_store store;
    struct rb_store_s3_config config;
    struct rb_loop *loop; /* borrowed */
    struct rb_s3_address address;
    struct rb_s3_env env;
    char *public_url;         /* NULL when objects are shown at their own place */
    bool md5;                 /* compare ETags */
    bool no_conditions;       /* this server does not know If-None-Match */
    char *doubted;            /* key that was refused, perhaps for its If-None-Match; NULL for none */
    bool no_copy;             /* nor copying */
    size_t buffers_left;      /* that may be taken still */
    struct rb_put *waiting;   /* for a buffer, the first one in line */
    struct rb_put **line_end; /* where the next one stands in line */
    struct rb_task hand_out;  /* gives buffers to those in line */
    struct rb_put *puts;      /* all that have not been freed */
    bool closing;             /* stop the loop when the last one is */
};

/*
 * The put ops of rb_store_ops.
 *
 * Loop:   loop thread, outside of libcurl callbacks; all five.
 */
struct rb_put *s3_put_begin(struct rb_store *base, const struct rb_put_spec *spec);
/* Loop: as above. */
void s3_put_more(struct rb_put *put);
/* Loop: as above. */
void s3_put_commit(struct rb_put *put, int64_t bytes, const char *sha256);
/* Loop: as above. */
enum rb_poll s3_put_poll(const struct rb_put *put, struct rb_error *err);
/* Loop: as above. */
void s3_put_end(struct rb_put *put, rb_loop_fn on_released, void *arg);

/*
 * Give buffers to the puts that stand in line for one.
 *
 * Takes:  arg, a struct store_s3.
 * Loop:   loop thread.
 */
void s3_put_hand_out(void *arg);

/*
 * The ask ops of rb_store_ops.
 *
 * Loop:   loop thread, outside of libcurl callbacks; all six.
 */
struct rb_ask *s3_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg);

/*
 * As of rb_store_ops: an object is read to its end.
 *
 * Loop:   loop thread.
 */
struct rb_ask *s3_ask_read(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg);
/* Loop: as above. */
struct rb_ask *s3_ask_check(struct rb_store *base, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                            void *arg);
/* Loop: as above. */
struct rb_ask *s3_ask_sweep(struct rb_store *base, const struct rb_sweep *what, rb_loop_fn on_change, void *arg);
/* Loop: as above. */
struct rb_ask *s3_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg);
/* Loop: as above. */
struct rb_ask *s3_ask_remove_many(struct rb_store *base, const struct rb_keys *keys, rb_loop_fn on_change, void *arg);
/* Loop: as above. */
struct rb_ask *s3_ask_list(struct rb_store *base, const char *bucket, const char *prefix, rb_loop_fn on_change,
                           void *arg);
/* Loop: as above. */
void s3_ask_list_on(struct rb_ask *ask);
/* Loop: as above. */
enum rb_poll s3_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err);
/* Loop: as above. */
void s3_ask_forget(struct rb_ask *ask);

/*
 * Add the headers that say how objects of this store are kept: storage class and encryption.
 *
 * Takes:  headers, with room for three more behind count.
 * Gives:  how many there are now; their values are borrowed from the options.
 * Loop:   loop thread.
 */
size_t s3_storage_headers(const struct store_s3 *store, struct rb_s3_header *headers, size_t count);

/*
 * Free a put, whatever it does.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void s3_put_free(struct rb_put *put);
