/*
 * outcome.c — what an error means for a video.
 *
 * Way:  job -> [outcome]
 */
#include "consumer/outcome.h"

#define WAIT_MAX_MS                                                                                                    \
    10000 /* between two looks at whether our own side is back, when it does not ask for a longer rest */

/* A pause that is not waited for in place is never a short one. */
static int64_t long_pause_ms(const struct rb_error *err, const struct rb_situation *situation)
{
    int64_t pause_ms = situation->pause_ms + RB_MIN(situation->in_place_ms, situation->bound_ms);

    return RB_MAX(pause_ms, err->wait_ms);
}

/* The URL will not bring it. Is there somebody who knows another one? Whoever was asked a moment ago gets a rest. */
static enum rb_next ask_or_give_up(const struct rb_error *err, const struct rb_situation *situation,
                                   int64_t *ret_pause_ms)
{
    int64_t at;

    if (situation->asking == NULL)
        return RB_NEXT_GIVE_UP;
    if (!situation->asked)
        return RB_NEXT_ASK;
    at = rb_budget_next(situation->asking, situation->now, situation->tried_at, long_pause_ms(err, situation));
    if (at == RB_NO_LONG)
        return RB_NEXT_GIVE_UP;
    *ret_pause_ms = at - situation->now;
    return RB_NEXT_ASK_LATER;
}

/* Once more, if there is time. */
static enum rb_next next_try(const struct rb_error *err, const struct rb_situation *situation, int64_t *ret_pause_ms)
{
    bool in_place = err->class == RB_IN_PLACE && situation->bound_ms <= situation->in_place_ms &&
                    err->wait_ms <= situation->in_place_ms;
    int64_t pause_ms = in_place ? RB_MAX(situation->pause_ms, err->wait_ms) : long_pause_ms(err, situation);
    int64_t at = rb_budget_next(situation->budget, situation->now, situation->tried_at, pause_ms);

    if (at == RB_NO_LONG)
        return ask_or_give_up(err, situation, ret_pause_ms);
    *ret_pause_ms = at - situation->now;
    return in_place ? RB_NEXT_IN_PLACE : RB_NEXT_LATER;
}

enum rb_next rb_outcome_next(const struct rb_error *err, const struct rb_situation *situation, int64_t *ret_pause_ms)
{
    switch (err->class) {
    case RB_IN_PLACE:
    case RB_LATER:
        return next_try(err, situation, ret_pause_ms);
    case RB_RENEW:
        if (situation->asking == NULL)
            return next_try(err, situation, ret_pause_ms);
        return ask_or_give_up(err, situation, ret_pause_ms);
    case RB_RENEW_OR_END:
        return ask_or_give_up(err, situation, ret_pause_ms);
    case RB_OUTAGE:
        *ret_pause_ms = RB_MAX(RB_MIN(situation->pause_ms, WAIT_MAX_MS), err->wait_ms);
        return RB_NEXT_WAIT;
    case RB_PERMANENT:
        return RB_NEXT_GIVE_UP;
    case RB_FATAL:
        return RB_NEXT_STOP;
    case RB_OK:
        break;
    }
    RB_BUG("an outcome was asked for without an error");
}

const char *rb_outcome_class(enum rb_code code)
{
    switch (code) {
    case RB_E_GENERATION_FAILED:
        return "generation_failed";
    case RB_E_UNKNOWN_VIDEO:
        return "unknown_video";
    case RB_E_URL_INVALID:
    case RB_E_URL_REFUSED:
    case RB_E_BAD_EVENT:
    case RB_E_UNKNOWN_SCHEMA:
    case RB_E_DB_DATA:
        return "policy";
    case RB_E_NOT_A_VIDEO:
    case RB_E_NOT_AN_IMAGE:
    case RB_E_TOO_LARGE:
    case RB_E_SOURCE_ENCODED:
        return "content";
    case RB_E_QUOTA_USER:
    case RB_E_QUOTA_ROOM:
    case RB_E_QUOTA_ALL:
    case RB_E_QUOTA_KEPT:
        return "quota";
    case RB_E_STORE_AWAY:
    case RB_E_STORE_FULL:
    case RB_E_STORE_BUSY:
    case RB_E_STORE_DENIED:
    case RB_E_STORE_REFUSED:
    case RB_E_STORE_ANSWER:
    case RB_E_OBJECT_REFUSED:
        return "storage";
    default:
        return "source";
    }
}
