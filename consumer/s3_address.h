/*
 * s3_address.h — where a bucket and a key are: the host and path of an S3 endpoint.
 *
 * Way:  store_s3 -> s3_call -> [s3_address]
 */
#pragma once

#include "common/url.h"

/* An endpoint, and how buckets are named at it. */
struct rb_s3_address {
    char *scheme; /* owned, as all below */
    char *host;   /* with the port when it is not the scheme's own */
    char *path;   /* what stands before a bucket or key: "" or "/storage/v1/s3" */
    enum { RB_S3_STYLE_AUTO, RB_S3_STYLE_PATH, RB_S3_STYLE_HOST } style;
};

/* One bucket or object at it. */
struct rb_s3_place {
    char *host; /* owned, as all below; the Host header */
    char *path; /* encoded, begins with a slash */
    char *url;  /* of both, without a query */
};

/*
 * Understand an endpoint.
 *
 * Takes:  endpoint, "" for AWS in the region; path_style, "auto", "true" or "false": bucket in the path or in the host's
 *         name. auto: in the path at an endpoint of one's own, in the name at AWS, if the bucket's name allows it.
 * Gives:  ret_address; rb_s3_address_done it.
 * Fails:  BAD_OPTION; the message names the option.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_s3_address_init(struct rb_s3_address *ret_address, const char *endpoint, const char *region,
                                     const char *path_style, struct rb_error *err);

/*
 * Free what is in it.
 *
 * Loop:   pure, any thread.
 */
void rb_s3_address_done(struct rb_s3_address *address);

/*
 * The place of a bucket or an object.
 *
 * Takes:  key, NULL for the bucket itself.
 * Gives:  ret_place; rb_s3_place_done it.
 * Loop:   pure, any thread.
 */
void rb_s3_place_init(struct rb_s3_place *ret_place, const struct rb_s3_address *address, const char *bucket,
                      const char *key);

/*
 * Free what is in it.
 *
 * Loop:   pure, any thread.
 */
void rb_s3_place_done(struct rb_s3_place *place);

#define RB_AUTO_S3_PLACE __attribute__((cleanup(rb_s3_place_done))) struct rb_s3_place
