/*
 * supabase_answer.c — what a Supabase Storage server has answered, and what that means.
 *
 * Way:  store_supabase -> supabase_call -> [supabase_answer]
 */
#include "consumer/supabase_answer.h"

#include <ctype.h>
#include <stdio.h>

#include "common/errmap.h"
#include "common/plain.h"

#define UPLOAD_ID_MAX_BYTES 2000

/* What helps, by a part of the code or of the message. */
static const struct {
    const char *code;
    const char *text;
    const char *advice;
} advice_rows[] = {
    {"", "row-level security", "the key's role needs a policy on storage.objects"},
    {"", "required property 'authorization'", "this server takes no sb_secret_ keys; use the service_role JWT"},
    {"", "Invalid Compact JWS", "this server takes no sb_secret_ keys; use the service_role JWT"},
    {"NoSuchBucket", "", "make the bucket, or run setup"},
    {"EntityTooLarge", "", "raise the bucket's file size limit"},
    {"InvalidMimeType", "", "allow the type in the bucket"},
    {"InvalidKey", "", "see key_template"},
    {"exceed_", "", "the project is over its quota"},
};

/* What resumable uploads, which are refused with a line of text, say for a code. */
static const struct {
    const char *text;
    const char *code;
} text_rows[] = {
    {"Invalid key", "InvalidKey"},
    {"Bucket not found", "NoSuchBucket"},
};

static int64_t read_number(const char *bytes, size_t count)
{
    char text[24];
    char *end = text;
    long long number;

    rb_plain_text(text, sizeof(text), bytes, count);
    number = isdigit((unsigned char)text[0]) ? strtoll(text, &end, 10) : -1;
    return end > text && *end == '\0' ? number : -1;
}

/* Only the name of the upload is taken, never the host that it is said to be at: keys go where the options say. */
static void take_location(struct rb_supabase_result *result, const char *bytes, size_t count)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=";
    char text[UPLOAD_ID_MAX_BYTES + 512];
    const char *name;

    rb_plain_text(text, sizeof(text), bytes, count);
    name = strrchr(text, '/');
    name = name != NULL ? name + 1 : text;
    if (name[0] == '\0' || strlen(name) > UPLOAD_ID_MAX_BYTES || strspn(name, allowed) != strlen(name))
        return;
    free(result->upload_id);
    result->upload_id = rb_xstrdup(name);
}

void rb_supabase_answer_init(struct rb_supabase_result *result)
{
    *result = (struct rb_supabase_result){.offset = -1, .length = -1};
}

void rb_supabase_answer_done(struct rb_supabase_result *result)
{
    free(result->upload_id);
    json_decref(result->body);
    rb_supabase_answer_init(result);
}

void rb_supabase_answer_take_header(struct rb_supabase_result *result, const char *line, size_t bytes)
{
    const char *colon = memchr(line, ':', bytes);
    size_t name_bytes = colon != NULL ? (size_t)(colon - line) : 0;
    const char *value = colon != NULL ? colon + 1 : NULL;
    size_t count = bytes - name_bytes - 1;

    if (colon == NULL)
        return;
    if (name_bytes == 8 && strncasecmp(line, "location", 8) == 0)
        take_location(result, value, count);
    else if (name_bytes == 13 && strncasecmp(line, "upload-offset", 13) == 0)
        result->offset = read_number(value, count);
    else if (name_bytes == 13 && strncasecmp(line, "upload-length", 13) == 0)
        result->length = read_number(value, count);
    else if (name_bytes == 13 && strncasecmp(line, "sb-request-id", 13) == 0)
        rb_plain_text(result->request_id, sizeof(result->request_id), value, count);
}

void rb_supabase_answer_fail(struct rb_supabase_result *result, const struct rb_supabase_subject *subject,
                             enum rb_code code, int detail, const char *what)
{
    const char *key = subject->key;

    rb_fail(&result->error, code, detail, "cannot %s '%.60s%s%.80s': %.200s", subject->doing, subject->bucket,
            key != NULL ? "/" : "", key != NULL ? key : "", what);
}

/* "statusCode" is text, and in answers of the framework a number. */
static int read_meaning(const struct rb_supabase_result *result)
{
    json_t *said = json_object_get(result->body, "statusCode");
    int64_t number = -1;

    if (json_is_integer(said))
        number = json_integer_value(said);
    else if (json_is_string(said))
        number = read_number(json_string_value(said), json_string_length(said));
    return (int)(result->status == 400 && number >= 300 && number < 600 ? number : result->status);
}

static void take_plain_text(struct rb_supabase_result *result, const struct rb_buffer *body)
{
    rb_plain_text(result->text, sizeof(result->text), body->bytes, body->used);
    for (size_t i = 0; i < RB_COUNT(text_rows); i++)
        if (strncmp(result->text, text_rows[i].text, strlen(text_rows[i].text)) == 0)
            snprintf(result->code, sizeof(result->code), "%s", text_rows[i].code);
}

static void read_refusal(struct rb_supabase_result *result, const struct rb_buffer *body)
{
    const char *code = rb_json_text(result->body, "code");
    const char *name = rb_json_text(result->body, "error");
    const char *text = rb_json_text(result->body, "message");

    result->meaning = read_meaning(result);
    if (code == NULL)
        code = name != NULL ? name : "";
    rb_plain_text(result->code, sizeof(result->code), code, strlen(code));
    if (text != NULL)
        rb_plain_text(result->text, sizeof(result->text), text, strlen(text));
    else if (result->body == NULL && body->used > 0 &&
             body->bytes[0] != '<') /* a page of a gateway says nothing to us */
        take_plain_text(result, body);
}

static const char *find_advice(const struct rb_supabase_result *result)
{
    for (size_t i = 0; i < RB_COUNT(advice_rows); i++)
        if (strstr(result->code, advice_rows[i].code) != NULL && strstr(result->text, advice_rows[i].text) != NULL)
            return advice_rows[i].advice;
    return result->meaning == 402 ? "the project is over its quota" : NULL;
}

static void say_refusal(struct rb_supabase_result *result, const struct rb_supabase_subject *subject)
{
    enum rb_code code = rb_errmap_supabase(result->meaning, result->code);
    const char *advice = find_advice(result);
    RB_AUTO_BUFFER what = {0};

    rb_buffer_print(&what, "the store answers %d", result->meaning);
    if (result->code[0] != '\0')
        rb_buffer_print(&what, " %s", result->code);
    if (result->text[0] != '\0')
        rb_buffer_print(&what, ": %.80s", result->text);
    if (result->request_id[0] != '\0')
        rb_buffer_print(&what, " (request %s)", result->request_id);
    if (advice != NULL)
        rb_buffer_print(&what, "; %s", advice);
    rb_supabase_answer_fail(result, subject, code, result->meaning, what.bytes);
}

/* What is read is an object in any case. */
static json_t *parse_list(const struct rb_buffer *body)
{
    RB_AUTO_BUFFER text = {0};

    rb_buffer_print(&text, "{\"list\":");
    rb_buffer_add(&text, body->bytes, body->used);
    rb_buffer_print(&text, "}");
    return rb_json_parse_trusted(text.bytes, text.used);
}

void rb_supabase_answer_judge(struct rb_supabase_result *result, const struct rb_supabase_subject *subject, long status,
                              const struct rb_buffer *body)
{
    result->status = status;
    result->meaning = (int)status;
    if (body->used > 0 && body->bytes[0] == '{')
        result->body = rb_json_parse_trusted(body->bytes, body->used);
    else if (body->used > 0 && body->bytes[0] == '[')
        result->body = parse_list(body);
    if (status >= 200 && status < 300)
        return;
    read_refusal(result, body);
    say_refusal(result, subject);
}

static void take_member(char *ret_text, size_t room, const json_t *object, const char *key)
{
    const char *text = rb_json_text(object, key);

    rb_plain_text(ret_text, room, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

void rb_supabase_answer_info(const struct rb_supabase_result *result, struct rb_supabase_info *ret_info)
{
    json_t *size = json_object_get(result->body, "size");
    json_t *metadata = json_object_get(result->body, "metadata");

    *ret_info = (struct rb_supabase_info){.bytes = json_is_integer(size) ? json_integer_value(size) : -1};
    take_member(ret_info->sha256, sizeof(ret_info->sha256), metadata, "sha256");
    take_member(ret_info->put_id, sizeof(ret_info->put_id), metadata, "reelbus-put");
}
