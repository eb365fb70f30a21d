/*
 * store_supabase_bucket.h — a bucket of Supabase: what it must be like, so that videos can be kept in it.
 *
 * Way:  download -> [store_supabase] -> record
 */
#pragma once

#include "common/error.h"
#include "common/json.h"
#include "consumer/container.h"

/*
 * What a bucket is made with: these formats only, public if links are.
 *
 * Gives:  the body of the request; owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *supabase_bucket_request(const char *bucket, const char *link, unsigned formats);

/*
 * Does a bucket fit?
 *
 * Takes:  body, what the store says of it; link, which links people get; formats, of which the videos have to be
 *         taken: images are a courtesy.
 * Gives:  ret_largest_bytes, of an object in it; 0 when the bucket has no limit of its own.
 * Fails:  STORE_REFUSED when it takes no videos, or links to it would lead nowhere; the message says what to change.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int supabase_bucket_fits(const json_t *body, const char *bucket, const char *link, unsigned formats,
                                       int64_t *ret_largest_bytes, struct rb_error *err);
