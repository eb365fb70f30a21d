/*
 * outcome.c — what an error means for a video.
 *
 * Way:  job -> [outcome]
 */
#include "consumer/outcome.h"

enum rb_next rb_outcome_next(const struct rb_error *err, int64_t now_unix_ms, int64_t pause_ms,
                             int64_t deadline_unix_ms)
{
    switch (err->class) {
    case RB_RETRYABLE:
        return now_unix_ms + pause_ms <= deadline_unix_ms ? RB_NEXT_RETRY : RB_NEXT_GIVE_UP;
    case RB_OUTAGE:
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
    case RB_E_DB_DATA:
        return "policy";
    case RB_E_NOT_A_VIDEO:
    case RB_E_TOO_LARGE:
    case RB_E_SOURCE_ENCODED:
        return "content";
    default:
        return "source";
    }
}
