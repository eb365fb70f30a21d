/*
 * store.h — the PUT side of a transfer: what every kind of store can do.
 *
 * Way:  download -> [store] -> record
 *
 * An object is begun, takes its bytes out of a queue, and becomes visible all at once when it is committed. What is not
 * committed leaves nothing behind.
 */
#pragma once

#include "common/byteq.h"
#include "common/loop.h"

struct rb_store; /* where objects are kept; each kind has its own struct behind it */
struct rb_put;   /* an object on its way in */

struct rb_object {
    const char *bucket;
    const char *key;
    const char *content_type;
};

struct rb_store_ops {
    const char *kind; /* "file", ...: how events and rows name it */

    /* Begin an object. on_change is called when bytes were taken out of the queue or the answer of poll has changed. */
    struct rb_put *(*begin)(struct rb_store *store, const struct rb_object *object, struct rb_byteq *queue,
                            rb_loop_fn on_change, void *arg);

    /* Bytes have come into the queue. */
    void (*more)(struct rb_put *put);

    /* All bytes are or were in the queue: write what is left and make the object visible, for good. */
    void (*commit)(struct rb_put *put, int64_t bytes, const char *sha256);

    /* DONE once the object is visible and has been checked; STORE_AWAY, STORE_FULL, STORE_REFUSED. */
    enum rb_poll (*poll)(const struct rb_put *put, struct rb_error *err);

    /* Forget the object; what was not committed is removed. The queue is not touched after this, but for bytes that are
     * being written: it must live until on_released was called. */
    void (*end)(struct rb_put *put, rb_loop_fn on_released, void *arg);

    /* The URL under which people get a stored object. Owned by the caller. */
    char *(*url)(const struct rb_store *store, const struct rb_object *object);

    /* Free the store once all puts have ended; before the loop. */
    void (*free)(struct rb_store *store);
};

/* Every kind of store begins with this. */
struct rb_store {
    const struct rb_store_ops *ops;
};
