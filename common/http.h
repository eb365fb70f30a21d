/*
 * http.h — libcurl's multi interface on the loop.
 *
 * Way:  common
 *
 * The curl_multi functions must not be called from inside a libcurl callback (a body or header function); on_done comes
 * from the loop, where everything is allowed.
 */
#pragma once

#include <curl/curl.h>

#include "common/loop.h"

struct rb_http;

/*
 * Called once when a transfer has ended, after it was taken out: the easy handle may be changed, added again or cleaned
 * up. Not called for a transfer that was removed.
 */
typedef void (*rb_http_done_fn)(CURL *easy, CURLcode result, void *arg);

/*
 * Make a client with its own connection cache. Clients whose connections must never be shared get one each.
 *
 * Takes:  host_connections, the most at once to one host; 0 is no limit.
 * Gives:  owned by the caller; rb_http_free it.
 * Loop:   loop thread.
 */
struct rb_http *rb_http_new(struct rb_loop *loop, long host_connections);

/*
 * Free the client. All transfers must have ended or been removed. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_http_free(struct rb_http *http);

/*
 * Start a transfer.
 *
 * Takes:  easy, borrowed until on_done or rb_http_remove; its CURLOPT_PRIVATE belongs to this file meanwhile.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_http_add(struct rb_http *http, CURL *easy, rb_http_done_fn on_done, void *arg);

/*
 * Stop a transfer; on_done does not come. Fine for one that has ended.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_http_remove(struct rb_http *http, CURL *easy);
