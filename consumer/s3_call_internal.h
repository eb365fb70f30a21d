/*
 * s3_call_internal.h — what s3_call.c and s3_call_sign.c share: the call itself.
 *
 * Way:  store_s3 -> [s3_call]
 */
#pragma once

#include "consumer/s3_call.h"

#define CALL_MAGIC 0x53334341u

struct rb_s3_call {
    uint32_t magic;
    const struct rb_s3_env *env; /* borrowed */
    struct rb_s3_call_spec spec; /* its texts are owned here */
    struct rb_s3_waiter waiter;
    struct rb_task start;
    struct rb_store_call *call; /* NULL before there are keys */
    struct curl_slist *headers; /* of the next call */
    char *access_key;           /* that it was signed with */
    bool renewed;               /* keys were fetched anew for it */
    bool released;              /* the last byte may go */
    EVP_MD_CTX *md5;
    struct rb_s3_result result;
};

/*
 * Make the headers of the next request, and note what key it was signed with.
 *
 * Takes:  place, where it goes; keys, borrowed for the call.
 * Gives:  call->headers.
 * Loop:   loop thread.
 */
void s3_call_sign(struct rb_s3_call *call, const struct rb_s3_place *place, const struct rb_s3_keys *keys);
