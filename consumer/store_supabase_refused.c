/*
 * store_supabase_refused.c — an object on its way into Supabase Storage: what comes after a request that did not go well.
 *
 * Way:  download -> [store_supabase] -> record
 */
#include "common/log.h"
#include "consumer/store_supabase_put.h"

static bool exists(const struct rb_supabase_result *result)
{
    return result->meaning == 409 && strstr(result->text, "already exists") != NULL;
}

/* The object may be there although the answer says no such thing, or never came; or it is there since an earlier try. */
static bool may_be_stored(const struct rb_put *put, const struct rb_supabase_result *result)
{
    bool unknown = result->status == 0 || result->meaning >= 500;

    if (put->state == PUT_CHUNK)
        return supabase_put_is_sent(put) && exists(result);
    return put->state == PUT_SENDING && supabase_put_is_sent(put) &&
           (unknown || (exists(result) && put->backoff.tries > 0));
}

static void look_for_it(struct rb_put *put)
{
    put->uncertain = true;
    supabase_put_drop_upload(put);
    supabase_put_enter(put, PUT_LOOKING);
}

/* It was looked for, and is not there. */
static void send_again(struct rb_put *put, const struct rb_supabase_result *result)
{
    put->uncertain = false;
    if (supabase_kept_reaches(put, 0) && supabase_put_may_try(put)) {
        put->state = PUT_SENDING;
        supabase_put_try_later(put, result->error.wait_ms);
    } else {
        supabase_put_break(put, &result->error);
    }
}

/* The upload is not there any more: it has expired, or is complete. */
static void after_loss(struct rb_put *put)
{
    bool whole = supabase_put_is_sent(put);

    supabase_put_drop_upload(put);
    if (whole && put->backoff.tries > 0) {
        supabase_put_enter(put, PUT_LOOKING);
    } else if (supabase_kept_reaches(put, 0) && supabase_put_may_try(put)) {
        put->state = PUT_CREATING;
        supabase_put_try_later(put, 0);
    } else {
        supabase_put_break_with(put, RB_E_STORE_AWAY, "was being uploaded, and the store has forgotten the upload");
    }
}

/* The object is there and whole; only its hash is not in its metadata. */
static void after_bad_copy(struct rb_put *put, const struct rb_supabase_result *result)
{
    if (supabase_put_passes(result) && supabase_put_may_try(put)) {
        supabase_put_try_later(put, result->error.wait_ms);
        return;
    }
    put->no_hash = true;
    if ((result->error.code == RB_E_STORE_REFUSED || result->error.code == RB_E_STORE_ANSWER) && !put->store->no_copy) {
        put->store->no_copy = true;
        rb_log(NULL, RB_EV_STORE_LIMITED, "without=sha256");
    }
    supabase_put_enter(put, PUT_LOOKING);
}

static bool may_repeat(const struct rb_put *put, const struct rb_supabase_result *result)
{
    bool there = put->state != PUT_SENDING || supabase_kept_reaches(put, 0);

    return supabase_put_passes(result) && !exists(result) && there && supabase_put_may_try(put);
}

void supabase_put_after_bad(struct rb_put *put, const struct rb_supabase_result *result)
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
        supabase_put_try_later(put, result->error.wait_ms);
    else
        supabase_put_break(put, &result->error);
}

void supabase_put_on_again(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    switch (put->state) {
    case PUT_CHUNK:
        supabase_put_enter(put, PUT_MEASURING);
        break;
    case PUT_COPYING:
        supabase_put_enter(put, PUT_LOOKING);
        break;
    default:
        supabase_put_enter(put, put->state);
        break;
    }
}
