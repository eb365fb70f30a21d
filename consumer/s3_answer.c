/*
 * s3_answer.c — what an S3 server has answered, and what that means.
 *
 * Way:  store_s3 -> s3_call -> [s3_answer]
 */
#include "consumer/s3_answer.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/errmap.h"
#include "common/plain.h"
#include "consumer/s3_xml.h"

/* A header that a field of the result is made of. */
struct header_row {
    const char *name;
    size_t offset, room;
};

#define HEADER_ROW(name, field)                                                                                        \
    {                                                                                                                  \
        name, offsetof(struct rb_s3_result, field), sizeof(((struct rb_s3_result *)NULL)->field)                       \
    }

static const struct header_row header_rows[] = {
    HEADER_ROW("x-amz-request-id", request_id),
    HEADER_ROW("x-amz-bucket-region", region),
    HEADER_ROW("etag", etag),
    HEADER_ROW("x-amz-meta-sha256", sha256),
    HEADER_ROW("x-amz-meta-reelbus-put", put_id),
    HEADER_ROW("x-amz-server-side-encryption", encryption),
};

void rb_s3_answer_clear(struct rb_s3_result *result)
{
    rb_buffer_done(&result->body);
    *result = (struct rb_s3_result){.bytes = -1};
}

void rb_s3_answer_take_header(struct rb_s3_result *result, const char *line, size_t bytes)
{
    const char *colon = memchr(line, ':', bytes);
    size_t name_bytes = colon != NULL ? (size_t)(colon - line) : 0;

    for (size_t i = 0; colon != NULL && i < RB_COUNT(header_rows); i++)
        if (strlen(header_rows[i].name) == name_bytes && strncasecmp(line, header_rows[i].name, name_bytes) == 0)
            rb_plain_text((char *)result + header_rows[i].offset, header_rows[i].room, colon + 1,
                          bytes - name_bytes - 1);
    if (name_bytes == 4 && strncasecmp(line, "date", 4) == 0) {
        char text[40];

        rb_plain_text(text, sizeof(text), colon + 1, bytes - name_bytes - 1);
        result->date_unix_ms = (int64_t)curl_getdate(text, NULL) * 1000;
    }
}

void rb_s3_answer_fail(struct rb_s3_result *result, const struct rb_s3_subject *subject, enum rb_code code, int detail,
                       const char *what)
{
    const char *key = subject->key;

    rb_fail(&result->error, code, detail, "cannot %s '%.60s%s%.80s': %.150s", subject->doing, subject->bucket,
            key != NULL ? "/" : "", key != NULL ? key : "", what);
}

static void on_error_element(const char *path, const char *text, void *arg)
{
    struct rb_s3_result *result = arg;

    if (strcmp(path, "Error/Code") == 0)
        rb_plain_text(result->code, sizeof(result->code), text, strlen(text));
    else if (strcmp(path, "Error/Message") == 0)
        rb_plain_text(result->text, sizeof(result->text), text, strlen(text));
    else if (strcmp(path, "Error/Region") == 0)
        rb_plain_text(result->region, sizeof(result->region), text, strlen(text));
    else if (strcmp(path, "Error") == 0 && result->code[0] == '\0')
        snprintf(result->code, sizeof(result->code), "Error");
}

/* In words for people: what the store answered, and what to do when that is known. */
static void say_refusal(struct rb_s3_result *result, const struct rb_s3_subject *subject, int64_t now_unix_ms)
{
    enum rb_code code = rb_errmap_s3(result->status, result->code);
    int64_t skew_s = result->date_unix_ms != 0 ? (now_unix_ms - result->date_unix_ms) / 1000 : 0;
    RB_AUTO_TEXT *what = NULL;

    if (strcmp(result->code, "RequestTimeTooSkewed") == 0)
        what = rb_xprintf("RequestTimeTooSkewed: this machine's clock is %" PRId64 " s %s of the store's; set it right",
                          skew_s < 0 ? -skew_s : skew_s, skew_s < 0 ? "behind" : "ahead");
    else if (result->region[0] != '\0' && strcmp(result->region, subject->region) != 0)
        what = rb_xprintf("%ld %s: the bucket is in region '%s', option 's3_region' says '%s'", result->status,
                          result->code, result->region, subject->region);
    else
        what = rb_xprintf("the store answers %ld %s%s%.100s (request %s)", result->status, result->code,
                          result->text[0] != '\0' ? ": " : "", result->text,
                          result->request_id[0] != '\0' ? result->request_id : "-");
    rb_s3_answer_fail(result, subject, code, (int)result->status, what);
}

void rb_s3_answer_judge(struct rb_s3_result *result, const struct rb_s3_subject *subject, int64_t now_unix_ms)
{
    const char *text = result->body.bytes;
    size_t bytes = result->body.used;
    struct rb_error why = {0};

    while (bytes > 0 && isspace((unsigned char)*text))
        text++, bytes--;
    if (bytes > 0 && *text == '<' && rb_s3_xml_read(text, bytes, on_error_element, result, &why) < 0 &&
        result->status < 300)
        rb_s3_answer_fail(result, subject, RB_E_STORE_AWAY, (int)result->status, why.message);
    else if (result->status < 200 || result->status >= 300 || result->code[0] != '\0')
        say_refusal(result, subject, now_unix_ms);
}

bool rb_s3_answer_wants_other_keys(const struct rb_s3_result *result)
{
    static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired",
                                        "InvalidToken", "InvalidAccessKeyId",    "RequestExpired"};

    for (size_t i = 0; i < RB_COUNT(codes); i++)
        if (strcmp(result->code, codes[i]) == 0)
            return true;
    return result->status == 400 && result->code[0] == '\0';
}
