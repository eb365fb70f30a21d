/*
 * store_s3_refused.c — an object on its way into S3: what comes after a request that did not go well.
 *
 * Way:  download -> [store_s3] -> record
 */
#include "common/log.h"
#include "consumer/store_s3_put.h"

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

void s3_put_on_again(void *arg)
{
    struct rb_put *put = RB_CAST(rb_put, arg, PUT_MAGIC);

    s3_put_enter(put, put->state == PUT_COPYING ? PUT_LOOKING : put->state);
}

static bool try_again(struct rb_put *put, const struct rb_s3_result *result, int64_t taken)
{
    bool passes = result->error.code == RB_E_STORE_AWAY || result->error.code == RB_E_STORE_BUSY;

    if (!passes || taken > 0 || result->status == 412 || put->backoff.tries >= TRIES_MAX ||
        result->error.wait_ms > RB_STORE_REST_MAX_MS)
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
