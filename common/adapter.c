/*
 * adapter.c — how each kind of API is asked about a video: what all kinds have in common.
 *
 * Way:  common
 */
#include "common/adapter.h"

#include <openssl/crypto.h>

#include "common/adapter_kinds.h"
#include "common/clock.h"
#include "common/errmap.h"

#define MAX_DEPTH      32
#define MAX_TEXT_BYTES 1024                  /* of an error's code and message */
#define MAX_SECONDS    INT64_C(100000000000) /* in the year 5138; what is larger counts milliseconds */
#define MAX_TIME_MS    INT64_C(253402300799999)

static const struct adapter_kind *const kinds[] = {
    [RB_API_OPENAI] = &adapter_openai,
    [RB_API_REPLICATE] = &adapter_replicate,
    [RB_API_GENERIC] = &adapter_generic,
};

static const struct adapter_kind *find_kind(const struct rb_provider *provider)
{
    return provider->api.kind < RB_COUNT(kinds) ? kinds[provider->api.kind] : NULL;
}

/* "." and ".." would change the path that the id stands in; nothing else is left to do harm after the encoding. */
static bool id_is_usable(const char *id)
{
    return rb_provider_id_valid(id) && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

/* RFC 3986: everything but unreserved characters. */
static void encode_id(const char *id, struct rb_buffer *out)
{
    for (; *id != '\0'; id++) {
        bool unreserved = (*id >= 'a' && *id <= 'z') || (*id >= 'A' && *id <= 'Z') || (*id >= '0' && *id <= '9') ||
                          strchr("-._~", *id) != NULL;

        if (unreserved)
            rb_buffer_add(out, id, 1);
        else
            rb_buffer_print(out, "%%%02X", (unsigned char)*id);
    }
}

int rb_adapter_request(const struct rb_provider *provider, const char *provider_video_id,
                       struct rb_adapter_request *ret_request, struct rb_error *err)
{
    const struct adapter_kind *kind = find_kind(provider);
    RB_AUTO_BUFFER id = {0};

    if (kind == NULL)
        return rb_fail(err, RB_E_UNKNOWN_PROVIDER, 0, "the provider '%s' has no API", provider->name);
    if (!id_is_usable(provider_video_id))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "the provider's id of the video is none that it can have given");
    encode_id(provider_video_id, &id);
    *ret_request = (struct rb_adapter_request){
        .method = "GET",
        .url = kind->url(provider, id.bytes),
        .headers = {"Accept: application/json"},
        .auth_line = rb_provider_auth_line(provider),
    };
    ret_request->headers[1] = ret_request->auth_line;
    return 0;
}

void rb_adapter_request_done(struct rb_adapter_request *request)
{
    if (request->auth_line != NULL)
        OPENSSL_cleanse(request->auth_line, strlen(request->auth_line));
    free(request->auth_line);
    free(request->url);
    *request = (struct rb_adapter_request){0};
}

/* Do values lie in each other deeper than this? */
static bool is_deeper(json_t *value, unsigned limit)
{
    const char *key;
    json_t *member;
    size_t index;

    if (limit == 0)
        return true;
    json_object_foreach(value, key, member)
    {
        if (is_deeper(member, limit - 1))
            return true;
    }
    json_array_foreach(value, index, member)
    {
        if (is_deeper(member, limit - 1))
            return true;
    }
    return false;
}

int rb_adapter_read(const struct rb_provider *provider, const char *provider_video_id, json_t *object,
                    struct rb_adapter_answer *ret_answer, struct rb_error *err)
{
    const struct adapter_kind *kind = find_kind(provider);
    RB_AUTO_ADAPTER_ANSWER answer = {
        .progress = RB_NO_LONG,
        .expires_at_ms = RB_NO_LONG,
        .completed_at_ms = RB_NO_LONG,
    };
    RB_AUTO_BUFFER id = {0};

    if (kind == NULL)
        return rb_fail(err, RB_E_UNKNOWN_PROVIDER, 0, "the provider '%s' has no API", provider->name);
    if (!id_is_usable(provider_video_id))
        return rb_fail(err, RB_E_PROVIDER_ANSWER, 0, "the provider's id of the video is none that it can have given");
    encode_id(provider_video_id, &id);
    RB_TRY(kind->read(provider, id.bytes, object, &answer, err));
    if (answer.status == RB_ADAPTER_COMPLETED && answer.video_url == NULL)
        return rb_fail(err, RB_E_PROVIDER_ANSWER, 0, "the provider says that the video is completed, but not where");
    if (answer.error_code != NULL && answer.error_message == NULL)
        answer.error_message = rb_xprintf("the provider says '%s'", answer.error_code);
    *ret_answer = answer;
    answer = (struct rb_adapter_answer){0};
    return 0;
}

int rb_adapter_parse(const struct rb_provider *provider, const char *provider_video_id, long http_status,
                     const char *body, size_t bytes, struct rb_adapter_answer *ret_answer, struct rb_error *err)
{
    RB_AUTO_JSON *object = NULL;

    if (http_status != 200)
        return rb_fail(err, rb_errmap_provider_status(http_status), (int)http_status,
                       "the provider's API answers with status %ld", http_status);
    if (bytes <= RB_ADAPTER_ANSWER_MAX_BYTES)
        object = rb_json_parse_trusted(body, bytes);
    if (object == NULL)
        return rb_fail(err, RB_E_PROVIDER_ANSWER, 200, "the provider's answer is no JSON object, or a very large one");
    if (is_deeper(object, MAX_DEPTH))
        return rb_fail(err, RB_E_PROVIDER_ANSWER, 200, "the provider's answer is nested more than %d deep", MAX_DEPTH);
    return rb_adapter_read(provider, provider_video_id, object, ret_answer, err);
}

void rb_adapter_answer_done(struct rb_adapter_answer *answer)
{
    free(answer->video_url);
    free(answer->error_code);
    free(answer->error_message);
    *answer = (struct rb_adapter_answer){0};
}

const char *rb_adapter_status_name(enum rb_adapter_status status)
{
    static const char *const names[] = {"queued", "in_progress", "completed", "failed", "expired"};

    return names[status];
}

bool rb_adapter_has_variants(const struct rb_provider *provider)
{
    const struct adapter_kind *kind = find_kind(provider);

    return kind != NULL && kind->variant_url != NULL;
}

char *rb_adapter_variant_url(const struct rb_provider *provider, const char *provider_video_id, enum rb_variant variant)
{
    const struct adapter_kind *kind = find_kind(provider);
    RB_AUTO_BUFFER id = {0};

    if (!rb_adapter_has_variants(provider) || !id_is_usable(provider_video_id))
        return NULL;
    encode_id(provider_video_id, &id);
    return kind->variant_url(provider, id.bytes, rb_variant_name(variant));
}

const char *rb_variant_name(enum rb_variant variant)
{
    static const char *const names[] = {"thumbnail", "spritesheet"};

    return names[variant];
}

int adapter_take_status(const char *word, const struct adapter_word *words, size_t count,
                        struct rb_adapter_answer *answer, struct rb_error *err)
{
    if (word == NULL)
        return rb_fail(err, RB_E_PROVIDER_ANSWER, 0, "the provider's answer has no status");
    answer->status = RB_ADAPTER_IN_PROGRESS;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(words[i].word, word) == 0) {
            answer->status = words[i].status;
            answer->error_code = words[i].is_code ? rb_xstrdup(words[i].word) : NULL;
            break;
        }
    }
    return 0;
}

/* Cut at a whole character of UTF-8. */
static char *short_text(const char *text)
{
    size_t length = strnlen(text, MAX_TEXT_BYTES);

    while (text[length] != '\0' && length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return rb_xstrndup(text, length);
}

void adapter_take_error(const json_t *error, struct rb_adapter_answer *answer)
{
    const char *code = rb_json_text(error, "code");
    const char *message = json_is_object(error) ? rb_json_text(error, "message") : json_string_value(error);

    if (code != NULL && answer->error_code == NULL)
        answer->error_code = short_text(code);
    if (message != NULL && answer->error_message == NULL)
        answer->error_message = short_text(message);
}

static bool can_be_fetched(const char *text)
{
    RB_AUTO_URL url = {0};
    struct rb_error err;

    return text != NULL && rb_url_parse(text, &url, &err) == 0;
}

char *adapter_find_url(const json_t *value)
{
    json_t *member;
    size_t index;

    if (json_is_object(value))
        value = json_object_get(value, "url");
    if (can_be_fetched(json_string_value(value)))
        return rb_xstrdup(json_string_value(value));
    json_array_foreach((json_t *)value, index, member)
    {
        const json_t *text = json_is_object(member) ? json_object_get(member, "url") : member;

        if (can_be_fetched(json_string_value(text)))
            return rb_xstrdup(json_string_value(text));
    }
    return NULL;
}

int64_t adapter_time(const json_t *value)
{
    double number = json_number_value(value);
    int64_t unix_ms;

    if (rb_clock_parse(json_string_value(value), &unix_ms) == 0)
        return unix_ms;
    if (!json_is_number(value) || !(number > 0 && number <= (double)MAX_TIME_MS))
        return RB_NO_LONG;
    return number > (double)MAX_SECONDS ? (int64_t)number : (int64_t)(number * 1000);
}

int64_t adapter_progress(const json_t *value)
{
    double number = json_number_value(value);

    if (!json_is_number(value) || !(number >= 0 || number < 0))
        return RB_NO_LONG;
    return number <= 0 ? 0 : number >= 100 ? 100 : (int64_t)number;
}
