/*
 * store_supabase_put.c — an object on its way into Supabase Storage: from state to state.
 *
 * Way:  download -> [store_supabase] -> record
 *
 * One request is out at a time. Its answer leads to the next state; an answer that time may mend leads to the same state
 * again, or first to the question how much the store has, as long as the bytes that it lacks are still there.
 */
#include "consumer/store_supabase_put.h"

#include "common/clock.h"
#include "common/log.h"

#define TRIES_MAX       4 /* of one request, in place; then whoever put the object begins anew */
#define RETRY_FIRST_MS  200
#define RETRY_MAX_MS    3000
#define REMOVE_AFTER_MS 500 /* a server that is taking in a chunk has to notice first that it was cut */

static void on_called(void *arg);

static void put_enter(struct rb_put *put, enum put_state state)
{
    put->state = state;
    if (state == PUT_DONE || state == PUT_BROKEN) {
        supabase_kept_close(put);
        rb_task_queue(&put->tell);
    } else {
        supabase_put_ask(put, on_called);
    }
}

static void put_break(struct rb_put *put, const struct rb_error *err)
{
    put->error = *err;
    rb_timer_stop(put->again);
    rb_supabase_call_free(put->call);
    put->call = NULL;
    put_enter(put, PUT_BROKEN);
}

static void put_break_with(struct rb_put *put, enum rb_code code, const char *what)
{
    struct rb_error err = {0};

    rb_fail(&err, code, 0, "'%.80s/%.100s' %s", put->bucket, put->key, what);
    put_break(put, &err);
}

static void try_later(struct rb_put *put)
{
    rb_timer_start(put->again, rb_backoff_next_ms(&put->backoff, rb_random()));
}

static bool may_try(const struct rb_put *put)
{
    return put->backoff.tries < TRIES_MAX;
}

static bool is_sent(const struct rb_put *put)
{
    return put->all_there && put->taken == put->bytes;
}

static bool passes(const struct rb_supabase_result *result)
{
    return result->error.code == RB_E_STORE_AWAY || result->error.code == RB_E_STORE_BUSY;
}

static void drop_upload(struct rb_put *put)
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
    if (is_sent(put))
        put_enter(put, PUT_LOOKING);
    else
        put_break_with(put, RB_E_STORE_AWAY, "was called stored before all of it was sent");
}

static void after_creating(struct rb_put *put, const struct rb_supabase_result *result)
{
    if (result->upload_id == NULL) {
        put_break_with(put, RB_E_STORE_AWAY, "cannot be uploaded: the store begins an upload without saying where");
        return;
    }
    put->upload_id = rb_xstrdup(result->upload_id);
    put_enter(put, PUT_CHUNK);
}

/* The store has so much of the upload. It may be less than was sent: what lacks is sent again. */
static void go_on_from(struct rb_put *put, int64_t offset)
{
    if (!supabase_kept_reaches(put, offset)) {
        put_break_with(put, RB_E_STORE_AWAY, "was cut, and what the store lacks of it is not in memory any more");
        return;
    }
    if (offset > put->offset)
        rb_backoff_reset(&put->backoff);
    put->offset = offset;
    supabase_kept_forget(put, offset);
    put_enter(put, PUT_CHUNK);
}

static void after_chunk(struct rb_put *put, const struct rb_supabase_result *result)
{
    bool moved = result->offset > put->offset;

    if (is_sent(put) && result->offset == put->length) {
        drop_upload(put);
        put_enter(put, PUT_LOOKING);
    } else if (moved) {
        go_on_from(put, result->offset);
    } else if (may_try(put)) {
        try_later(put);
    } else {
        put_break_with(put, RB_E_STORE_AWAY, "cannot be uploaded: the store takes chunks and has none of them");
    }
}

static void after_measuring(struct rb_put *put, const struct rb_supabase_result *result)
{
    if (result->offset < 0)
        put_break_with(put, RB_E_STORE_AWAY, "was cut, and the store does not say how much of it it has");
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
        put_break_with(put, RB_E_STORE_AWAY,
                       "is not what was sent: another worker wrote it, or the store keeps no metadata");
    else if (info.bytes != put->bytes)
        put_break_with(put, RB_E_STORE_AWAY, "has not as many bytes as were sent");
    else
        put_enter(put, wants_hash(put) && may_try(put) ? PUT_COPYING : PUT_DONE);
}

static void after_good(struct rb_put *put, const struct rb_supabase_result *result)
{
    switch (put->state) {
    case PUT_SENDING:
        rb_backoff_reset(&put->backoff);
        after_sending(put);
        break;
    case PUT_CREATING:
        rb_backoff_reset(&put->backoff);
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
        put_enter(put, PUT_LOOKING);
        break;
    case PUT_DONE:
    case PUT_BROKEN:
    case PUT_REMOVING:
        RB_BUG("an answer came to a request that was not made");
    }
}

/* And after one that did not. */

static bool exists(const struct rb_supabase_result *result)
{
    return result->meaning == 409 && strstr(result->text, "already exists") != NULL;
}

/* The object may be there although the answer says no such thing, or never came; or it is there since an earlier try. */
static bool may_be_stored(const struct rb_put *put, const struct rb_supabase_result *result)
{
    bool unknown = result->status == 0 || result->meaning >= 500;

    if (put->state == PUT_CHUNK)
        return is_sent(put) && exists(result);
    return put->state == PUT_SENDING && is_sent(put) && (unknown || (exists(result) && put->backoff.tries > 0));
}

static void look_for_it(struct rb_put *put)
{
    put->uncertain = true;
    drop_upload(put);
    put_enter(put, PUT_LOOKING);
}

/* It was looked for, and is not there. */
static void send_again(struct rb_put *put, const struct rb_supabase_result *result)
{
    put->uncertain = false;
    if (supabase_kept_reaches(put, 0) && may_try(put)) {
        put->state = PUT_SENDING;
        try_later(put);
    } else {
        put_break(put, &result->error);
    }
}

/* The upload is not there any more: it has expired, or is complete. */
static void after_loss(struct rb_put *put)
{
    bool whole = is_sent(put);

    drop_upload(put);
    if (whole && put->backoff.tries > 0)
        put_enter(put, PUT_LOOKING);
    else if (supabase_kept_reaches(put, 0) && may_try(put))
        put_enter(put, PUT_CREATING);
    else
        put_break_with(put, RB_E_STORE_AWAY, "was being uploaded, and the store has forgotten the upload");
}

/* The object is there and whole; only its hash is not in its metadata. */
static void after_bad_copy(struct rb_put *put, const struct rb_supabase_result *result)
{
    if (passes(result) && may_try(put)) {
        try_later(put);
        return;
    }
    put->no_hash = true;
    if ((result->error.code == RB_E_STORE_REFUSED || result->error.code == RB_E_STORE_ANSWER) && !put->store->no_copy) {
        put->store->no_copy = true;
        rb_log(NULL, RB_EV_STORE_LIMITED, "without=sha256");
    }
    put_enter(put, PUT_LOOKING);
}

static bool may_repeat(const struct rb_put *put, const struct rb_supabase_result *result)
{
    bool there = put->state != PUT_SENDING || supabase_kept_reaches(put, 0);

    return passes(result) && !exists(result) && there && may_try(put);
}

static void after_bad(struct rb_put *put, const struct rb_supabase_result *result)
{
    bool lost =
        (put->state == PUT_CHUNK || put->state == PUT_MEASURING) && (result->meaning == 404 || result->meaning == 410);

    if (put->state == PUT_COPYING)
        after_bad_copy(put, result);
    else if (lost)
        after_loss(put);
    else if (may_be_stored(put, result))
        look_for_it(put);
    else if (put->uncertain && result->meaning == 404)
        send_again(put, result);
    else if (may_repeat(put, result))
        try_later(put);
    else
        put_break(put, &result->error);
}

static void on_again(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    switch (put->state) {
    case PUT_CHUNK:
        put_enter(put, PUT_MEASURING);
        break;
    case PUT_COPYING:
        put_enter(put, PUT_LOOKING);
        break;
    default:
        put_enter(put, put->state);
        break;
    }
}

/* The put has ended: what it has begun is taken back, and then it goes. What cannot be taken back expires. */
static void after_end(struct rb_put *put, const struct rb_supabase_result *result)
{
    bool good = result->error.code == RB_E_NONE;

    if (put->state == PUT_CREATING && good && result->upload_id != NULL) {
        put->upload_id = rb_xstrdup(result->upload_id);
        put_enter(put, PUT_REMOVING);
    } else if (put->state == PUT_REMOVING && passes(result) && may_try(put)) {
        try_later(put);
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
        after_bad(put, result);
    rb_supabase_call_free(call);
}

/* The ops. */

static void tell(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    put->on_change(put->arg);
}

struct rb_put *supabase_put_begin(struct rb_store *base, const struct rb_put_spec *spec)
{
    struct store_supabase *store = (struct store_supabase *)base;
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
    if (store->misfit.code != RB_E_NONE)
        put_break(put, &store->misfit);
    else
        put_enter(put, put->length <= store->config.single_max_bytes ? PUT_SENDING : PUT_CREATING);
    return put;
}

void supabase_put_more(struct rb_put *put)
{
    if (put->call != NULL)
        rb_supabase_call_more(put->call);
}

void supabase_put_commit(struct rb_put *put, int64_t bytes, const char *sha256)
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
    if (put->call != NULL)
        rb_supabase_call_release(put->call);
}

enum rb_poll supabase_put_poll(const struct rb_put *put, struct rb_error *err)
{
    if (put->state == PUT_BROKEN) {
        *err = put->error;
        return RB_POLL_FAILED;
    }
    return put->state == PUT_DONE ? RB_POLL_DONE : RB_POLL_WAIT;
}

void supabase_put_end(struct rb_put *put, rb_loop_fn on_released, void *arg)
{
    bool cut = put->state == PUT_CHUNK && put->call != NULL;

    if (is_sent(put))
        drop_upload(put); /* it may be the object by now: the server would take its bytes away */
    put->ended = true;
    rb_task_done(&put->tell);
    rb_timer_stop(put->again);
    if (put->state != PUT_CREATING) { /* whose answer has the name that is needed to take it back */
        rb_supabase_call_free(put->call);
        put->call = NULL;
    }
    supabase_kept_close(put);
    put->queue = NULL;
    on_released(arg);
    rb_backoff_reset(&put->backoff);
    if (put->upload_id == NULL && put->call == NULL) {
        supabase_put_free(put);
    } else if (cut) {
        put->state = PUT_REMOVING;
        rb_timer_start(put->again, REMOVE_AFTER_MS);
    } else if (put->upload_id != NULL) {
        put_enter(put, PUT_REMOVING);
    }
}

void supabase_put_free(struct rb_put *put)
{
    struct store_supabase *store = put->store;

    rb_supabase_call_free(put->call);
    supabase_kept_close(put);
    rb_task_done(&put->tell);
    rb_timer_free(put->again);
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
