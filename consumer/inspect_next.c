/*
 * inspect_next.c — what comes next for a video, in words.
 *
 * Way:  inspect -> [inspect_next]
 */
#include "consumer/inspect_next.h"

static const char *const object_names[] = {"none", "same", "other", "missing", "unknown"};

const char *rb_inspect_object_name(enum rb_inspect_object object)
{
    return object_names[object];
}

enum rb_inspect_object rb_inspect_compare(const struct rb_store_answer *answer, int64_t bytes, const char *sha256)
{
    if (!answer->found)
        return answer->refused ? RB_INSPECT_UNKNOWN : RB_INSPECT_MISSING;
    if (bytes >= 0 && answer->bytes >= 0 && bytes != answer->bytes)
        return RB_INSPECT_OTHER;
    if (sha256 != NULL && answer->sha256[0] != '\0' && strcmp(sha256, answer->sha256) != 0)
        return RB_INSPECT_OTHER;
    return RB_INSPECT_SAME;
}

static char *next_of_waiting(const json_t *row)
{
    const char *at = rb_json_text(row, "next_poll_at");

    if (rb_json_text(row, "provider_video_id") == NULL)
        return rb_xstrdup("its webhook; nobody knows its id at a provider, so nobody can be asked");
    return rb_xprintf("its webhook, or an answer of the provider, who is asked again at %s",
                      at != NULL ? at : "some time");
}

static char *next_of_processing(const json_t *row)
{
    const char *at = rb_json_text(row, "next_try_at");

    if (at == NULL && rb_json_text(row, "object_key") != NULL)
        return rb_xstrdup(
            "it is to be stored again: a consumer takes it as soon as its record comes; verify --repair sends "
            "that again");
    if (at == NULL)
        return rb_xstrdup("a consumer is at it, or takes it up when its record comes again");
    return rb_xprintf("the next try, at %s", at);
}

static char *next_of_failed(const json_t *row)
{
    const json_t *redriven = json_object_get(row, "redriven_attempt");
    const char *class = rb_json_text(row, "error_class");
    const char *code = rb_json_text(row, "error_code");

    if (json_is_integer(redriven) && json_equal(redriven, json_object_get(row, "attempt")))
        return rb_xprintf("it has failed (%s, %s) and is sent once more: a consumer takes it when its record comes",
                          class != NULL ? class : "no class", code != NULL ? code : "no code");
    return rb_xprintf("nothing by itself, but for redrive_auto: it has failed (%s, %s); redrive VIDEO tries it again, "
                      "and so does a record with another URL",
                      class != NULL ? class : "no class", code != NULL ? code : "no code");
}

static char *next_of_stored(enum rb_inspect_object object)
{
    if (object == RB_INSPECT_MISSING || object == RB_INSPECT_OTHER)
        return rb_xstrdup(
            "nothing by itself, but its object is not what the row says: verify --repair has it stored again");
    return rb_xstrdup("nothing: it is stored");
}

char *rb_inspect_next(const json_t *application, const json_t *row, enum rb_inspect_object object)
{
    const char *state = rb_json_text(row, "state");

    if (state == NULL && !json_is_object(application))
        return rb_xstrdup("nothing: neither the application nor reelbus has such a video");
    if (state == NULL)
        return rb_xstrdup("its webhook: reelbus has not heard of it yet, or its record still waits on Kafka");
    if (strcmp(state, "waiting") == 0)
        return next_of_waiting(row);
    if (strcmp(state, "processing") == 0)
        return next_of_processing(row);
    if (strcmp(state, "failed") == 0)
        return next_of_failed(row);
    if (strcmp(state, "stored") == 0)
        return next_of_stored(object);
    if (rb_json_text(row, "deleting_since") != NULL)
        return rb_xstrdup("a consumer removes its object and announces that");
    return rb_xstrdup("nothing: it was removed");
}
