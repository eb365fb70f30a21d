/*
 * adapter_replicate.c — Replicate's predictions.
 *
 * Way:  common
 *
 * The output of a model is a URL, a list of them, or an object. Replicate removes it after a while and says so with
 * "data_removed".
 */
#include "common/adapter_kinds.h"

static const struct adapter_word words[] = {
    {"starting", RB_ADAPTER_QUEUED, false},     {"queued", RB_ADAPTER_QUEUED, false},
    {"succeeded", RB_ADAPTER_COMPLETED, false}, {"failed", RB_ADAPTER_FAILED, false},
    {"canceled", RB_ADAPTER_FAILED, true},      {"aborted", RB_ADAPTER_FAILED, true},
};

static char *replicate_url(const struct rb_provider *provider, const char *id)
{
    return rb_xprintf("%s/predictions/%s", provider->api.base_url, id);
}

static int replicate_read(const struct rb_provider *provider, const char *id, json_t *object,
                          struct rb_adapter_answer *answer, struct rb_error *err)
{
    (void)provider;
    (void)id;
    RB_TRY(adapter_take_status(rb_json_text(object, "status"), words, RB_COUNT(words), answer, err));
    if (!rb_adapter_is_final(answer->status))
        return 0;
    answer->completed_at_ms = adapter_time(json_object_get(object, "completed_at"));
    if (answer->status != RB_ADAPTER_COMPLETED) {
        adapter_take_error(json_object_get(object, "error"), answer);
        return 0;
    }
    answer->video_url = adapter_find_url(json_object_get(object, "output"));
    if (answer->video_url == NULL && json_is_true(json_object_get(object, "data_removed"))) {
        answer->status = RB_ADAPTER_EXPIRED;
        answer->error_code = rb_xstrdup("data_removed");
        answer->error_message = rb_xstrdup("the provider has removed the output");
    }
    return 0;
}

const struct adapter_kind adapter_replicate = {replicate_url, replicate_read, NULL};
