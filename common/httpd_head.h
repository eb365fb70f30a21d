/*
 * httpd_head.h — the head of an HTTP/1 request, read strictly. Pure.
 *
 * Way:  common
 *
 * Two readers of one head that disagree are how requests are smuggled past a proxy. So whatever RFC 9112 lets a server
 * read in two ways, or forgive, is refused here: lines that end in a bare line feed, folded lines, spaces around names,
 * a length together with a transfer coding, a length or a host twice, NUL and other controls, an absolute target.
 */
#pragma once

#include "common/base.h"

#define RB_HEAD_MAX_BYTES 16384
#define RB_HEAD_MAX_LINES 64

/* How far a head has been looked at while it comes in. Zero before its first byte. */
struct rb_head_search {
    size_t line_start; /* of the line that is not whole yet */
    unsigned lines;
};

struct rb_head_line {
    uint16_t name, value; /* where they begin in the bytes */
};

struct rb_head {
    char *bytes; /* borrowed; a NUL stands behind each of the texts in it */
    const char *method;
    const char *target; /* the path, still with its %XX */
    const char *query;  /* what follows the question mark; NULL without one */
    bool http_1_0;
    bool keep_alive;
    bool chunked;
    bool expects_continue;
    uint64_t body_bytes; /* 0 without a length */
    uint16_t count;
    struct rb_head_line lines[RB_HEAD_MAX_LINES];
};

/*
 * Is the head whole?
 *
 * Takes:  bytes, what has come so far, from the first byte of the head on; search, kept between the calls.
 * Gives:  DONE with ret_bytes, the length of the head with its empty line; WAIT when more must come; FAILED with
 *         ret_status when it will never be one.
 * Loop:   pure, any thread.
 */
enum rb_poll rb_head_find(const char *bytes, size_t count, struct rb_head_search *search, size_t *ret_bytes,
                          unsigned *ret_status);

/*
 * Take a whole head apart, in place.
 *
 * Takes:  bytes, of the length that rb_head_find gave; borrowed for as long as the head is used, and written to.
 * Gives:  0, or the status with which to refuse it.
 * Loop:   pure, any thread.
 */
unsigned rb_head_parse(char *bytes, size_t count, struct rb_head *ret_head);

/*
 * The first value of a header.
 *
 * Gives:  borrowed from the head; NULL when it is absent.
 * Loop:   pure, any thread.
 */
const char *rb_head_value(const struct rb_head *head, const char *name);

/*
 * Decode %XX in place, and + as a space when asked for.
 *
 * Gives:  false when a % is not followed by two hexadecimal digits, or by those of NUL.
 * Loop:   pure, any thread.
 */
bool rb_head_decode(char *text, bool plus_is_space);
