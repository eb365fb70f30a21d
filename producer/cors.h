/*
 * cors.h — may a page from there read what we answer?
 *
 * Way:  [cors] -> gate
 *
 * Source: the CORS protocol of WHATWG's Fetch standard, section 3.3.
 */
#pragma once

#include "common/error.h"

#define RB_CORS_ORIGINS_MAX 32

/* What a browser is told about the status API, when its page may read it. */
#define RB_CORS_METHODS   "GET, HEAD, OPTIONS"
#define RB_CORS_HEADERS   "Authorization, X-Api-Key, Last-Event-ID, If-None-Match"
#define RB_CORS_EXPOSED   "ETag, Retry-After, RateLimit, RateLimit-Policy"
#define RB_CORS_MAX_AGE_S "600"

struct rb_cors {
    char *list[RB_CORS_ORIGINS_MAX]; /* owned */
    size_t count;
    bool any; /* "*" is in the list */
};

/*
 * Read a list of origins, parted by commas: "https://app.example.com", "http://localhost:3000", or "*" for all.
 *
 * Gives:  ret_cors; rb_cors_done it.
 * Fails:  BAD_OPTION, naming the entry: an origin is a scheme and a host as browsers write them, without a path.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_cors_parse(const char *text, struct rb_cors *ret_cors, struct rb_error *err);

/*
 * Free the list.
 *
 * Loop:   pure, any thread.
 */
void rb_cors_done(struct rb_cors *cors);

/*
 * Is there anything to allow?
 *
 * Loop:   pure, any thread.
 */
bool rb_cors_is_on(const struct rb_cors *cors);

/*
 * What Access-Control-Allow-Origin must say to a page from there.
 *
 * Takes:  origin, the request's header, borrowed, NULL when it is absent.
 * Gives:  "*", the origin itself, or NULL when that page may not read the answer.
 * Loop:   pure, any thread.
 */
const char *rb_cors_allow(const struct rb_cors *cors, const char *origin);
