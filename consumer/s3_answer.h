/*
 * s3_answer.h — what an S3 server has answered, and what that means.
 *
 * Way:  store_s3 -> s3_call -> [s3_answer]
 */
#pragma once

#include "common/buffer.h"
#include "common/error.h"

/* What was answered. Texts are "" when they were not in the answer, and cut when they were longer. */
struct rb_s3_result {
    long status;    /* 0 when there was no answer */
    char code[64];  /* of an error, as S3 names it */
    char text[160]; /* and its message */
    char request_id[64];
    char region[40]; /* where the bucket is, when it is not where we asked */
    char etag[160];  /* as it came: whoever gets it back may be particular about its quotes */
    char sha256[65]; /* x-amz-meta-sha256 */
    char put_id[40]; /* x-amz-meta-reelbus-put */
    char encryption[16];
    int64_t bytes;        /* content-length, of a HEAD; -1 when it was not said */
    int64_t date_unix_ms; /* of the server's clock; 0 when it was not said */
    char md5[33];         /* of what was sent, when asked for */
    struct rb_buffer body;
    struct rb_error error; /* code NONE when it went well: status 2xx and no error in the body */
};

/* What was asked for, in words for a message. All borrowed. */
struct rb_s3_subject {
    const char *doing; /* "write", "look at" */
    const char *bucket;
    const char *key;    /* NULL for the bucket */
    const char *region; /* that the request was signed for */
};

/*
 * Begin with nothing answered.
 *
 * Loop:   pure, any thread.
 */
void rb_s3_answer_clear(struct rb_s3_result *result);

/*
 * Take what a header line says.
 *
 * Takes:  line, of so many bytes, with its line end.
 * Loop:   pure, any thread.
 */
void rb_s3_answer_take_header(struct rb_s3_result *result, const char *line, size_t bytes);

/*
 * Decide whether an answer that has come whole, status, headers and body, is an error. An answer of 200 may hold one all
 * the same: the server had begun to answer before it knew.
 *
 * Takes:  now_unix_ms, to say how wrong our clock is.
 * Gives:  result->error, and code, text and region out of the body.
 * Loop:   pure, any thread.
 */
void rb_s3_answer_judge(struct rb_s3_result *result, const struct rb_s3_subject *subject, int64_t now_unix_ms);

/*
 * Fill in the error of a result.
 *
 * Takes:  what, the reason, in words.
 * Loop:   pure, any thread.
 */
void rb_s3_answer_fail(struct rb_s3_result *result, const struct rb_s3_subject *subject, enum rb_code code, int detail,
                       const char *what);

/*
 * Does an answer say that the keys have expired? One to a HEAD has no body that could say so: then it is a bare 400.
 *
 * Loop:   pure, any thread.
 */
bool rb_s3_answer_wants_other_keys(const struct rb_s3_result *result);
