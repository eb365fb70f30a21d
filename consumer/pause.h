/*
 * pause.h — an operator wants nothing stored for now, or wants it again.
 *
 * Way:  consumer pause, resume, drain -> [pause] -> Postgres
 *
 * Only the will is written here; members look at it (hold.h).
 */
#pragma once

#include "common/buffer.h"
#include "consumer/command.h"

/* Texts are owned. All empty: nobody has ever paused the group. */
struct rb_pause {
    bool in_force;
    int64_t number;
    int64_t left_ms; /* -1: without an end */
    char *until;     /* as RFC 3339 says it; NULL: without an end */
    char *at;
    char *by;
    char *reason;
};

/*
 * Do what `reelbus-consumer pause` is asked for.
 *
 * Gives:  the status to end with.
 * Loop:   runs the command's loop, as all below.
 */
RB_MUST_CHECK int rb_pause(struct rb_command *command);

/*
 * Do what `reelbus-consumer resume` is asked for.
 *
 * Gives:  the status to end with.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_resume(struct rb_command *command);

/*
 * Have the group paused, unless it is only to be shown what is.
 *
 * Takes:  why, when --reason does not say it.
 * Gives:  ret_pause, as it is now; rb_pause_done it.
 * Fails:  as rb_command_query.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_pause_begin(struct rb_command *command, const char *why, struct rb_pause *ret_pause,
                                 struct rb_error *err);

/*
 * Free its texts.
 *
 * Loop:   any thread.
 */
void rb_pause_done(struct rb_pause *pause);

/*
 * The pause as JSON.
 *
 * Gives:  owned by the caller.
 * Loop:   pure, any thread.
 */
json_t *rb_pause_json(const struct rb_command *command, const struct rb_pause *pause);

/*
 * The pause in a line of words.
 *
 * Loop:   pure, any thread.
 */
void rb_pause_show(const struct rb_command *command, const struct rb_pause *pause, struct rb_buffer *text);
