/*
 * store_supabase_put.h — an object on its way into Supabase Storage: the table of its states, and the put itself.
 *
 * Way:  download -> [store_supabase] -> record
 */
#pragma once

#include "common/backoff.h"
#include "common/random.h"
#include "consumer/store_supabase_internal.h"

#define PUT_MAGIC 0x53555050u

/* clang-format off: one row, one line */
#define PUT_STATES(X)                                                                                                  \
    /* state      while here it... */                                                                                  \
    X(SENDING, "sends the object in one request")                                                                      \
    X(CREATING, "begins a resumable upload")                                                                           \
    X(CHUNK, "sends a chunk of it; an empty one when the store has all but has not said so")                           \
    X(MEASURING, "asks how much of it the store has, after a cut")                                                     \
    X(LOOKING, "looks whether what is there is what was sent")                                                         \
    X(COPYING, "copies the object onto itself, with its hash as metadata")                                             \
    X(DONE, "is in the store, checked")                                                                                \
    X(BROKEN, "cannot be stored; error says why")                                                                      \
    X(REMOVING, "has ended, and takes back the upload that it had begun")
/* clang-format on */

enum put_state {
#define ROW(state, what) PUT_##state,
    PUT_STATES(ROW)
#undef ROW
};

struct rb_put {
    uint32_t magic;
    struct store_supabase *store; /* borrowed */
    struct rb_put *next;          /* in the list of all */
    struct rb_put **link;
    char *bucket;
    char *key;
    char *content_type;
    char *traceparent; /* NULL for none */
    bool replace;
    char id[RB_UUID_TEXT_BYTES]; /* in the object's metadata: says that it is ours */
    int64_t length;              /* as told at the beginning; -1 when unknown */
    struct rb_byteq *queue;      /* borrowed; NULL once the put has ended */
    enum put_state state;
    struct rb_error error; /* when BROKEN */
    struct rb_task tell;   /* calls on_change */
    rb_loop_fn on_change;
    void *arg; /* borrowed */

    bool all_there; /* commit was called */
    int64_t bytes;  /* that the object has in the end; known then */
    char sha256[65];

    struct rb_supabase_call *call;
    char *call_body; /* of the call that is out */
    struct rb_timer *again;
    struct rb_backoff backoff;
    bool uncertain; /* nobody has said yet whether the object was stored */

    int64_t taken;     /* bytes out of the queue */
    uint8_t *kept;     /* a copy of those that the store may not have; NULL when there is no memory for that */
    size_t kept_room;  /* bytes that it can hold */
    int64_t kept_from; /* where in the object it begins */
    size_t kept_used;

    char *upload_id;    /* NULL when there is no upload */
    int64_t offset;     /* how much of it the store has */
    bool hash_is_there; /* in the object's metadata */
    bool no_hash;       /* it cannot be put there */
    bool ended;
};

/*
 * Go to a state and begin what is done there.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void supabase_put_enter(struct rb_put *put, enum put_state state);

/*
 * It cannot be stored.
 *
 * Loop:   as supabase_put_enter.
 */
void supabase_put_break(struct rb_put *put, const struct rb_error *err);

/*
 * It cannot be stored, for a reason of our own.
 *
 * Takes:  what, the rest of a sentence about the object.
 * Loop:   as supabase_put_enter.
 */
void supabase_put_break_with(struct rb_put *put, enum rb_code code, const char *what);

/*
 * A request did not go well: look whether it was carried out all the same, try it again after a pause, or break.
 *
 * Loop:   as supabase_put_enter.
 */
void supabase_put_after_bad(struct rb_put *put, const struct rb_supabase_result *result);

/*
 * Try once more after a pause, if supabase_put_may_try.
 *
 * Takes:  wait_ms, that the store asks for; 0 when it does not.
 * Loop:   loop thread.
 */
void supabase_put_try_later(struct rb_put *put, int64_t wait_ms);

/*
 * Were there not too many tries of this request yet?
 *
 * Loop:   pure, any thread.
 */
bool supabase_put_may_try(const struct rb_put *put);

/*
 * The pause is over.
 *
 * Takes:  arg, a put.
 * Loop:   as supabase_put_enter.
 */
void supabase_put_on_again(void *arg);

/*
 * Have all bytes of the object been sent?
 *
 * Loop:   pure, any thread.
 */
bool supabase_put_is_sent(const struct rb_put *put);

/*
 * Does what was answered pass by itself, and soon?
 *
 * Loop:   pure, any thread.
 */
bool supabase_put_passes(const struct rb_supabase_result *result);

/*
 * Forget the upload.
 *
 * Loop:   loop thread.
 */
void supabase_put_drop_upload(struct rb_put *put);

/*
 * Begin the request of a state: SENDING, CREATING, CHUNK, MEASURING, LOOKING, COPYING or REMOVING.
 *
 * Takes:  on_done, called with the put when put->call has a result.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void supabase_put_ask(struct rb_put *put, rb_loop_fn on_done);

/*
 * Begin to keep what is sent, if there is memory for it: as much as can be on its way at once.
 *
 * Loop:   loop thread.
 */
void supabase_kept_open(struct rb_put *put);

/*
 * Keep bytes that were taken out of the queue now.
 *
 * Loop:   loop thread; fine inside of libcurl callbacks.
 */
void supabase_kept_add(struct rb_put *put, const void *bytes, size_t count);

/*
 * Can the bytes from here on to those in the queue be sent, and sent again?
 *
 * Loop:   pure, any thread.
 */
bool supabase_kept_reaches(const struct rb_put *put, int64_t offset);

/*
 * The store has everything before offset: forget that.
 *
 * Takes:  offset, which supabase_kept_reaches.
 * Loop:   loop thread.
 */
void supabase_kept_forget(struct rb_put *put, int64_t offset);

/*
 * Give back the memory.
 *
 * Loop:   loop thread.
 */
void supabase_kept_close(struct rb_put *put);
