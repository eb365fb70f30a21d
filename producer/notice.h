/*
 * notice.h — what a provider told us about a video, whatever way it came.
 *
 * Way:  receive -> verify -> [notice] -> lookup -> resolve -> publish
 *
 * One door for all formats of bodies; each format is a file body_NAME.c and a row of a table.
 */
#pragma once

#include "common/avro.h"
#include "common/providers.h"
#include "common/random.h"

enum rb_notice_status {
    RB_NOTICE_OTHER, /* nothing is finished by this, or it is not about a video: there is nothing to publish */
    RB_NOTICE_COMPLETED,
    RB_NOTICE_FAILED
};

struct rb_notice {
    enum rb_notice_status status;
    char video_id[RB_UUID_TEXT_BYTES]; /* ours, in lower case; "" when only the provider's is known */
    char *provider_video_id;           /* owned, as is all text below; NULL when only ours is known */
    char *video_url;                   /* NULL when it failed, or when the provider's API has to be asked */
    char *error_code;
    char *error_message;
    int64_t expires_at;   /* RB_NO_LONG when nobody said */
    int64_t completed_at; /* when the provider had finished, else when it made the event; RB_NO_LONG when nobody said */
};

/*
 * Read the body of a webhook whose sender is verified.
 *
 * Takes:  webhook, which says how the body is to be read, borrowed for the call, as is body.
 * Gives:  ret_notice; rb_notice_done it. With RB_NOTICE_OTHER nothing else in it counts.
 * Fails:  BAD_REQUEST, or URL_INVALID; the message names the member that is wrong.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_notice_parse(const struct rb_provider_webhook *webhook, const char *body, size_t bytes,
                                  struct rb_notice *ret_notice, struct rb_error *err);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_notice_done(struct rb_notice *notice);

/*
 * The status as events and answers spell it.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_notice_status_name(enum rb_notice_status status);

#define RB_AUTO_NOTICE __attribute__((cleanup(rb_notice_done))) struct rb_notice
