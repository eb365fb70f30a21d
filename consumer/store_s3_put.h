/*
 * store_s3_put.h — an object on its way into S3: the table of its states, and the put itself.
 *
 * Way:  download -> [store_s3] -> record
 */
#pragma once

#include "common/backoff.h"
#include "common/random.h"
#include "consumer/store_s3_internal.h"

#define PUT_MAGIC 0x53335055u
#define TRIES_MAX 4 /* of one request, in place; then whoever put the object begins anew */

/* clang-format off: one row, one line */
#define PUT_STATES(X)                                                                                                  \
    /* state      while here it... */                                                                                  \
    X(STREAMING, "sends the object in one request, straight out of the queue")                                         \
    X(FILLING, "waits for bytes; gathers a part in a buffer when nobody knows how many will come")                     \
    X(SENDING, "sends the object in one request, out of the buffer")                                                   \
    X(CREATING, "begins an upload of several parts")                                                                   \
    X(PART, "sends one part, out of the queue or the buffer")                                                          \
    X(COMPLETING, "makes one object of the parts")                                                                     \
    X(LOOKING, "looks whether what is there is what was sent")                                                         \
    X(COPYING, "copies the object onto itself, with its hash as metadata")                                             \
    X(DONE, "is in the store, checked")                                                                                \
    X(BROKEN, "cannot be stored; error says why")                                                                      \
    X(ABORTING, "has ended, and takes back the parts that it had sent")
/* clang-format on */

enum put_state {
#define ROW(state, what) PUT_##state,
    PUT_STATES(ROW)
#undef ROW
};

struct rb_put {
    uint32_t magic;
    struct store_s3 *store; /* borrowed */
    struct rb_put *next;    /* in the list of all */
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

    struct rb_s3_call *call;
    char *call_body; /* of the call that is out */
    struct rb_timer *again;
    struct rb_backoff backoff;
    bool conditional; /* the request went with If-None-Match ... */
    bool on_trial;    /* ... or without, to see whether it was refused for that */

    uint8_t *buffer; /* of one part; NULL when there is none */
    size_t buffer_used;
    bool in_line; /* for a buffer */
    struct rb_put *line_next;

    char *upload_id; /* NULL when there is no upload */
    char **etags;    /* of the parts that are there */
    size_t part_count;
    int64_t part_bytes; /* of all parts but the last */
    int64_t parts_sent; /* bytes of the parts that are there */
    char etag[160];     /* of the object, as the store calls it; "" while that is not known */
    bool hash_is_there; /* in the object's metadata */
    bool ended;
};

/*
 * Go to a state and begin what is done there.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void s3_put_enter(struct rb_put *put, enum put_state state);

/*
 * It cannot be stored.
 *
 * Loop:   as s3_put_enter.
 */
void s3_put_break(struct rb_put *put, const struct rb_error *err);

/*
 * It cannot be stored, for a reason of our own.
 *
 * Takes:  what, the rest of a sentence about the object.
 * Loop:   as s3_put_enter.
 */
void s3_put_break_with(struct rb_put *put, enum rb_code code, const char *what);

/*
 * The server does not know If-None-Match: none is sent any more.
 *
 * Loop:   loop thread.
 */
void s3_put_drop_conditions(struct store_s3 *store);

/*
 * A request did not go well: look whether it was carried out all the same, do without what the server does not know, try it
 * again after a pause, or break.
 *
 * Takes:  taken, how many bytes of the queue went with it.
 * Loop:   as s3_put_enter.
 */
void s3_put_after_bad(struct rb_put *put, const struct rb_s3_result *result, int64_t taken);

/*
 * The pause is over.
 *
 * Takes:  arg, a put.
 * Loop:   as s3_put_enter.
 */
void s3_put_on_again(void *arg);

/*
 * In FILLING: is there enough to go on with?
 *
 * Loop:   as s3_put_enter.
 */
void s3_put_fill(struct rb_put *put);

/*
 * Begin the request of a state: STREAMING, SENDING, CREATING, PART, COMPLETING, LOOKING, COPYING or ABORTING.
 *
 * Takes:  on_done, called with the put when put->call has a result.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void s3_put_ask(struct rb_put *put, rb_loop_fn on_done);

/*
 * Read what CreateMultipartUpload answered.
 *
 * Gives:  ret_id, owned by the caller.
 * Fails:  STORE_AWAY when there is no id in it.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int s3_put_read_id(const struct rb_s3_result *result, char **ret_id, struct rb_error *err);

/*
 * Read the ETag out of what CompleteMultipartUpload answered.
 *
 * Gives:  ret_etag, "" when there is none in it.
 * Loop:   pure, any thread.
 */
void s3_put_read_etag(const struct rb_s3_result *result, char *ret_etag, size_t room);

/*
 * Does an ETag contradict the MD5 of what was sent? Only where the ETag is one: 32 digits, and no encryption by KMS.
 *
 * Loop:   pure, any thread.
 */
bool s3_put_is_other(const struct rb_s3_result *result);

/*
 * Stand in line for a buffer; s3_put_hand_out gives it. Fine for one that does already.
 *
 * Loop:   loop thread.
 */
void s3_put_enter_line(struct rb_put *put);

/*
 * Do not stand in line any more.
 *
 * Loop:   loop thread.
 */
void s3_put_leave_line(struct rb_put *put);

/*
 * Give the buffer back, if there is one, to whoever is next; leave the line.
 *
 * Loop:   loop thread.
 */
void s3_put_give_back(struct rb_put *put);
