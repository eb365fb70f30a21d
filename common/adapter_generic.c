/*
 * adapter_generic.c — any API that answers with JSON: the operator says where things stand in it, and which words mean
 * what.
 *
 * Way:  common
 */
#include "common/adapter_kinds.h"

/* What most call a video that waits; all other words that the operator does not list mean that it is being made. */
static const char *const queue_words[] = {"queued", "pending", "starting", "created", "submitted", "in_queue"};

static char *generic_url(const struct rb_provider *provider, const char *id)
{
    static const char hole[] = "{id}";
    const char *url = provider->api.url;
    const char *at = strstr(url, hole);

    RB_ASSERT(at != NULL); /* the reader of the file looks after it */
    return rb_xprintf("%.*s%s%s", (int)(at - url), url, id, at + strlen(hole));
}

static bool has_word(const struct rb_texts *texts, const char *word)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcasecmp(texts->list[i], word) == 0)
            return true;
    return false;
}

static enum rb_adapter_status status_of(const struct rb_provider_fields *fields, const char *word)
{
    if (has_word(&fields->completed, word))
        return RB_ADAPTER_COMPLETED;
    if (has_word(&fields->failed, word))
        return RB_ADAPTER_FAILED;
    if (has_word(&fields->expired, word))
        return RB_ADAPTER_EXPIRED;
    for (size_t i = 0; i < RB_COUNT(queue_words); i++)
        if (strcasecmp(queue_words[i], word) == 0)
            return RB_ADAPTER_QUEUED;
    return RB_ADAPTER_IN_PROGRESS;
}

/* Some say it with a number or with true and false. */
static int read_word(json_t *value, char *ret_word, size_t room, struct rb_error *err)
{
    if (json_is_string(value))
        snprintf(ret_word, room, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(ret_word, room, "%lld", (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        snprintf(ret_word, room, "%s", json_is_true(value) ? "true" : "false");
    else
        return rb_fail(err, RB_E_PROVIDER_ANSWER, 0, "the provider's answer has no status where it should be");
    return 0;
}

static void read_error(const struct rb_provider_fields *fields, json_t *object, struct rb_adapter_answer *answer)
{
    RB_AUTO_JSON *error = json_object();

    json_object_set(error, "code", rb_json_at(object, fields->error_code));
    json_object_set(error, "message", rb_json_at(object, fields->error_message));
    adapter_take_error(error, answer);
}

static int generic_read(const struct rb_provider *provider, const char *id, json_t *object,
                        struct rb_adapter_answer *answer, struct rb_error *err)
{
    const struct rb_provider_fields *fields = &provider->api.fields;
    char word[64];

    (void)id;
    RB_TRY(read_word(rb_json_at(object, fields->status), word, sizeof(word), err));
    answer->status = status_of(fields, word);
    answer->progress = adapter_progress(rb_json_at(object, fields->progress));
    answer->expires_at_ms = adapter_time(rb_json_at(object, fields->expires_at));
    if (rb_adapter_is_final(answer->status))
        answer->completed_at_ms = adapter_time(rb_json_at(object, fields->completed_at));
    if (answer->status == RB_ADAPTER_COMPLETED)
        answer->video_url = adapter_find_url(rb_json_at(object, fields->video_url));
    else if (rb_adapter_is_final(answer->status))
        read_error(fields, object, answer);
    return 0;
}

const struct adapter_kind adapter_generic = {generic_url, generic_read, NULL};
