/*
 * source_head.h — the head of a source's answer: what it says of the bytes that follow, and whether we believe it.
 *
 * Way:  guard -> [source_head] -> download
 *
 * Read from the lines themselves, because libcurl overlooks what we must not: two lengths, encodings that nobody asked for,
 * parts of something else.
 */
#pragma once

#include "common/error.h"

#define RB_SOURCE_HEAD_MAX_BYTES  65536 /* of all heads of one answer, interim ones and trailers too */
#define RB_SOURCE_VALIDATOR_BYTES 256

struct rb_source_head {
    size_t bytes; /* read so far */
    long status;  /* 0 until the first line has come */
    bool complete;
    bool chunked;
    int64_t length; /* Content-Length; -1 when there is none */
    char *location; /* owned; NULL when there is none */
    unsigned locations;
    bool takes_no_ranges;
    char etag[RB_SOURCE_VALIDATOR_BYTES]; /* as it came, "" when there is none */
    char last_modified[64];
    char date[64];
    int64_t first, last, total; /* Content-Range; -1 when there is none */
    char content_encoding[48];
    char transfer_encoding[48];
    char content_type[80];
};

/* What the rest of a body must be the rest of. */
struct rb_source_rest {
    int64_t at;            /* so many bytes have come */
    int64_t total;         /* of so many; -1 when nobody knows */
    const char *validator; /* what If-Range said */
};

/*
 * Begin with a new answer.
 *
 * Loop:   pure, any thread.
 */
void rb_source_head_init(struct rb_source_head *head);

/*
 * Free what is in it.
 *
 * Loop:   pure, any thread.
 */
void rb_source_head_done(struct rb_source_head *head);

/*
 * Take one line, its end included, as libcurl hands them out: heads of interim answers, the head, an empty line, trailers.
 *
 * Takes:  line, borrowed, not ended by a NUL.
 * Fails:  SOURCE_ANSWER for what no sane server says: endless heads, lengths that differ, statuses that are none.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_source_head_line(struct rb_source_head *head, const char *line, size_t bytes,
                                      struct rb_error *err);

/*
 * Can what follows be a video? For a complete head with status 200 or 206.
 *
 * Fails:  SOURCE_ENCODED, SOURCE_PAGE; TOO_LARGE when it is announced to be.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_source_head_check(const struct rb_source_head *head, int64_t max_bytes, struct rb_error *err);

/*
 * Is what follows the rest that was asked for? For a complete head with status 200 or 206, the answer to a range.
 *
 * Fails:  SOURCE_CHANGED when the video is another one by now, SOURCE_ANSWER when it is some other part of it.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_source_head_check_rest(const struct rb_source_head *head, const struct rb_source_rest *rest,
                                            struct rb_error *err);

/*
 * What If-Range can say so that a part surely belongs to these bytes (RFC 9110, 13.1.5): a strong ETag; without any ETag
 * the Last-Modified, when it was a minute old when the answer was made, so that the file cannot have changed within it.
 *
 * Gives:  borrowed from head; NULL when there is none, or the source takes no ranges.
 * Loop:   pure, any thread.
 */
const char *rb_source_head_validator(const struct rb_source_head *head);

/*
 * Would a cut be noticed by HTTP itself? So it is with a length or with chunks; not when the end of the connection is the
 * end of the bytes.
 *
 * Loop:   pure, any thread.
 */
bool rb_source_head_is_framed(const struct rb_source_head *head);
