/*
 * store_s3_refused.c — an object on its way into S3: what comes after a request that did not go well.
 *
 * Way:  download -> [store_s3] -> record
 */
#include "common/log.h"
#include "consumer/store_s3_put.h"

static bool is_unknown(const struct rb_s3_result *result)
{
    return result->status == 501 || strcmp(result->code, "NotImplemented") == 0;
}

/* Some say so of what they do not know. But it may be about anything else as well. */
static bool may_be_unknown(const struct rb_s3_result *result)
{
    return result->status == 400 &&
           (strcmp(result->code, "InvalidArgument") == 0 || strcmp(result->code, "InvalidRequest") == 0);
}

/* What lies in an archive by its storage class cannot be copied either. */
static bool takes_no_copy(const struct rb_s3_result *result)
{
    return is_unknown(result) || may_be_unknown(result) || result->status == 405 ||
           strcmp(result->code, "InvalidObjectState") == 0;
}

static bool makes_object(enum put_state state)
{
    return state == PUT_STREAMING || state == PUT_SENDING || state == PUT_COMPLETING;
}

/* The next request for this key goes without a condition. If that goes well, it was refused for its condition. */
static void doubt_conditions(struct store_s3 *store, const char *key)
{
    free(store->doubted);
    store->doubted = key != NULL ? rb_xstrdup(key) : NULL;
}

void s3_put_drop_conditions(struct store_s3 *store)
{
    doubt_conditions(store, NULL);
    if (!store->no_conditions)
        rb_log(NULL, RB_EV_STORE_LIMITED, "without=if-none-match");
    store->no_conditions = true;
}

/* The server does not know what we asked for, but we can do without. */
static bool do_without(struct rb_put *put, const struct rb_s3_result *result)
{
    struct store_s3 *store = put->store;

    if (put->on_trial && may_be_unknown(result))
        doubt_conditions(store, NULL);
    if (put->conditional && is_unknown(result)) {
        s3_put_drop_conditions(store);
        return true;
    }
    if (put->conditional && may_be_unknown(result)) {
        doubt_conditions(store, put->key);
        return true;
    }
    if (put->state == PUT_COPYING && takes_no_copy(result) && !store->no_copy) {
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

void s3_put_on_again(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    s3_put_enter(put, put->state == PUT_COPYING ? PUT_LOOKING : put->state);
}

/* An object that another has put there first is not overwritten. A copy is another matter: it is looked at, and repeated. */
static bool try_again(struct rb_put *put, const struct rb_s3_result *result, int64_t taken)
{
    bool passes = result->error.code == RB_E_STORE_AWAY || result->error.code == RB_E_STORE_BUSY;
    bool lost = result->status == 412 && put->state != PUT_COPYING;

    if (!passes || taken > 0 || lost || put->backoff.tries >= TRIES_MAX || result->error.wait_ms > RB_STORE_REST_MAX_MS)
        return false;
    rb_timer_start(put->again, RB_MAX(rb_backoff_next_ms(&put->backoff, rb_random()), result->error.wait_ms));
    return true;
}

void s3_put_after_bad(struct rb_put *put, const struct rb_s3_result *result, int64_t taken)
{
    if (may_be_done(put, result, taken)) {
        s3_put_enter(put, PUT_LOOKING);
    } else if (put->state == PUT_LOOKING && result->status == 404) {
        s3_put_break_with(put, RB_E_STORE_AWAY, "was sent, and is not there");
    } else if (do_without(put, result)) {
        if (put->state == PUT_COPYING)
            s3_put_enter(put, PUT_LOOKING);
        else if (taken == 0)
            s3_put_enter(put, put->state);
        else
            s3_put_break_with(put, RB_E_STORE_AWAY, "has to be sent again, without a condition");
    } else if (!try_again(put, result, taken)) {
        s3_put_break(put, &result->error);
    }
}
