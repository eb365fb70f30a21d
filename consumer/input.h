/*
 * input.h — what a record says about a video, whichever event it is.
 *
 * Way:  consume -> message -> [input] -> job
 */
#pragma once

#include "common/events.h"
#include "common/random.h"

enum rb_input_status {
    RB_INPUT_COMPLETED, /* there are bytes to fetch */
    RB_INPUT_FAILED,    /* there will be none */
    RB_INPUT_PENDING,   /* not yet; nothing to do */
};

struct rb_input {
    enum rb_event event;               /* which one said it */
    char video_id[RB_UUID_TEXT_BYTES]; /* in lower case */
    enum rb_input_status status;
    char *source_url; /* owned, as is all text below; NULL when there is none */
    char *provider;
    char *provider_video_id;
    char *error_code;
    char *error_message;
    int64_t expires_at; /* RB_NO_LONG when nobody said, the URL neither */
    int64_t received_at;

    /* What only a record of the topic of retries says. */
    int64_t not_before; /* RB_NO_LONG for all others: now */
    int64_t tries;
    int64_t first_try_at;
    int64_t renewals;
    int64_t url_since;  /* RB_NO_LONG: the URL came with the first record */
    char *origin_topic; /* NULL: this record is the first one */
    int32_t origin_partition;
    int64_t origin_offset;
};

/*
 * Take the text out of a decoded event.
 *
 * Takes:  event, VIDEO_WEBHOOK_RECEIVED, VIDEO_POLL_RESULT or VIDEO_STORE_RETRY; values, its struct, of which the text is taken over.
 * Gives:  ret_input; rb_input_done it.
 * Fails:  BAD_EVENT when a field holds what it never should.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_input_take(enum rb_event event, void *values, struct rb_input *ret_input, struct rb_error *err);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_input_done(struct rb_input *input);
