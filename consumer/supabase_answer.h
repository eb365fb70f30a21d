/*
 * supabase_answer.h — what a Supabase Storage server has answered, and what that means.
 *
 * Way:  store_supabase -> supabase_call -> [supabase_answer]
 *
 * Most refusals come as HTTP 400 and say in a JSON body what is meant; resumable uploads are refused with true statuses and
 * a line of text; whatever stands before the server (a gateway, a load balancer) answers in its own way.
 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

struct rb_supabase_result {
    long status;    /* of HTTP; 0 when there was no answer */
    int meaning;    /* the status that is meant: 409 in a 400 */
    char code[64];  /* of an error: "KeyAlreadyExists", or by its old name "Duplicate"; "" when it has none */
    char text[160]; /* and its message */
    char request_id[64];
    int64_t offset;        /* upload-offset; -1 when it was not said */
    int64_t length;        /* upload-length; likewise */
    char *upload_id;       /* the last element of location; owned; NULL when there is none */
    json_t *body;          /* when it is a JSON object, or {"list": ...} when it is a list; owned; NULL otherwise */
    struct rb_error error; /* code NONE when it went well: status 2xx */
};

/* What was asked for, in words for a message. All borrowed. */
struct rb_supabase_subject {
    const char *doing; /* "write", "look at" */
    const char *bucket;
    const char *key; /* NULL for the bucket */
};

/* What is known of an object. */
struct rb_supabase_info {
    int64_t bytes;   /* -1 when it is not said */
    char sha256[65]; /* of ours; "" when there is none */
    char put_id[40]; /* likewise */
};

/*
 * Begin with nothing answered.
 *
 * Loop:   pure, any thread.
 */
void rb_supabase_answer_init(struct rb_supabase_result *result);

/*
 * Free what is in it.
 *
 * Loop:   pure, any thread.
 */
void rb_supabase_answer_done(struct rb_supabase_result *result);

/*
 * Take what a header line says.
 *
 * Takes:  line, of so many bytes, with its line end.
 * Loop:   pure, any thread.
 */
void rb_supabase_answer_take_header(struct rb_supabase_result *result, const char *line, size_t bytes);

/*
 * Decide what an answer that has come whole means.
 *
 * Takes:  result, with its headers taken; status and body, as they came.
 * Gives:  the rest of the result.
 * Loop:   pure, any thread.
 */
void rb_supabase_answer_judge(struct rb_supabase_result *result, const struct rb_supabase_subject *subject, long status,
                              const struct rb_buffer *body);

/*
 * Fill in the error of a result.
 *
 * Takes:  what, the reason, in words.
 * Loop:   pure, any thread.
 */
void rb_supabase_answer_fail(struct rb_supabase_result *result, const struct rb_supabase_subject *subject,
                             enum rb_code code, int detail, const char *what);

/*
 * Read what /object/info answered.
 *
 * Gives:  ret_info; empty where the answer says nothing.
 * Loop:   pure, any thread.
 */
void rb_supabase_answer_info(const struct rb_supabase_result *result, struct rb_supabase_info *ret_info);
