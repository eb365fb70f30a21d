/*
 * ask.h — the pure parts of answering a frontend: which videos, is the answer the one it has, events as text.
 *
 * Way:  [ask] -> state, feed
 *
 * Sources: RFC 9110, sections 8.8.3 and 13.1.2 (ETag, If-None-Match); WHATWG HTML, section 9.2 (Server-Sent Events).
 */
#pragma once

#include "common/buffer.h"
#include "common/error.h"
#include "common/random.h"

#define RB_ASK_IDS_MAX    100
#define RB_ASK_ETAG_BYTES 35 /* a quote, 32 digits, a quote, NUL */

struct rb_ask_ids {
    char list[RB_ASK_IDS_MAX][RB_UUID_TEXT_BYTES]; /* in lower case, different ones, in the order in which they came */
    size_t count;
    bool many; /* several were asked for, perhaps the same twice: the answer is a list */
};

/*
 * Read "videoId=a" or "videoId=a,b,c".
 *
 * Takes:  text, borrowed, NULL when it is absent.
 * Fails:  BAD_REQUEST.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_ask_ids(const char *text, struct rb_ask_ids *ret_ids, struct rb_error *err);

/*
 * The strong ETag of an answer: the same for the same bytes.
 *
 * Takes:  ret_etag, at least RB_ASK_ETAG_BYTES bytes.
 * Gives:  ret_etag.
 * Loop:   pure, any thread.
 */
char *rb_ask_etag(const char *text, char *ret_etag);

/*
 * Does an If-None-Match name this ETag? Compared weakly, as the standard wants it there.
 *
 * Takes:  header, borrowed, NULL when it is absent; etag, with its quotes.
 * Loop:   pure, any thread.
 */
bool rb_ask_has_etag(const char *header, const char *etag);

/*
 * Write one Server-Sent Event.
 *
 * Takes:  name of the event; id, negative for none; data, without line feeds (JSON has none).
 * Loop:   pure, any thread.
 */
void rb_ask_event(struct rb_buffer *buffer, const char *name, int64_t id, const char *data);

/*
 * Read a Last-Event-ID.
 *
 * Takes:  text, borrowed, NULL when it is absent.
 * Gives:  the id; -1 when there is none, or none of ours.
 * Loop:   pure, any thread.
 */
int64_t rb_ask_last_event(const char *text);
