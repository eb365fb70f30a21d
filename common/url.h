/*
 * url.h — what an http or https URL is to us: parsed once, by libcurl's own parser, under stricter rules.
 *
 * Way:  common
 */
#pragma once

#include <curl/curl.h>

#include "common/error.h"

#define RB_URL_MAX_BYTES  8192
#define RB_URL_SAFE_BYTES 160

struct rb_url {
    CURLU *handle; /* owned; give this to libcurl, so that checker and client cannot disagree */
    char *scheme;  /* owned; "http" or "https" */
    char *host;    /* owned; in lower case, IPv6 in brackets */
    int port;
};

/*
 * Parse a URL that came from outside. Refused beside what libcurl refuses: anything but http:// and https:// spelled so,
 * user and password, backslashes, spaces, control and non-ASCII characters, port 0, names that DNS could not have. IPv4
 * addresses in their old spellings (0x7f.1, 2130706433) are written out, the root's dot behind a name goes.
 *
 * Takes:  text, borrowed for the call.
 * Gives:  ret_url; rb_url_done it.
 * Fails:  URL_INVALID; the message does not hold the URL's query.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_url_parse(const char *text, struct rb_url *ret_url, struct rb_error *err);

/*
 * Parse what a page or an answer at base refers to: a URL, or a part of one that base completes.
 *
 * Takes:  base, parsed; text, borrowed for the call.
 * Gives:  ret_url; rb_url_done it.
 * Fails:  as rb_url_parse.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_url_join(const struct rb_url *base, const char *text, struct rb_url *ret_url,
                              struct rb_error *err);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_url_done(struct rb_url *url);

/*
 * Make text that others wrote fit for logs and messages: URLs in it lose user and query.
 *
 * Takes:  text, changed in place; it never grows.
 * Gives:  text.
 * Loop:   pure, any thread.
 */
char *rb_url_hide(char *text);

/*
 * A URL as logs and messages may show it: without user, query and fragment, cut to a fixed length.
 *
 * Takes:  ret_text, at least RB_URL_SAFE_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_url_safe(const char *text, char *ret_text);

#define RB_AUTO_URL __attribute__((cleanup(rb_url_done))) struct rb_url
