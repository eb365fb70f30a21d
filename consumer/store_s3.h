/*
 * store_s3.h — objects in any S3: AWS, MinIO, R2, Ceph, Supabase's S3 endpoint, and others.
 *
 * Way:  download -> [store_s3] -> record
 *
 * Of known length, an object is streamed: in one PUT up to a size, above it in parts, each straight out of the queue. Of
 * unknown length, it is gathered in a buffer of one part; there are only so many of those. An object appears with the
 * last byte of its PUT, which is kept back, or with CompleteMultipartUpload: never before it was committed.
 */
#pragma once

#include "consumer/s3_credentials.h"
#include "consumer/store.h"

/* The texts are borrowed for as long as the store lives; "" where nothing is set. */
struct rb_store_s3_config {
    const char *endpoint; /* "": AWS in the region */
    const char *region;
    const char *path_style; /* auto, true, false */
    const char
        *public_url; /* URL that people get, "https://cdn/{key}", or what stands before it; "": the object's own */
    const char *storage_class;
    const char *sse; /* "", AES256, aws:kms, aws:kms:dsse */
    const char *sse_kms_key_id;
    const char *md5; /* compare ETags with the MD5 of what was sent: auto (over plain http), true, false */
    int64_t single_max_bytes;
    int64_t part_bytes;
    int64_t buffers_bytes;  /* for objects of unknown length, all of them together */
    int64_t hash_max_bytes; /* up to this size an object gets its SHA-256 as metadata */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    struct rb_s3_credentials_config credentials;
};

/*
 * Open the store. Nothing is sent before it is used, but for what fetches keys.
 *
 * Takes:  config, borrowed for the call; its texts for as long as the store lives.
 * Gives:  ret_store, owned by the caller; free it by its ops.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread; may read the credentials file before it returns.
 */
RB_MUST_CHECK int rb_store_s3_new(struct rb_loop *loop, const struct rb_store_s3_config *config,
                                  struct rb_store **ret_store, struct rb_error *err);
