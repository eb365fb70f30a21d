/*
 * jwks.h — the public keys of a sender, fetched from where it publishes them (a JSON Web Key Set) and kept.
 *
 * Way:  receive -> verify -> [jwks]
 *
 * Fetched at start and twice a day; at once, but not often, when a signature fits none of the known keys. While the host
 * is away the known keys stay valid. A cache file keeps them over a restart.
 */
#pragma once

#include "common/http.h"
#include "producer/ed25519.h"

struct rb_jwks;

struct rb_jwks_config {
    struct rb_loop *loop; /* borrowed, as http, for as long as the set lives */
    struct rb_http *http;
    const char *url;        /* copied, as cache_path */
    const char *cache_path; /* NULL: none */
    rb_loop_fn on_change;   /* a fetch has ended, well or not */
    void *arg;
};

/*
 * Begin to fetch; the keys of the cache file are there at once.
 *
 * Takes:  config, borrowed for the call.
 * Gives:  one reference.
 * Loop:   loop thread; reads the cache file.
 */
struct rb_jwks *rb_jwks_new(const struct rb_jwks_config *config);

/*
 * Keep it.
 *
 * Gives:  jwks, to be given back with rb_jwks_unref.
 * Loop:   loop thread.
 */
struct rb_jwks *rb_jwks_ref(struct rb_jwks *jwks);

/*
 * Give a reference back. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_jwks_unref(struct rb_jwks *jwks);

/*
 * Does it come from this URL, with this cache file?
 *
 * Takes:  cache_path, may be NULL.
 * Loop:   loop thread.
 */
bool rb_jwks_is(const struct rb_jwks *jwks, const char *url, const char *cache_path);

/*
 * The keys that are known now.
 *
 * Gives:  borrowed from jwks; the pointer stays, what it points at changes with a fetch.
 * Loop:   loop thread.
 */
const struct rb_keyset *rb_jwks_keys(const struct rb_jwks *jwks);

/*
 * A signature fits no known key: fetch now, if that was not done too often lately.
 *
 * Gives:  true when a fetch is under way: on_change comes.
 * Loop:   loop thread; on_change never comes before this returns.
 */
bool rb_jwks_refresh(struct rb_jwks *jwks);

/*
 * Is a fetch under way?
 *
 * Loop:   loop thread.
 */
bool rb_jwks_is_busy(const struct rb_jwks *jwks);
