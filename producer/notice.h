/*
 * notice.h — what a provider told us about a video, whatever way it came.
 *
 * Way:  receive -> verify -> [notice] -> publish
 */
#pragma once

#include "common/avro.h"
#include "common/random.h"

enum rb_notice_status { RB_NOTICE_COMPLETED, RB_NOTICE_FAILED };

struct rb_notice {
    char video_id[RB_UUID_TEXT_BYTES]; /* in lower case */
    enum rb_notice_status status;
    char *video_url; /* owned, as is all text below; NULL when it failed */
    char *error_code;
    char *error_message;
    int64_t expires_at; /* RB_NO_LONG when nobody said */
};

/*
 * Read the body of the plain webhook:
 *
 *   {"videoId": UUID, "videoUrl": URL, "status": "completed" | "failed"}
 *
 * videoUrl is needed when status is completed. "error", a text or {"code", "message"}, and "expiresAt", seconds since
 * 1970 at which the URL stops working, are taken when they are there. Other members are passed over.
 *
 * Takes:  body, borrowed for the call.
 * Gives:  ret_notice; rb_notice_done it.
 * Fails:  BAD_REQUEST, or URL_INVALID; the message names the member that is wrong.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_notice_parse_plain(const char *body, size_t bytes, struct rb_notice *ret_notice,
                                        struct rb_error *err);

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
