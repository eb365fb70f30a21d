/*
 * store_supabase.h — objects in Supabase Storage, hosted or one's own, over its own API.
 *
 * Way:  download -> [store_supabase] -> record
 *
 * Small objects, and those whose length nobody knows, are sent in one request; larger ones in a resumable upload, in chunks
 * of 6 MiB. Both appear with their last byte, which is kept back until the object is committed. The bytes that are on their
 * way are kept as long as there is memory for that: then a cut costs only what the store did not get.
 */
#pragma once

#include "consumer/store.h"

#define RB_SUPABASE_CHUNK_BYTES (6 << 20) /* by Supabase's rule, for all chunks but the last */

/* The texts are borrowed for as long as the store lives; "" where nothing is set. */
struct rb_store_supabase_config {
    const char *url;         /* of the project */
    const char *storage_url; /* of its Storage API; "": /storage/v1 of the project */
    const char *public_url;  /* what people's links begin with; "": as storage_url without anything set */
    const char *key;
    const char *link; /* which links people get: public, authenticated, signed */
    unsigned formats; /* that the bucket is made for */
    int64_t link_ms;  /* how long a signed one works */
    int64_t cache_ms; /* how long browsers and caches may keep an object */
    int64_t single_max_bytes;
    int64_t buffers_bytes;  /* for bytes that are on their way, all objects together */
    int64_t hash_max_bytes; /* up to this size an object gets its SHA-256 as metadata */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
};

/*
 * Open the store. Nothing is sent before it is used.
 *
 * Takes:  config, borrowed for the call; its texts for as long as the store lives.
 * Gives:  ret_store, owned by the caller; free it by its ops.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_store_supabase_new(struct rb_loop *loop, const struct rb_store_supabase_config *config,
                                        struct rb_store **ret_store, struct rb_error *err);
