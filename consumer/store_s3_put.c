/*
 * store_s3_put.c — an object on its way into S3: from state to state.
 *
 * Way:  download -> [store_s3] -> record
 *
 * One request is out at a time. Its answer leads to the next state; an answer that time may mend leads to the same state
 * again, as long as the bytes of the request are still there.
 */
#include "consumer/store_s3_put.h"

#include <inttypes.h>

#include "common/log.h"

#define TRIES_MAX      4 /* of one request, in place; then whoever put the object begins anew */
#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS   3000
#define ABORT_AFTER_MS 500 /* a server that is taking in a part has to notice first that it was cut */
#define MIB            (1 << 20)

static void put_break(struct rb_put *put, const struct rb_error *err)
{
    put->error = *err;
    rb_timer_stop(put->again);
    rb_s3_call_free(put->call);
    put->call = NULL;
    s3_put_enter(put, PUT_BROKEN);
}

static void put_break_with(struct rb_put *put, enum rb_code code, const char *what)
{
    struct rb_error err = {0};

    rb_fail(&err, code, 0, "'%.80s/%.100s' %s", put->bucket, put->key, what);
    put_break(put, &err);
}

static void fill(struct rb_put *put);

void s3_put_hand_out(void *arg)
{
    struct store_s3 *store = arg;

    while (store->waiting != NULL && store->buffers_left > 0) {
        struct rb_put *put = store->waiting;

        s3_put_leave_line(put);
        store->buffers_left--;
        put->buffer = rb_xalloc((size_t)put->part_bytes);
        fill(put);
    }
}

/* Move bytes from the queue into the buffer. */
static void gather(struct rb_put *put)
{
    const uint8_t *bytes;
    size_t n;

    while ((n = RB_MIN(rb_byteq_peek(put->queue, &bytes), (size_t)put->part_bytes - put->buffer_used)) > 0) {
        memcpy(put->buffer + put->buffer_used, bytes, n);
        put->buffer_used += n;
        rb_byteq_take(put->queue, n);
        rb_task_queue(&put->tell);
    }
}

/* In FILLING: is there enough to go on with? */
static void fill(struct rb_put *put)
{
    if (put->length >= 0) { /* all parts are there; only the word to complete them is missing */
        if (put->all_there)
            s3_put_enter(put, PUT_COMPLETING);
        return;
    }
    if (put->buffer == NULL) {
        s3_put_enter_line(put);
        return;
    }
    gather(put);

    bool last = put->all_there && rb_byteq_used(put->queue) == 0;
    bool full = put->buffer_used == (size_t)put->part_bytes;

    if (last && put->upload_id == NULL)
        s3_put_enter(put, PUT_SENDING);
    else if (last && put->buffer_used == 0)
        s3_put_enter(put, PUT_COMPLETING);
    else if (last || full)
        s3_put_enter(put, put->upload_id != NULL ? PUT_PART : PUT_CREATING);
}

/* What comes after a request that went well. */

static bool wants_hash(const struct rb_put *put)
{
    return !put->hash_is_there && !put->store->no_copy && put->bytes <= put->store->config.hash_max_bytes;
}

static void after_object(struct rb_put *put, const struct rb_s3_result *result)
{
    if (!put->all_there) {
        put_break_with(put, RB_E_STORE_AWAY, "was called stored before all of it was sent");
        return;
    }
    if (s3_put_is_other(result)) {
        put_break_with(put, RB_E_STORE_AWAY, "arrived otherwise than it was sent: the store names another MD5");
        return;
    }
    put->hash_is_there = put->state == PUT_SENDING;
    s3_put_enter(put, wants_hash(put) ? PUT_COPYING : PUT_LOOKING);
}

static void next_part(struct rb_put *put)
{
    if (put->part_count >= S3_PARTS_MAX)
        put_break_with(put, RB_E_TOO_LARGE, "has more parts than S3 allows; raise s3_part_bytes");
    else if (put->length >= 0 ? put->parts_sent < put->length : put->buffer_used > 0)
        s3_put_enter(put, PUT_PART);
    else
        s3_put_enter(put, PUT_FILLING);
}

static void after_creating(struct rb_put *put, const struct rb_s3_result *result)
{
    struct rb_error err = {0};

    if (s3_put_read_id(result, &put->upload_id, &err) < 0)
        put_break(put, &err);
    else
        next_part(put);
}

static void after_part(struct rb_put *put, const struct rb_s3_result *result)
{
    int64_t sent =
        put->buffer != NULL ? (int64_t)put->buffer_used : RB_MIN(put->part_bytes, put->length - put->parts_sent);

    if (s3_put_is_other(result)) {
        put_break_with(put, RB_E_STORE_AWAY, "arrived otherwise than it was sent: the store names another MD5");
        return;
    }
    put->etags = rb_xrealloc(put->etags, (put->part_count + 1) * sizeof(put->etags[0]));
    put->etags[put->part_count++] = rb_xstrdup(result->etag);
    put->parts_sent += sent;
    put->buffer_used = 0;
    next_part(put);
}

static void after_completing(struct rb_put *put)
{
    free(put->upload_id);
    put->upload_id = NULL;
    s3_put_enter(put, wants_hash(put) ? PUT_COPYING : PUT_LOOKING);
}

/* Is what is there what was sent? The id in its metadata was made for this put alone. */
static void after_looking(struct rb_put *put, const struct rb_s3_result *result)
{
    bool ours = strcmp(result->put_id, put->id) == 0;

    put->hash_is_there = strcmp(result->sha256, put->sha256) == 0;
    if (!ours)
        put_break_with(put, RB_E_STORE_AWAY,
                       "is not what was sent: another worker wrote it, or the store keeps no metadata");
    else if (result->bytes != put->bytes)
        put_break_with(put, RB_E_STORE_AWAY, "has not as many bytes as were sent");
    else
        s3_put_enter(put, wants_hash(put) && put->backoff.tries < TRIES_MAX ? PUT_COPYING : PUT_DONE);
}

static void after_good(struct rb_put *put, const struct rb_s3_result *result)
{
    if (put->state != PUT_LOOKING)
        rb_backoff_reset(&put->backoff);
    switch (put->state) {
    case PUT_STREAMING:
    case PUT_SENDING:
        after_object(put, result);
        break;
    case PUT_CREATING:
        after_creating(put, result);
        break;
    case PUT_PART:
        after_part(put, result);
        break;
    case PUT_COMPLETING:
        after_completing(put);
        break;
    case PUT_LOOKING:
        after_looking(put, result);
        break;
    case PUT_COPYING:
        s3_put_enter(put, PUT_LOOKING);
        break;
    case PUT_FILLING:
    case PUT_DONE:
    case PUT_BROKEN:
    case PUT_ABORTING:
        RB_BUG("an answer came to a request that was not made");
    }
}

/* And after one that did not. */

/* What lies in an archive by its storage class cannot be copied either. */
static bool is_unknown_to_server(const struct rb_s3_result *result)
{
    return strcmp(result->code, "InvalidObjectState") == 0 || result->status == 501 || result->status == 405 ||
           strcmp(result->code, "NotImplemented") == 0 ||
           (result->status == 400 &&
            (strcmp(result->code, "InvalidArgument") == 0 || strcmp(result->code, "InvalidRequest") == 0));
}

static bool makes_object(enum put_state state)
{
    return state == PUT_STREAMING || state == PUT_SENDING || state == PUT_COMPLETING;
}

/* The server does not know what we asked for, but we can do without. */
static bool do_without(struct rb_put *put, const struct rb_s3_result *result)
{
    struct store_s3 *store = put->store;

    if (!is_unknown_to_server(result))
        return false;
    if (makes_object(put->state) && !put->replace && !store->no_conditions) {
        store->no_conditions = true;
        rb_log(NULL, RB_EV_STORE_LIMITED, "without=if-none-match");
        return true;
    }
    if (put->state == PUT_COPYING && !store->no_copy) {
        store->no_copy = true;
        rb_log(NULL, RB_EV_STORE_LIMITED, "without=x-amz-meta-sha256");
        return true;
    }
    return false;
}

/* The request may have been carried out although its answer says no such thing, or never came. An upload that is unknown
 * when it is to be completed may be so because it is complete: libcurl repeats by itself what a connection has lost. */
static bool may_be_done(const struct rb_put *put, const struct rb_s3_result *result, int64_t taken)
{
    bool second = put->backoff.tries > 0 || (put->state == PUT_STREAMING && taken == put->length);
    bool lost = result->status == 0 && put->state == PUT_STREAMING;
    bool completed = result->status == 404 && put->state == PUT_COMPLETING;

    return completed || (makes_object(put->state) && second && (lost || result->status == 412));
}

static void on_again(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    s3_put_enter(put, put->state == PUT_COPYING ? PUT_LOOKING : put->state);
}

static bool try_again(struct rb_put *put, const struct rb_s3_result *result, int64_t taken)
{
    bool passes = result->error.code == RB_E_STORE_AWAY || result->error.code == RB_E_STORE_BUSY;

    if (!passes || taken > 0 || result->status == 412 || put->backoff.tries >= TRIES_MAX)
        return false;
    rb_timer_start(put->again, rb_backoff_next_ms(&put->backoff, rb_random()));
    return true;
}

static void after_bad(struct rb_put *put, const struct rb_s3_result *result, int64_t taken)
{
    if (may_be_done(put, result, taken)) {
        s3_put_enter(put, PUT_LOOKING);
    } else if (put->state == PUT_LOOKING && result->status == 404) {
        put_break_with(put, RB_E_STORE_AWAY, "was sent, and is not there");
    } else if (do_without(put, result)) {
        if (put->state == PUT_COPYING)
            s3_put_enter(put, PUT_LOOKING);
        else if (taken == 0)
            s3_put_enter(put, put->state);
        else
            put_break_with(put, RB_E_STORE_AWAY, "has to be sent again, without a condition");
    } else if (!try_again(put, result, taken)) {
        put_break(put, &result->error);
    }
}

/* The put has ended: what it has begun is taken back, and then it goes. */
static void after_end(struct rb_put *put, const struct rb_s3_result *result)
{
    struct rb_error ignored = {0};
    bool good = result->error.code == RB_E_NONE;

    if (put->state == PUT_CREATING && good && s3_put_read_id(result, &put->upload_id, &ignored) == 0)
        s3_put_enter(put, PUT_ABORTING);
    else if (put->state == PUT_CREATING || good || result->status == 404 || put->backoff.tries >= TRIES_MAX)
        s3_put_free(put);
    else
        rb_timer_start(put->again, rb_backoff_next_ms(&put->backoff, rb_random()));
}

static void on_called(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);
    struct rb_s3_call *call = put->call;
    const struct rb_s3_result *result = rb_s3_call_result(call);

    put->call = NULL;
    if (put->ended)
        after_end(put, result);
    else if (result->error.code == RB_E_NONE)
        after_good(put, result);
    else
        after_bad(put, result, rb_s3_call_taken(call));
    rb_s3_call_free(call);
}

void s3_put_enter(struct rb_put *put, enum put_state state)
{
    put->state = state;
    switch (state) {
    case PUT_FILLING:
        fill(put);
        break;
    case PUT_DONE:
    case PUT_BROKEN:
        s3_put_give_back(put);
        rb_task_queue(&put->tell);
        break;
    default:
        s3_put_ask(put, on_called);
        break;
    }
}

/* The ops. */

static void tell(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    put->on_change(put->arg);
}

/* As asked for, but large enough that the parts are not too many. */
static int64_t size_of_parts(const struct rb_store_s3_config *config, int64_t length)
{
    int64_t least = (length / S3_PARTS_MAX / MIB + 1) * MIB;

    return RB_MAX(config->part_bytes, least);
}

struct rb_put *s3_put_begin(struct rb_store *base, const struct rb_put_spec *spec)
{
    struct store_s3 *store = (struct store_s3 *)base;
    struct rb_put *put = rb_xalloc(sizeof(*put));

    *put = (struct rb_put){
        .magic = PUT_MAGIC,
        .store = store,
        .next = store->puts,
        .link = &store->puts,
        .bucket = rb_xstrdup(spec->object->bucket),
        .key = rb_xstrdup(spec->object->key),
        .content_type = rb_xstrdup(spec->object->content_type),
        .replace = spec->replace,
        .length = spec->bytes,
        .part_bytes = size_of_parts(&store->config, spec->bytes),
        .queue = spec->queue,
        .on_change = spec->on_change,
        .arg = spec->arg,
        .backoff = {RETRY_FIRST_MS, RETRY_MAX_MS, 0},
    };
    if (put->next != NULL)
        put->next->link = &put->next;
    store->puts = put;
    rb_uuid_new(put->id);
    rb_task_init(&put->tell, store->loop, tell, put);
    put->again = rb_timer_new(store->loop, on_again, put);
    if (put->length < 0)
        s3_put_enter(put, PUT_FILLING);
    else
        s3_put_enter(put, put->length <= store->config.single_max_bytes ? PUT_STREAMING : PUT_CREATING);
    return put;
}

void s3_put_more(struct rb_put *put)
{
    if (put->state == PUT_FILLING)
        fill(put);
    else if (put->call != NULL && put->length >= 0)
        rb_s3_call_more(put->call);
}

void s3_put_commit(struct rb_put *put, int64_t bytes, const char *sha256)
{
    if (put->state == PUT_BROKEN)
        return;
    if (put->length >= 0 && put->length != bytes) {
        put_break_with(put, RB_E_SOURCE_CUT, "has not the size that the source had said");
        return;
    }
    put->all_there = true;
    put->bytes = bytes;
    snprintf(put->sha256, sizeof(put->sha256), "%s", sha256);
    if (put->state == PUT_STREAMING && put->call != NULL)
        rb_s3_call_release(put->call);
    else
        s3_put_more(put);
}

enum rb_poll s3_put_poll(const struct rb_put *put, struct rb_error *err)
{
    if (put->state == PUT_BROKEN) {
        *err = put->error;
        return RB_POLL_FAILED;
    }
    return put->state == PUT_DONE ? RB_POLL_DONE : RB_POLL_WAIT;
}

void s3_put_end(struct rb_put *put, rb_loop_fn on_released, void *arg)
{
    bool cut = put->state == PUT_PART && put->call != NULL;

    put->ended = true;
    rb_task_done(&put->tell);
    rb_timer_stop(put->again);
    if (put->state != PUT_CREATING) { /* whose answer has the id that is needed to take it back */
        rb_s3_call_free(put->call);
        put->call = NULL;
    }
    s3_put_give_back(put);
    put->queue = NULL;
    on_released(arg);
    rb_backoff_reset(&put->backoff);
    if (put->upload_id == NULL && put->call == NULL) {
        s3_put_free(put);
    } else if (cut) {
        put->state = PUT_ABORTING;
        rb_timer_start(put->again, ABORT_AFTER_MS);
    } else if (put->upload_id != NULL) {
        s3_put_enter(put, PUT_ABORTING);
    }
}

void s3_put_free(struct rb_put *put)
{
    struct store_s3 *store = put->store;

    rb_s3_call_free(put->call);
    s3_put_give_back(put);
    rb_task_done(&put->tell);
    rb_timer_free(put->again);
    for (size_t i = 0; i < put->part_count; i++)
        free(put->etags[i]);
    free(put->etags);
    free(put->upload_id);
    free(put->call_body);
    free(put->bucket);
    free(put->key);
    free(put->content_type);
    *put->link = put->next;
    if (put->next != NULL)
        put->next->link = put->link;
    put->magic = 0;
    free(put);
    if (store->closing && store->puts == NULL)
        rb_loop_stop(store->loop);
}
