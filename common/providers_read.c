/*
 * providers_read.c — from the text of the providers file to structs, by two tables.
 *
 * Way:  common
 */
#include "common/nearest.h"
#include "common/providers_inside.h"

#define API(kind)      (1u << RB_API_##kind)
#define SCHEME(kind)   (1u << RB_SCHEME_##kind)
#define BODY(kind)     (1u << (8 + RB_BODY_##kind))
#define BASED          (API(OPENAI) | API(REPLICATE))
#define SECRETIVE      (SCHEME(PLAIN) | SCHEME(STANDARD) | SCHEME(OPENROUTER))

#define API_AT(field)  offsetof(struct rb_provider_api, field)
#define HOOK_AT(field) offsetof(struct rb_provider_webhook, field)

static const char *const api_kinds[] = {"openai", "replicate", "generic", NULL};
static const char *const schemes[] = {"plain", "standard", "openrouter", "fal", NULL};
static const char *const bodies[] = {"plain", "openai", "replicate", "openrouter", "fal", "generic", NULL};

#define FIELD(name, type, AT, only, must) {#name, PROVIDERS_##type, only, must, AT(fields.name), 0, 0, NULL},
#define FIELDS(AT, only, must)                                                                                         \
    FIELD(id, POINTER, AT, only, 0)                                                                                    \
    FIELD(video_id, POINTER, AT, only, 0)                                                                              \
    FIELD(status, POINTER, AT, only, must)                                                                             \
    FIELD(video_url, POINTER, AT, only, must)                                                                          \
    FIELD(error_code, POINTER, AT, only, 0)                                                                            \
    FIELD(error_message, POINTER, AT, only, 0)                                                                         \
    FIELD(progress, POINTER, AT, only, 0)                                                                              \
    FIELD(expires_at, POINTER, AT, only, 0)                                                                            \
    FIELD(completed_at, POINTER, AT, only, 0)                                                                          \
    FIELD(completed, TEXTS, AT, only, must)                                                                            \
    FIELD(failed, TEXTS, AT, only, 0)                                                                                  \
    FIELD(expired, TEXTS, AT, only, 0)

static const struct providers_member api_members[] = {
    {"kind", PROVIDERS_WORD, 0, 0, API_AT(kind), 0, 0, api_kinds},
    {"base_url", PROVIDERS_URL, BASED, BASED, API_AT(base_url), 0, 0, NULL},
    {"url", PROVIDERS_PATTERN, API(GENERIC), API(GENERIC), API_AT(url), 0, 0, NULL},
    {"key", PROVIDERS_KEY, 0, 0, API_AT(key), 0, 0, NULL},
    {"auth_header", PROVIDERS_HEADER, 0, 0, API_AT(auth_header), 0, 0, NULL},
    {"timeout", PROVIDERS_MS, 0, 0, API_AT(timeout_ms), 100, 300000, NULL},
    {"requests_max", PROVIDERS_NUMBER, 0, 0, API_AT(requests_max), 1, 256, NULL},
    {"poll_interval", PROVIDERS_MS, 0, 0, API_AT(poll_interval_ms), 100, 86400000, NULL},
    {"poll_deadline", PROVIDERS_MS, 0, 0, API_AT(poll_deadline_ms), 1000, INT64_C(31536000000), NULL},
    FIELDS(API_AT, API(GENERIC), API(GENERIC)) /**/
};

static const struct providers_member webhook_members[] = {
    {"scheme", PROVIDERS_WORD, 0, 0, HOOK_AT(scheme), 0, 0, schemes},
    {"body", PROVIDERS_WORD, 0, 0, HOOK_AT(body), 0, 0, bodies},
    {"secret", PROVIDERS_SECRET, SECRETIVE, SECRETIVE, HOOK_AT(secret), 0, 0, NULL},
    {"signature_secret", PROVIDERS_SECRET, SCHEME(PLAIN), 0, HOOK_AT(signature_secret), 0, 0, NULL},
    {"jwks_url", PROVIDERS_URL, SCHEME(FAL), SCHEME(FAL), HOOK_AT(jwks_url), 0, 0, NULL},
    {"jwks_cache", PROVIDERS_PATH, SCHEME(FAL), 0, HOOK_AT(jwks_cache), 0, 0, NULL},
    {"tolerance", PROVIDERS_MS, 0, 0, HOOK_AT(tolerance_ms), 1000, 86400000, NULL},
    FIELDS(HOOK_AT, BODY(GENERIC), 0) /**/
};

static int fail_unknown(const struct providers_reader *reader, const char *key, const char *nearest)
{
    RB_AUTO_TEXT *what = nearest != NULL ? rb_xprintf("there is no such member; did you mean '%s'?", nearest)
                                         : rb_xstrdup("there is no such member");

    return rb_providers_fail(reader, key, what);
}

static const struct providers_member *find_member(const struct providers_object *object, const char *key)
{
    for (size_t i = 0; i < object->count; i++)
        if (rb_providers_suffix(&object->members[i], key) != NULL)
            return &object->members[i];
    return NULL;
}

static const char *nearest_member(const struct providers_object *object, const char *key)
{
    const char *nearest = NULL;
    size_t best = rb_nearest_limit(key) + 1;

    for (size_t i = 0; i < object->count; i++) {
        size_t far = rb_nearest_distance(key, object->members[i].name);

        if (far < best) {
            best = far;
            nearest = object->members[i].name;
        }
    }
    return nearest;
}

static int read_members(const struct providers_object *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object->json, key, value)
    {
        const struct providers_member *member = find_member(object, key);

        if (member == NULL)
            return fail_unknown(object->reader, key, nearest_member(object, key));
        RB_TRY(rb_providers_set_member(object, member, key, value));
    }
    for (size_t i = 0; i < object->count; i++) {
        const struct providers_member *member = &object->members[i];
        bool there = json_object_get(object->json, member->name) != NULL;

        if (member->type == PROVIDERS_KEY || member->type == PROVIDERS_SECRET)
            there = *(char **)((char *)object->into + member->offset) != NULL;
        if (!there && (member->needed & object->variant) != 0)
            return rb_providers_fail(object->reader, member->name, "this member is needed");
    }
    return 0;
}

static const struct providers_member *word_member(const struct providers_object *object, const char *name)
{
    const struct providers_member *member = find_member(object, name);

    RB_ASSERT(member != NULL && member->type == PROVIDERS_WORD);
    return member;
}

static int enter(struct providers_reader *reader, size_t index, const char *name, json_t *json)
{
    snprintf(reader->place, sizeof(reader->place), "/providers/%zu%s%s", index, name[0] != '\0' ? "/" : "", name);
    return json_is_object(json) ? 0 : rb_providers_fail(reader, "", "expected an object");
}

static int read_api(struct providers_reader *reader, json_t *json, struct rb_provider_api *api)
{
    struct providers_object object = {reader, json, api_members, RB_COUNT(api_members), 0, api};

    RB_TRY(rb_providers_set_word(&object, word_member(&object, "kind"), rb_json_text(json, "kind")));
    object.variant = 1u << api->kind;
    RB_TRY(read_members(&object));
    if (api->auth_header == NULL)
        api->auth_header = rb_xstrdup("Authorization");
    return 0;
}

static void inherit_texts(struct rb_texts *texts, const struct rb_texts *from)
{
    if (texts->count > 0 || from->count == 0)
        return;
    texts->list = rb_xalloc(from->count * sizeof(*texts->list));
    for (; texts->count < from->count; texts->count++)
        texts->list[texts->count] = rb_xstrdup(from->list[texts->count]);
}

/* A generic provider often says the same in its webhooks and in its API. */
static void inherit_fields(struct rb_provider_fields *fields, const struct rb_provider_fields *from)
{
    char **const texts[] = {&fields->id,        &fields->video_id,   &fields->status,
                            &fields->video_url, &fields->error_code, &fields->error_message,
                            &fields->progress,  &fields->expires_at, &fields->completed_at};
    char *const others[] = {from->id,        from->video_id,   from->status,
                            from->video_url, from->error_code, from->error_message,
                            from->progress,  from->expires_at, from->completed_at};

    for (size_t i = 0; i < RB_COUNT(texts); i++)
        if (*texts[i] == NULL)
            *texts[i] = rb_xstrdup(others[i]);
    inherit_texts(&fields->completed, &from->completed);
    inherit_texts(&fields->failed, &from->failed);
    inherit_texts(&fields->expired, &from->expired);
}

static int read_webhook(struct providers_reader *reader, json_t *json, struct rb_provider *provider)
{
    struct rb_provider_webhook *webhook = &provider->webhook;
    struct providers_object object = {reader, json, webhook_members, RB_COUNT(webhook_members), 0, webhook};

    RB_TRY(rb_providers_set_word(&object, word_member(&object, "scheme"), rb_json_text(json, "scheme")));
    RB_TRY(rb_providers_set_word(&object, word_member(&object, "body"), rb_json_text(json, "body")));
    object.variant = 1u << webhook->scheme | 1u << (8 + webhook->body);
    RB_TRY(read_members(&object));
    if (webhook->body != RB_BODY_GENERIC)
        return 0;
    inherit_fields(&webhook->fields, &provider->api.fields);
    if (webhook->fields.id == NULL && webhook->fields.video_id == NULL)
        return rb_providers_fail(reader, "id", "either this or video_id is needed");
    if (webhook->fields.status == NULL)
        return rb_providers_fail(reader, "status", "this member is needed");
    if (webhook->fields.completed.count == 0)
        return rb_providers_fail(reader, "completed", "this member is needed");
    return 0;
}

static int read_name(struct providers_reader *reader, const char *name, const struct rb_providers *providers,
                     struct rb_provider *provider)
{
    size_t length = name != NULL ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") : 0;

    if (length == 0 || name[length] != '\0' || length >= RB_PROVIDER_NAME_BYTES)
        return rb_providers_fail(reader, "name", "expected a name of 1 to 63 characters of a-z, 0-9, _ and -");
    if (rb_providers_find(providers, name) != NULL)
        return rb_providers_fail(reader, "name", "expected another name: two providers have this one");
    memcpy(provider->name, name, length + 1);
    reader->provider = provider->name;
    return 0;
}

static int read_provider(struct providers_reader *reader, size_t index, json_t *json, struct rb_providers *providers)
{
    struct rb_provider *provider = &providers->list[index];
    json_t *api = json_object_get(json, "api"), *webhook = json_object_get(json, "webhook");
    const char *key;
    json_t *value;

    reader->provider = NULL;
    RB_TRY(enter(reader, index, "", json));
    RB_TRY(read_name(reader, rb_json_text(json, "name"), providers, provider));
    providers->count = index + 1;
    provider->api.timeout_ms = 10000;
    provider->api.requests_max = 8;
    provider->webhook.tolerance_ms = 300000;
    json_object_foreach(json, key, value)
    {
        if (strcmp(key, "name") != 0 && strcmp(key, "api") != 0 && strcmp(key, "webhook") != 0)
            return rb_providers_fail(reader, key, "there is no such member; expected name, api and webhook");
    }
    if (api == NULL && webhook == NULL)
        return rb_providers_fail(reader, "", "expected an api, a webhook or both");
    if (api != NULL) {
        RB_TRY(enter(reader, index, "api", api));
        RB_TRY(read_api(reader, api, &provider->api));
    }
    if (webhook != NULL) {
        RB_TRY(enter(reader, index, "webhook", webhook));
        RB_TRY(read_webhook(reader, webhook, provider));
    }
    return 0;
}

static int read_all(struct providers_reader *reader, json_t *json, struct rb_providers *providers)
{
    json_t *list = json_object_get(json, "providers");
    size_t index;
    json_t *item;
    const char *key;

    json_object_foreach(json, key, item)
    {
        if (strcmp(key, "providers") != 0)
            return rb_providers_fail(reader, key, "there is no such member; expected 'providers'");
    }
    if (!json_is_array(list) || json_array_size(list) > RB_PROVIDERS_MAX)
        return rb_providers_fail(reader, "providers", "expected a list of at most 64 providers");
    providers->list = rb_xalloc(RB_MAX(json_array_size(list), 1) * sizeof(*providers->list));
    json_array_foreach(list, index, item) RB_TRY(read_provider(reader, index, item, providers));
    return 0;
}

int rb_providers_parse(const char *text, const struct rb_provider_sources *sources, bool webhooks,
                       struct rb_providers **ret_providers, struct rb_error *err)
{
    struct providers_reader reader = {.sources = sources, .webhooks = webhooks, .err = err};
    struct rb_providers *providers;
    RB_AUTO_JSON *json = NULL;
    struct rb_error trouble = {0};

    if (rb_json_parse(text, strlen(text), &json, &trouble) < 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "providers: %s", trouble.message);
    providers = rb_xalloc(sizeof(*providers));
    providers->references = 1;
    if (read_all(&reader, json, providers) < 0) {
        rb_providers_unref(providers);
        return -1;
    }
    *ret_providers = providers;
    return 0;
}
