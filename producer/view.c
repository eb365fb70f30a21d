/*
 * view.c — what people see of a video.
 *
 * Way:  status
 */
#include "producer/view.h"

#include "common/error.h"

#define GENERATION_FAILED "generation_failed"
#define STORAGE           "storage"

static bool is(const char *text, const char *word)
{
    return text != NULL && strcmp(text, word) == 0;
}

static const char *view_status(const struct rb_view *view)
{
    if (view->state == NULL || is(view->state, "waiting"))
        return view->video_url != NULL ? "completed" : "waiting";
    if (is(view->state, "failed") && is(view->error_class, GENERATION_FAILED))
        return "failed";
    return "completed";
}

static const char *view_storage(const struct rb_view *view)
{
    if (view->state == NULL || is(view->state, "waiting"))
        return "none";
    if (is(view->state, "failed") && is(view->error_class, GENERATION_FAILED))
        return "none"; /* there was nothing to store */
    return view->state;
}

/* What a code of ours means. How a library or a store has put it stands beside it, for whoever looks after reelbus. */
static const char *reason_of(const struct rb_view *view)
{
    for (int code = 0; view->error_code != NULL && code < RB_E_COUNT; code++)
        if (strcmp(rb_code_name((enum rb_code)code), view->error_code) == 0)
            return rb_code_what((enum rb_code)code);
    return "no reason was given";
}

/* A try has failed, and another one will come. The date is not said: it is soon. */
static char *rest_message(const struct rb_view *view)
{
    const char *why = reason_of(view);
    const char *when = view->next_try_at != NULL ? strchr(view->next_try_at, 'T') : NULL;
    RB_AUTO_TEXT *time = when != NULL ? rb_xprintf(" at %.8s UTC", when + 1) : rb_xstrdup("");

    if (is(view->error_class, STORAGE))
        return rb_xprintf("The storage takes no videos now: %s. Trying again%s; nothing is lost.", why, time);
    return rb_xprintf("Not stored yet: %s. Trying again%s.", why, time);
}

/* The message that people read, for example "Waiting for video...". */
static char *message_of(const struct rb_view *view)
{
    const char *why = reason_of(view);

    if (view->state == NULL || is(view->state, "waiting"))
        return rb_xstrdup(view->video_url != NULL ? "Available at the original URL" : "Waiting for video...");
    if (is(view->state, "processing"))
        return view->error_code != NULL ? rest_message(view) : rb_xstrdup("Processing video storage...");
    if (is(view->state, "stored"))
        return rb_xstrdup("Stored");
    if (is(view->state, "deleted"))
        return rb_xstrdup("Deleted");
    if (is(view->error_class, GENERATION_FAILED))
        return rb_xprintf("The video could not be generated: %s",
                          view->error_message != NULL ? view->error_message : why);
    if (is(view->error_code, "quota_kept"))
        return rb_xprintf("The video is not stored: %s.", why);
    if (is(view->error_code, "expired") || is(view->error_code, "source_gone"))
        return rb_xprintf("The video could not be stored: %s. The original URL is kept, but opens no more.", why);
    return rb_xprintf("The video could not be stored: %s. The original URL may still work.", why);
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text != NULL ? json_string(text) : json_null());
}

static void set_number(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text != NULL ? json_integer(strtoll(text, NULL, 10)) : json_null());
}

static void set_error(json_t *object, const struct rb_view *view)
{
    json_t *error = json_object();

    set_text(error, "class", view->error_class);
    set_text(error, "code", view->error_code);
    set_text(error, "message", view->error_message);
    json_object_set_new(object, "error", error);
}

json_t *rb_view_json(const struct rb_view *view)
{
    json_t *object = json_object();
    RB_AUTO_TEXT *message = message_of(view);

    set_text(object, "videoId", view->video_id);
    set_text(object, "userId", view->user_id);
    set_text(object, "status", view_status(view));
    set_text(object, "videoUrl", view->video_url);
    set_text(object, "originalUrl", view->source_url);
    set_text(object, "storage", view_storage(view));
    set_text(object, "message", message);
    set_number(object, "progress", view->progress);
    set_number(object, "storedPercent", NULL);
    set_number(object, "bytes", view->bytes);
    set_number(object, "bytesTotal", view->bytes);
    set_number(object, "tries", view->tries);
    set_text(object, "nextTryAt", view->next_try_at);
    set_text(object, "expiresAt", view->expires_at);
    set_text(object, "storedAt", view->stored_at);
    set_text(object, "updatedAt", view->updated_at);
    set_text(object, "provider", view->provider);
    if (view->error_code != NULL)
        set_error(object, view);
    return object;
}

static void set_count(json_t *object, const char *key, int64_t count)
{
    json_object_set_new(object, key, count >= 0 ? json_integer(count) : json_null());
}

void rb_view_set_stored(json_t *object, int64_t bytes, int64_t total, int64_t percent)
{
    if (!is(rb_json_text(object, "storage"), "processing"))
        return;
    set_count(object, "bytes", bytes);
    set_count(object, "bytesTotal", total);
    set_count(object, "storedPercent", percent);
}

bool rb_view_is_terminal(const json_t *object)
{
    const char *storage = rb_json_text(object, "storage");

    return is(rb_json_text(object, "status"), "failed") || is(storage, "stored") || is(storage, "failed") ||
           is(storage, "deleted");
}
