/*
 * adapter_openai.c — APIs in the shape of OpenAI's /v1/videos, as many gateways have it.
 *
 * Way:  common
 *
 * Only the status is relied upon. OpenAI's own object has no URL: the bytes are at /content, under the same key; gateways
 * that have one tell it in one of a few members.
 */
#include "common/adapter_kinds.h"

static const struct adapter_word words[] = {
    {"queued", RB_ADAPTER_QUEUED, false},       {"pending", RB_ADAPTER_QUEUED, false},
    {"completed", RB_ADAPTER_COMPLETED, false}, {"succeeded", RB_ADAPTER_COMPLETED, false},
    {"failed", RB_ADAPTER_FAILED, false},       {"error", RB_ADAPTER_FAILED, false},
    {"cancelled", RB_ADAPTER_FAILED, true},     {"canceled", RB_ADAPTER_FAILED, true},
    {"expired", RB_ADAPTER_EXPIRED, true},
};

static const char *const url_places[] = {"/url", "/video_url", "/unsigned_urls", "/output", "/data"};

static char *openai_url(const struct rb_provider *provider, const char *id)
{
    return rb_xprintf("%s/videos/%s", provider->api.base_url, id);
}

static char *find_bytes(const struct rb_provider *provider, const char *id, json_t *object)
{
    for (size_t i = 0; i < RB_COUNT(url_places); i++) {
        char *url = adapter_find_url(rb_json_at(object, url_places[i]));

        if (url != NULL)
            return url;
    }
    return rb_xprintf("%s/videos/%s/content", provider->api.base_url, id);
}

static int openai_read(const struct rb_provider *provider, const char *id, json_t *object,
                       struct rb_adapter_answer *answer, struct rb_error *err)
{
    RB_TRY(adapter_take_status(rb_json_text(object, "status"), words, RB_COUNT(words), answer, err));
    answer->progress = adapter_progress(json_object_get(object, "progress"));
    answer->expires_at_ms = adapter_time(json_object_get(object, "expires_at"));
    if (answer->status == RB_ADAPTER_COMPLETED) {
        answer->video_url = find_bytes(provider, id, object);
        answer->completed_at_ms = adapter_time(json_object_get(object, "completed_at"));
    } else if (rb_adapter_is_final(answer->status)) {
        adapter_take_error(json_object_get(object, "error"), answer);
        answer->completed_at_ms = adapter_time(json_object_get(object, "completed_at"));
    }
    return 0;
}

static char *openai_variant_url(const struct rb_provider *provider, const char *id, const char *variant)
{
    return rb_xprintf("%s/videos/%s/content?variant=%s", provider->api.base_url, id, variant);
}

const struct adapter_kind adapter_openai = {openai_url, openai_read, openai_variant_url};
