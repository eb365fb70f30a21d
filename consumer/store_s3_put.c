/*
 * store_s3_put.c — an object on its way into S3: from state to state.
 *
 * Way:  download -> [store_s3] -> record
 *
 * One request is out at a time. Its answer leads to the next state; an answer that time may mend leads to the same state
 * again, as long as the bytes of the request are still there.
 */
#include "consumer/store_s3_put.h"

#include "common/failpoint.h"

void s3_put_break(struct rb_put *put, const struct rb_error *err)
{
    put->error = *err;
    rb_timer_stop(put->again);
    rb_s3_call_free(put->call);
    put->call = NULL;
    s3_put_enter(put, PUT_BROKEN);
}

void s3_put_break_with(struct rb_put *put, enum rb_code code, const char *what)
{
    struct rb_error err = {0};

    rb_fail(&err, code, 0, "'%.80s/%.100s' %s", put->bucket, put->key, what);
    s3_put_break(put, &err);
}

/* What comes after a request that went well. */

static bool wants_hash(const struct rb_put *put)
{
    return !put->hash_is_there && !put->store->no_copy && put->bytes <= put->store->config.hash_max_bytes;
}

/* Only the object that was sent is to get the hash: the store's name for it has to be known. A look tells that, too. */
static void after_stored(struct rb_put *put)
{
    s3_put_enter(put, wants_hash(put) && put->etag[0] != '\0' ? PUT_COPYING : PUT_LOOKING);
}

static void after_object(struct rb_put *put, const struct rb_s3_result *result)
{
    if (!put->all_there) {
        s3_put_break_with(put, RB_E_STORE_AWAY, "was called stored before all of it was sent");
        return;
    }
    if (s3_put_is_other(result)) {
        s3_put_break_with(put, RB_E_STORE_AWAY, "arrived otherwise than it was sent: the store names another MD5");
        return;
    }
    put->hash_is_there = put->state == PUT_SENDING;
    snprintf(put->etag, sizeof(put->etag), "%s", result->etag);
    after_stored(put);
}

static void next_part(struct rb_put *put)
{
    if (put->part_count >= S3_PARTS_MAX)
        s3_put_break_with(put, RB_E_TOO_LARGE, "has more parts than S3 allows; raise s3_part_bytes");
    else if (put->length >= 0 ? put->parts_sent < put->length : put->buffer_used > 0)
        s3_put_enter(put, PUT_PART);
    else
        s3_put_enter(put, PUT_FILLING);
}

static void after_creating(struct rb_put *put, const struct rb_s3_result *result)
{
    struct rb_error err = {0};

    if (s3_put_read_id(result, &put->upload_id, &err) < 0)
        s3_put_break(put, &err);
    else
        next_part(put);
    RB_FAIL_HERE(s3_upload_begun);
}

static void after_part(struct rb_put *put, const struct rb_s3_result *result)
{
    int64_t sent =
        put->buffer != NULL ? (int64_t)put->buffer_used : RB_MIN(put->part_bytes, put->length - put->parts_sent);

    if (s3_put_is_other(result)) {
        s3_put_break_with(put, RB_E_STORE_AWAY, "arrived otherwise than it was sent: the store names another MD5");
        return;
    }
    put->etags = rb_xrealloc(put->etags, (put->part_count + 1) * sizeof(put->etags[0]));
    put->etags[put->part_count++] = rb_xstrdup(result->etag);
    put->parts_sent += sent;
    put->buffer_used = 0;
    RB_FAIL_HERE(s3_part_sent);
    next_part(put);
}

static void after_completing(struct rb_put *put, const struct rb_s3_result *result)
{
    free(put->upload_id);
    put->upload_id = NULL;
    s3_put_read_etag(result, put->etag, sizeof(put->etag));
    after_stored(put);
}

/* Is what is there what was sent? The id in its metadata was made for this put alone. */
static void after_looking(struct rb_put *put, const struct rb_s3_result *result)
{
    bool ours = strcmp(result->put_id, put->id) == 0;

    put->hash_is_there = strcmp(result->sha256, put->sha256) == 0;
    snprintf(put->etag, sizeof(put->etag), "%s", result->etag);
    if (!ours)
        s3_put_break_with(put, RB_E_STORE_AWAY,
                          "is not what was sent: another worker wrote it, or the store keeps no metadata");
    else if (result->bytes != put->bytes)
        s3_put_break_with(put, RB_E_STORE_AWAY, "has not as many bytes as were sent");
    else
        s3_put_enter(put, wants_hash(put) && put->backoff.tries < TRIES_MAX ? PUT_COPYING : PUT_DONE);
}

static void after_good(struct rb_put *put, const struct rb_s3_result *result)
{
    if (put->state != PUT_LOOKING)
        rb_backoff_reset(&put->backoff);
    if (put->on_trial)
        s3_put_drop_conditions(put->store);
    switch (put->state) {
    case PUT_STREAMING:
    case PUT_SENDING:
        RB_FAIL_HERE(s3_object_there);
        after_object(put, result);
        break;
    case PUT_CREATING:
        after_creating(put, result);
        break;
    case PUT_PART:
        after_part(put, result);
        break;
    case PUT_COMPLETING:
        RB_FAIL_HERE(s3_object_there);
        after_completing(put, result);
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
        s3_put_after_bad(put, result, rb_s3_call_taken(call));
    rb_s3_call_free(call);
}

void s3_put_enter(struct rb_put *put, enum put_state state)
{
    put->state = state;
    switch (state) {
    case PUT_FILLING:
        s3_put_fill(put);
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
