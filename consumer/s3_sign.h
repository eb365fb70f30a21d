/*
 * s3_sign.h — AWS Signature Version 4, in a header; and the one way in which S3 wants names encoded.
 *
 * Way:  store_s3 -> s3_call -> [s3_sign]
 *
 * libcurl 7.88 can sign too, but sorts headers together with their colon, so that "x-amz-server-side-encryption" comes
 * behind "x-amz-server-side-encryption-aws-kms-key-id", and signs headers that it was told to leave out.
 */
#pragma once

#include "common/buffer.h"

#define RB_S3_UNSIGNED          "UNSIGNED-PAYLOAD"
#define RB_S3_HEADERS_MAX       24
#define RB_S3_DATE_TEXT_BYTES   17 /* "20261122T183000Z" and its NUL */
#define RB_S3_SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* All borrowed. */
struct rb_s3_header {
    const char *name; /* in lower case */
    const char *value;
};

/* What proves who we are. All borrowed. */
struct rb_s3_signer {
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *service;
};

/* What is signed. All borrowed. */
struct rb_s3_request {
    const char *method;
    const char *path;                   /* encoded, begins with a slash */
    const char *query;                  /* encoded and sorted, each name with a '='; "" for none */
    const struct rb_s3_header *headers; /* all that are to be signed: host, x-amz-date and x-amz-content-sha256 too */
    size_t header_count;                /* at most RB_S3_HEADERS_MAX */
    const char *payload;                /* hash of the body in hexadecimal, or RB_S3_UNSIGNED */
};

/*
 * Write a time as x-amz-date has it.
 *
 * Takes:  ret_text, at least RB_S3_DATE_TEXT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_s3_sign_date(int64_t unix_ms, char *ret_text);

/*
 * Make the value of the header "authorization".
 *
 * Takes:  date, as rb_s3_sign_date writes it and the header x-amz-date has it.
 * Gives:  owned by the caller; free() it. It holds the access key and a signature, never the secret key.
 * Loop:   pure, any thread.
 */
char *rb_s3_sign(const struct rb_s3_request *request, const struct rb_s3_signer *signer, const char *date);

/*
 * Add text as part of a path or query: all but A-Z a-z 0-9 - . _ ~ becomes %XX.
 *
 * Takes:  keep, further characters that stay as they are: "/" for the path of a key.
 * Loop:   pure, any thread.
 */
void rb_s3_encode(struct rb_buffer *buffer, const char *text, const char *keep);
