/*
 * store_supabase_put.c — an object on its way into Supabase Storage: from state to state.
 *
 * Way:  download -> [store_supabase] -> record
 *
 * One request is out at a time. Its answer leads to the next state; an answer that time may mend leads to the same state
 * again, or first to the question how much the store has, as long as the bytes that it lacks are still there.
 */
#include "consumer/store_supabase_put.h"

#include "common/failpoint.h"

#define TRIES_MAX 4 /* of one request, in place; then whoever put the object begins anew */

static void on_called(void *arg);

void supabase_put_enter(struct rb_put *put, enum put_state state)
{
    put->state = state;
    if (state == PUT_DONE || state == PUT_BROKEN) {
        supabase_kept_close(put);
        rb_task_queue(&put->tell);
    } else {
        supabase_put_ask(put, on_called);
    }
}

void supabase_put_break(struct rb_put *put, const struct rb_error *err)
{
    put->error = *err;
    rb_timer_stop(put->again);
    rb_supabase_call_free(put->call);
    put->call = NULL;
    supabase_put_enter(put, PUT_BROKEN);
}

void supabase_put_break_with(struct rb_put *put, enum rb_code code, const char *what)
{
    struct rb_error err = {0};

    rb_fail(&err, code, 0, "'%.80s/%.100s' %s", put->bucket, put->key, what);
    supabase_put_break(put, &err);
}

void supabase_put_try_later(struct rb_put *put, int64_t wait_ms)
{
    rb_timer_start(put->again, RB_MAX(rb_backoff_next_ms(&put->backoff, rb_random()), wait_ms));
}

bool supabase_put_may_try(const struct rb_put *put)
{
    return put->backoff.tries < TRIES_MAX;
}

bool supabase_put_is_sent(const struct rb_put *put)
{
    return put->all_there && put->taken == put->bytes;
}

bool supabase_put_passes(const struct rb_supabase_result *result)
{
    return (result->error.code == RB_E_STORE_AWAY || result->error.code == RB_E_STORE_BUSY) &&
           result->error.wait_ms <= RB_STORE_REST_MAX_MS;
}

void supabase_put_drop_upload(struct rb_put *put)
{
    free(put->upload_id);
    put->upload_id = NULL;
    put->offset = 0;
}

/* What comes after a request that went well. */

static bool wants_hash(const struct rb_put *put)
{
    return !put->hash_is_there && !put->no_hash && !put->store->no_copy &&
           put->bytes <= put->store->config.hash_max_bytes;
}

static void after_sending(struct rb_put *put)
{
    if (supabase_put_is_sent(put)) {
        RB_FAIL_HERE(supabase_object_there);
        supabase_put_enter(put, PUT_LOOKING);
    } else
        supabase_put_break_with(put, RB_E_STORE_AWAY, "was called stored before all of it was sent");
}

static void after_creating(struct rb_put *put, const struct rb_supabase_result *result)
{
    if (result->upload_id == NULL) {
        supabase_put_break_with(put, RB_E_STORE_AWAY,
                                "cannot be uploaded: the store begins an upload without saying where");
        return;
    }
    put->upload_id = rb_xstrdup(result->upload_id);
    RB_FAIL_HERE(supabase_upload_begun);
    supabase_put_enter(put, PUT_CHUNK);
}

/* The store has so much of the upload. It may be less than was sent: what lacks is sent again. */
static void go_on_from(struct rb_put *put, int64_t offset)
{
    if (!supabase_kept_reaches(put, offset)) {
        supabase_put_break_with(put, RB_E_STORE_AWAY,
                                "was cut, and what the store lacks of it is not in memory any more");
        return;
    }
    if (offset > put->offset)
        rb_backoff_reset(&put->backoff);
    put->offset = offset;
    supabase_kept_forget(put, offset);
    supabase_put_enter(put, PUT_CHUNK);
}

static void after_chunk(struct rb_put *put, const struct rb_supabase_result *result)
{
    bool moved = result->offset > put->offset;

    RB_FAIL_HERE(supabase_chunk_sent);

    if (supabase_put_is_sent(put) && result->offset == put->length) {
        supabase_put_drop_upload(put);
        RB_FAIL_HERE(supabase_object_there);
        supabase_put_enter(put, PUT_LOOKING);
    } else if (moved) {
        go_on_from(put, result->offset);
    } else if (supabase_put_may_try(put)) {
        supabase_put_try_later(put, 0);
    } else {
        supabase_put_break_with(put, RB_E_STORE_AWAY,
                                "cannot be uploaded: the store takes chunks and has none of them");
    }
}

static void after_measuring(struct rb_put *put, const struct rb_supabase_result *result)
{
    if (result->offset < 0)
        supabase_put_break_with(put, RB_E_STORE_AWAY, "was cut, and the store does not say how much of it it has");
    else
        go_on_from(put, result->offset);
}

/* Is what is there what was sent? The id in its metadata was made for this put alone. */
static void after_looking(struct rb_put *put, const struct rb_supabase_result *result)
{
    struct rb_supabase_info info;

    rb_supabase_answer_info(result, &info);
    put->hash_is_there = strcmp(info.sha256, put->sha256) == 0;
    if (strcmp(info.put_id, put->id) != 0)
        supabase_put_break_with(put, RB_E_STORE_AWAY,
                                "is not what was sent: another worker wrote it, or the store keeps no metadata");
    else if (info.bytes != put->bytes)
        supabase_put_break_with(put, RB_E_STORE_AWAY, "has not as many bytes as were sent");
    else
        supabase_put_enter(put, wants_hash(put) && supabase_put_may_try(put) ? PUT_COPYING : PUT_DONE);
}

static void after_good(struct rb_put *put, const struct rb_supabase_result *result)
{
    switch (put->state) {
    case PUT_SENDING:
        rb_backoff_reset(&put->backoff);
        after_sending(put);
        break;
    case PUT_CREATING: /* no reset: an upload that is gone as soon as it was begun is no progress */
        after_creating(put, result);
        break;
    case PUT_CHUNK:
        after_chunk(put, result);
        break;
    case PUT_MEASURING:
        after_measuring(put, result);
        break;
    case PUT_LOOKING:
        after_looking(put, result);
        break;
    case PUT_COPYING:
        supabase_put_enter(put, PUT_LOOKING);
        break;
    case PUT_DONE:
    case PUT_BROKEN:
    case PUT_REMOVING:
        RB_BUG("an answer came to a request that was not made");
    }
}

/* The put has ended: what it has begun is taken back, and then it goes. What cannot be taken back expires. */
static void after_end(struct rb_put *put, const struct rb_supabase_result *result)
{
    bool good = result->error.code == RB_E_NONE;

    if (put->state == PUT_CREATING && good && result->upload_id != NULL) {
        put->upload_id = rb_xstrdup(result->upload_id);
        supabase_put_enter(put, PUT_REMOVING);
    } else if (put->state == PUT_REMOVING && supabase_put_passes(result) && supabase_put_may_try(put)) {
        supabase_put_try_later(put, result->error.wait_ms);
    } else {
        supabase_put_free(put);
    }
}

static void on_called(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);
    struct rb_supabase_call *call = put->call;
    const struct rb_supabase_result *result = rb_supabase_call_result(call);

    put->call = NULL;
    if (put->ended)
        after_end(put, result);
    else if (result->error.code == RB_E_NONE)
        after_good(put, result);
    else
        supabase_put_after_bad(put, result);
    rb_supabase_call_free(call);
}
