/*
 * store_read.h — what the bytes of an object really are: how many, and their hash.
 *
 * Way:  verify -> store_file, store_s3, store_supabase -> [store_read]
 */
#pragma once

#include <openssl/evp.h>

#include "consumer/store.h"

/* Bytes that pass. Part of its owner; zeroed before its first use. */
struct rb_store_read {
    EVP_MD_CTX *hash; /* NULL until it has begun */
    int64_t bytes;
};

/*
 * Begin, or begin anew.
 *
 * Loop:   any thread, but one at a time, as all below.
 */
void rb_store_read_begin(struct rb_store_read *read);

/*
 * Take bytes.
 *
 * Loop:   as above.
 */
void rb_store_read_take(struct rb_store_read *read, const void *bytes, size_t count);

/*
 * All have passed.
 *
 * Gives:  answer, with found, bytes and sha256 set.
 * Loop:   as above.
 */
void rb_store_read_end(struct rb_store_read *read, struct rb_store_answer *answer);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   as above.
 */
void rb_store_read_done(struct rb_store_read *read);
