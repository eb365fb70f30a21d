/*
 * store.h — the PUT side of a transfer: what every kind of store can do.
 *
 * Way:  download -> [store] -> record
 *
 * An object is begun, takes its bytes out of a queue, and becomes visible all at once, after it was committed and not
 * before. What is not committed leaves nothing behind. Beside that a store can be asked something: an ask is begun,
 * answered once, and forgotten.
 */
#pragma once

#include "common/byteq.h"
#include "common/loop.h"

struct rb_store; /* where objects are kept; each kind has its own struct behind it */
struct rb_put;   /* an object on its way in */
struct rb_ask;   /* a question on its way */

#define RB_STORE_REST_MAX_MS                                                                                           \
    10000 /* a store that asks for a longer rest than this is not waited for with a source open */

struct rb_object {
    const char *bucket;
    const char *key;
    const char *content_type;
    const char *traceparent; /* for requests about it; NULL for none */
};

/* A store, and the bucket in it. Both borrowed for as long as the target is used. */
struct rb_target {
    struct rb_store *store;
    const char *bucket;
};

/* What a put is begun with. The object is borrowed for the call, queue and arg for as long as the put lives. */
struct rb_put_spec {
    const struct rb_object *object;
    int64_t bytes; /* that will come, -1 when nobody knows; commit says how many came */
    bool replace;  /* find knows of an object of this name, or could not tell: overwrite it */
    struct rb_byteq *queue;
    rb_loop_fn on_change; /* bytes were taken out of the queue, or poll has a new answer; never before begin returns */
    void *arg;
};

#define RB_STORE_LIST_MAX 1000 /* objects of one page */

/* An object that lies in a bucket. */
struct rb_listed {
    char *key;
    int64_t bytes;
    int64_t changed_unix_ms;
};

/* What came of an ask. */
struct rb_store_answer {
    bool found;       /* find, read: there is such an object, or may be. check: the bucket is there */
    bool made;        /* check: the bucket was made just now */
    int64_t bytes;    /* find, read: its size, -1 when the store does not tell */
    char sha256[65];  /* find, read: its hash, hexadecimal; "" when the store does not know it */
    bool refused;     /* find: the store does not let us look; then nothing is found, and it may be there */
    const bool *kept; /* remove_many: of each key, whether it may be there still; borrowed from the ask */
    const struct rb_listed
        *listed; /* list: a page of them; borrowed from the ask, until it is asked for the next one */
    size_t listed_count;
    bool more;             /* list: there is a next page */
    int64_t swept;         /* sweep: how many unfinished uploads were removed */
    const char *url;       /* link: borrowed from the ask; NULL for others */
    int64_t largest_bytes; /* check: that an object in the bucket may have; 0 when that is not known */
};

/* How to find out whether a store would take objects. */
enum rb_check {
    RB_CHECK_LOOK,  /* cheap, to be asked now and then: does it answer, know us and have the bucket? */
    RB_CHECK_WRITE, /* and does it let us write? Leaves nothing behind */
    RB_CHECK_MAKE,  /* and make the bucket when it is missing */
};

/* What to sweep away. Borrowed for the call. */
struct rb_sweep {
    const char *bucket;
    const char *prefix;
    int64_t older_than_ms; /* younger ones may still be worked on */
};

#define RB_STORE_REMOVE_MAX 1000 /* objects by one request */

/* Which to remove. Borrowed until the ask is forgotten. */
struct rb_keys {
    const char *bucket;
    const char *const *keys;
    size_t count; /* 1 to RB_STORE_REMOVE_MAX */
};

struct rb_store_ops {
    const char *kind; /* "file", ...: how options, events and rows name it */

    /* Begin an object. A store that cannot write right now says so by poll. */
    struct rb_put *(*begin)(struct rb_store *store, const struct rb_put_spec *spec);

    /* Bytes have come into the queue. */
    void (*more)(struct rb_put *put);

    /* All bytes are or were in the queue: write what is left and make the object visible, for good. A store whose objects
     * appear with their last byte keeps that byte back until now: what was fetched may still turn out to be no video. */
    void (*commit)(struct rb_put *put, int64_t bytes, const char *sha256);

    /* DONE once the object is visible and has been checked; STORE_*. */
    enum rb_poll (*poll)(const struct rb_put *put, struct rb_error *err);

    /* Forget the object; what was not committed is removed. The queue is not touched after this, but for bytes that are
     * being written: it must live until on_released was called, which may be before this returns. */
    void (*end)(struct rb_put *put, rb_loop_fn on_released, void *arg);

    /* The URL under which people get a stored object. Owned by the caller. */
    char *(*url)(const struct rb_store *store, const struct rb_object *object);

    /* Ask for that URL, once the object is stored. NULL when url tells it. */
    struct rb_ask *(*link)(struct rb_store *store, const struct rb_object *object, rb_loop_fn on_change, void *arg);

    /* Is such an object there already, whole? NULL when the store cannot say. on_change: answer is not WAIT any more; it is
     * never called before the asking returns, nor after forget. */
    struct rb_ask *(*find)(struct rb_store *store, const struct rb_object *object, rb_loop_fn on_change, void *arg);

    /* Read an object to its end: how many bytes has it really, and which hash? One that is not there is not found. */
    struct rb_ask *(*read)(struct rb_store *store, const struct rb_object *object, rb_loop_fn on_change, void *arg);

    /* Would writing to the bucket work? NULL when opening the store said it all. */
    struct rb_ask *(*check)(struct rb_store *store, const char *bucket, enum rb_check how, rb_loop_fn on_change,
                            void *arg);

    /* Remove what killed processes have left unfinished and is older than this, of keys that begin with prefix ("" for
     * all). NULL when opening the store does it, or the store by itself. */
    struct rb_ask *(*sweep)(struct rb_store *store, const struct rb_sweep *what, rb_loop_fn on_change, void *arg);

    /* Remove an object, for good. One that is not there counts as removed. */
    struct rb_ask *(*remove)(struct rb_store *store, const struct rb_object *object, rb_loop_fn on_change, void *arg);

    /* Remove many by one request. What it does not say to be gone is to be removed one by one: only that tells why. NULL when
     * the store cannot. */
    struct rb_ask *(*remove_many)(struct rb_store *store, const struct rb_keys *keys, rb_loop_fn on_change, void *arg);

    /* What is in a bucket, of keys that begin with prefix, in no order: the first page. NULL when the store cannot tell. */
    struct rb_ask *(*list)(struct rb_store *store, const char *bucket, const char *prefix, rb_loop_fn on_change,
                           void *arg);

    /* The next page, once the one before was answered, and said that there is more. */
    void (*list_on)(struct rb_ask *ask);

    /* The answer to an ask; STORE_*. */
    enum rb_poll (*answer)(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err);

    /* Stop an ask and free it. */
    void (*forget)(struct rb_ask *ask);

    /* Free the store once all puts have ended and all asks are forgotten; before the loop. Puts that have ended may still
     * clean up after themselves. */
    void (*free)(struct rb_store *store);
};

/* Every kind of store begins with this. */
struct rb_store {
    const struct rb_store_ops *ops;
};
