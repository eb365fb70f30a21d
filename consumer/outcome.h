/*
 * outcome.h — what an error means for a video: try again, wait, or give up; and what subscribers are told then.
 *
 * Way:  job -> [outcome]
 */
#pragma once

#include "common/error.h"

enum rb_next {
    RB_NEXT_RETRY,   /* after a pause, as long as the budget lasts */
    RB_NEXT_WAIT,    /* after a pause, however long it takes: our own side is away */
    RB_NEXT_GIVE_UP, /* write the failure down and announce it */
    RB_NEXT_STOP,    /* the program cannot go on */
};

/*
 * Decide.
 *
 * Takes:  err; now and deadline in milliseconds since 1970; pause_ms, how long the next pause would be.
 * Loop:   pure, any thread.
 */
enum rb_next rb_outcome_next(const struct rb_error *err, int64_t now_unix_ms, int64_t pause_ms,
                             int64_t deadline_unix_ms);

/*
 * The class of a failure as video.store_failed has it: generation_failed, source, content, policy, unknown_video.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_outcome_class(enum rb_code code);
