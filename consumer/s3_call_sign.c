/*
 * s3_call_sign.c — the headers of a request to S3, and its signature.
 *
 * Way:  store_s3 -> [s3_call]
 */
#include <openssl/evp.h>

#include "common/clock.h"
#include "common/digits.h"
#include "consumer/s3_call_internal.h"

#define REQUEST_MAX 4 /* headers that every request has */

static void add_header(struct rb_s3_call *call, struct rb_s3_header *all, size_t *count, const char *name,
                       const char *value)
{
    if (strcmp(name, "host") != 0) { /* libcurl sends that one by itself */
        RB_AUTO_TEXT *line = rb_xprintf("%s: %s", name, value);

        call->headers = curl_slist_append(call->headers, line);
    }
    all[(*count)++] = (struct rb_s3_header){name, value};
}

static const char *payload_hash(const struct rb_s3_call *call, char *ret_text)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (call->spec.stream != NULL)
        return RB_S3_UNSIGNED;
    if (call->spec.body_bytes == 0)
        return RB_S3_SHA256_OF_NOTHING;
    if (EVP_Digest(call->spec.body, call->spec.body_bytes, digest, NULL, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    return rb_digits_hex(digest, 32, ret_text);
}

void s3_call_sign(struct rb_s3_call *call, const struct rb_s3_place *place, const struct rb_s3_keys *keys)
{
    struct rb_s3_header all[RB_S3_CALL_HEADERS_MAX + REQUEST_MAX];
    size_t count = 0;
    char date[RB_S3_DATE_TEXT_BYTES];
    char hash[65];
    const char *payload = payload_hash(call, hash);
    const struct rb_s3_signer signer = {keys->access_key, keys->secret_key, call->env->region, "s3"};

    rb_s3_sign_date(rb_clock_unix_ms(), date);
    add_header(call, all, &count, "host", place->host);
    add_header(call, all, &count, "x-amz-date", date);
    add_header(call, all, &count, "x-amz-content-sha256", payload);
    if (keys->session_token != NULL)
        add_header(call, all, &count, "x-amz-security-token", keys->session_token);
    for (size_t i = 0; i < RB_S3_CALL_HEADERS_MAX && call->spec.headers[i].name != NULL; i++)
        add_header(call, all, &count, call->spec.headers[i].name, call->spec.headers[i].value);

    const struct rb_s3_request request = {
        .method = call->spec.method,
        .path = place->path,
        .query = call->spec.query != NULL ? call->spec.query : "",
        .headers = all,
        .header_count = count,
        .payload = payload,
    };
    RB_AUTO_TEXT *authorization = rb_s3_sign(&request, &signer, date);
    RB_AUTO_TEXT *line = rb_xprintf("authorization: %s", authorization);

    call->headers = curl_slist_append(call->headers, line);
    if (call->spec.traceparent != NULL) { /* not signed: those between us and the store may put theirs in its place */
        RB_AUTO_TEXT *traceparent = rb_xprintf("traceparent: %s", call->spec.traceparent);

        call->headers = curl_slist_append(call->headers, traceparent);
    }
    call->headers = curl_slist_append(call->headers, call->spec.stream != NULL ? "Expect: 100-continue" : "Expect:");
    call->access_key = rb_xstrdup(keys->access_key);
}
