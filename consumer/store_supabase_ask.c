/*
 * store_supabase_ask.c — questions to Supabase Storage about one object: is it there, where do people get it; remove it.
 *
 * Way:  download -> [store_supabase] -> record
 *
 * An ask is a row of calls, one at a time. The function that each of them ends in decides what comes next.
 */
#include <inttypes.h>

#include "consumer/store_supabase_ask.h"

static void on_called(void *arg)
{
    struct rb_ask *ask = RB_CAST(rb_ask, arg, ASK_MAGIC);
    struct rb_supabase_call *call = ask->call;

    ask->call = NULL;
    ask->next(ask, rb_supabase_call_result(call));
    rb_supabase_call_free(call);
    if (ask->state != RB_POLL_WAIT)
        ask->on_change(ask->arg);
}

void supabase_ask_call(struct rb_ask *ask, struct rb_supabase_call_spec spec,
                       void (*next)(struct rb_ask *ask, const struct rb_supabase_result *result))
{
    spec.bucket = ask->bucket;
    spec.on_done = on_called;
    spec.arg = ask;
    ask->next = next;
    ask->call = rb_supabase_call_new(&ask->store->env, &spec);
}

void supabase_ask_fail(struct rb_ask *ask, const struct rb_error *err)
{
    ask->state = RB_POLL_FAILED;
    ask->error = *err;
}

struct rb_ask *supabase_ask_new(struct rb_store *base, const char *bucket, const char *key, rb_loop_fn on_change,
                                void *arg)
{
    struct rb_ask *ask = rb_xalloc(sizeof(*ask));

    *ask = (struct rb_ask){
        .magic = ASK_MAGIC,
        .store = (struct store_supabase *)base,
        .bucket = rb_xstrdup(bucket),
        .key = rb_xstrdup(key),
        .on_change = on_change,
        .arg = arg,
        .answer.bytes = -1,
    };
    return ask;
}

/* find */

static void after_find(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    struct rb_supabase_info info;

    if (result->error.code != RB_E_NONE && result->meaning != 404) {
        supabase_ask_fail(ask, &result->error);
        return;
    }
    ask->state = RB_POLL_DONE;
    ask->answer.found = result->error.code == RB_E_NONE;
    if (ask->answer.found) {
        rb_supabase_answer_info(result, &info);
        ask->answer.bytes = info.bytes;
        memcpy(ask->answer.sha256, info.sha256, sizeof(ask->answer.sha256));
    }
}

struct rb_ask *supabase_ask_find(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = supabase_ask_new(base, object->bucket, object->key, on_change, arg);
    RB_AUTO_TEXT *path = rb_supabase_path("/object/info", object->bucket, object->key);
    const struct rb_supabase_call_spec spec = {
        .doing = "look for", .method = "GET", .path = path, .key = ask->key, .traceparent = object->traceparent};

    supabase_ask_call(ask, spec, after_find);
    return ask;
}

/* remove */

/* Of the object itself, in the words of new servers and of old ones: not of its bucket, nor of a gateway that knows no way there. */
static bool is_not_there(const struct rb_supabase_result *result)
{
    return result->meaning == 404 && strstr(result->text, "Bucket") == NULL &&
           (strcmp(result->code, "NoSuchKey") == 0 || strcmp(result->code, "not_found") == 0);
}

/* What a key may not see is "not found" as well, but what may be looked at has to be gone. */
static void after_second_look(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    if (result->error.code == RB_E_NONE) {
        rb_fail(&ask->error, RB_E_STORE_DENIED, 0, "the store does not let us remove '%.60s/%.80s'", ask->bucket,
                ask->key);
        supabase_ask_fail(ask, &ask->error);
    } else if (is_not_there(result)) {
        ask->state = RB_POLL_DONE;
    } else {
        supabase_ask_fail(ask, &result->error);
    }
}

static void after_remove(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    RB_AUTO_TEXT *path = rb_supabase_path("/object/info", ask->bucket, ask->key);

    if (result->error.code == RB_E_NONE)
        ask->state = RB_POLL_DONE;
    else if (is_not_there(result))
        supabase_ask_call(
            ask, (struct rb_supabase_call_spec){.doing = "look for", .method = "GET", .path = path, .key = ask->key},
            after_second_look);
    else
        supabase_ask_fail(ask, &result->error);
}

struct rb_ask *supabase_ask_remove(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change,
                                   void *arg)
{
    struct rb_ask *ask = supabase_ask_new(base, object->bucket, object->key, on_change, arg);
    RB_AUTO_TEXT *path = rb_supabase_path("/object", object->bucket, object->key);

    supabase_ask_call(
        ask, (struct rb_supabase_call_spec){.doing = "remove", .method = "DELETE", .path = path, .key = ask->key},
        after_remove);
    return ask;
}

/* remove_many */

/* What is not in the list was not there, or may not be removed: that is not told apart. */
static void after_remove_many(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    const json_t *row;
    size_t place;

    if (result->error.code != RB_E_NONE) {
        supabase_ask_fail(ask, &result->error);
        return;
    }
    for (size_t i = 0; i < ask->keys.count; i++)
        ask->kept[i] = true;
    json_array_foreach(json_object_get(result->body, "list"), place, row)
    {
        const char *name = rb_json_text(row, "name");

        for (size_t i = 0; name != NULL && i < ask->keys.count; i++)
            if (strcmp(ask->keys.keys[i], name) == 0)
                ask->kept[i] = false;
    }
    ask->answer.kept = ask->kept;
    ask->state = RB_POLL_DONE;
}

struct rb_ask *supabase_ask_remove_many(struct rb_store *base, const struct rb_keys *keys, rb_loop_fn on_change,
                                        void *arg)
{
    struct rb_ask *ask = supabase_ask_new(base, keys->bucket, "", on_change, arg);
    RB_AUTO_TEXT *path = rb_supabase_path("/object", keys->bucket, NULL);
    RB_AUTO_JSON *list = json_array();
    RB_AUTO_JSON *body = json_pack("{sO}", "prefixes", list);

    for (size_t i = 0; i < keys->count; i++)
        json_array_append_new(list, json_string(keys->keys[i]));
    ask->keys = *keys;
    ask->kept = rb_xalloc(keys->count * sizeof(*ask->kept));
    ask->body = json_dumps(body, JSON_COMPACT);
    supabase_ask_call(
        ask,
        (struct rb_supabase_call_spec){.doing = "remove objects from",
                                       .method = "DELETE",
                                       .path = path,
                                       .headers = rb_supabase_header(NULL, "Content-Type", "application/json"),
                                       .body = ask->body,
                                       .body_bytes = strlen(ask->body),
                                       .slow = true},
        after_remove_many);
    return ask;
}

/* link */

static void after_link(struct rb_ask *ask, const struct rb_supabase_result *result)
{
    const char *path = rb_json_text(result->body, "signedURL");
    struct rb_error err = {0};

    if (result->error.code != RB_E_NONE) {
        supabase_ask_fail(ask, &result->error);
    } else if (path == NULL || strncmp(path, "/object/sign/", strlen("/object/sign/")) != 0) {
        rb_fail(&err, RB_E_STORE_AWAY, 0, "the store signs a link to '%.60s/%.80s' and does not show it", ask->bucket,
                ask->key);
        supabase_ask_fail(ask, &err);
    } else {
        ask->url = rb_xprintf("%s%s", ask->store->public_base, path);
        ask->answer.url = ask->url;
        ask->state = RB_POLL_DONE;
    }
}

struct rb_ask *supabase_ask_link(struct rb_store *base, const struct rb_object *object, rb_loop_fn on_change, void *arg)
{
    struct rb_ask *ask = supabase_ask_new(base, object->bucket, object->key, on_change, arg);
    RB_AUTO_TEXT *path = rb_supabase_path("/object/sign", object->bucket, object->key);

    ask->body = rb_xprintf("{\"expiresIn\":%" PRId64 "}", ask->store->config.link_ms / 1000);
    supabase_ask_call(
        ask,
        (struct rb_supabase_call_spec){.doing = "sign a link to",
                                       .method = "POST",
                                       .path = path,
                                       .key = ask->key,
                                       .headers = rb_supabase_header(NULL, "Content-Type", "application/json"),
                                       .body = ask->body,
                                       .body_bytes = strlen(ask->body)},
        after_link);
    return ask;
}

enum rb_poll supabase_ask_answer(const struct rb_ask *ask, struct rb_store_answer *ret_answer, struct rb_error *err)
{
    if (ask->state == RB_POLL_DONE)
        *ret_answer = ask->answer;
    else if (ask->state == RB_POLL_FAILED)
        *err = ask->error;
    return ask->state;
}

void supabase_ask_forget(struct rb_ask *ask)
{
    rb_supabase_call_free(ask->call);
    free(ask->bucket);
    free(ask->key);
    rb_store_read_done(&ask->read);
    free(ask->body);
    free(ask->url);
    free(ask->kept);
    ask->magic = 0;
    free(ask);
}
