/*
 * providers_read.c — from the text of the providers file to structs, by two tables.
 *
 * Way:  common
 */
#include <ctype.h>
#include <openssl/crypto.h>

#include "common/buffer.h"
#include "common/json.h"
#include "common/nearest.h"
#include "common/providers.h"
#include "common/units.h"

enum member_type {
    WORD,    /* an enum, by one of words */
    URL,     /* http or https, kept without slashes at its end */
    PATTERN, /* a URL with {id} in it */
    PATH,    /* of a file */
    HEADER,  /* the name of a header */
    POINTER, /* a JSON pointer */
    TEXTS,   /* a list of short texts */
    MS,      /* "10s" */
    NUMBER,
    SECRET, /* also NAME_file and NAME_env */
};

struct member {
    const char *name;
    enum member_type type;
    unsigned fits;   /* variants that it has a meaning for; 0: all */
    unsigned needed; /* variants that cannot do without it */
    size_t offset;
    int64_t min, max;
    const char *const *words; /* WORD: the enum's names from 1 on, NULL at the end */
};

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

/* clang-format off: one row, one line */
#define FIELDS(AT, only, must)                                                                                         \
    {"id", POINTER, only, 0, AT(fields.id), 0, 0, NULL},                                                               \
        {"video_id", POINTER, only, 0, AT(fields.video_id), 0, 0, NULL},                                               \
        {"status", POINTER, only, must, AT(fields.status), 0, 0, NULL},                                                \
        {"video_url", POINTER, only, must, AT(fields.video_url), 0, 0, NULL},                                          \
        {"error_code", POINTER, only, 0, AT(fields.error_code), 0, 0, NULL},                                           \
        {"error_message", POINTER, only, 0, AT(fields.error_message), 0, 0, NULL},                                     \
        {"progress", POINTER, only, 0, AT(fields.progress), 0, 0, NULL},                                               \
        {"expires_at", POINTER, only, 0, AT(fields.expires_at), 0, 0, NULL},                                           \
        {"completed", TEXTS, only, must, AT(fields.completed), 0, 0, NULL},                                            \
        {"failed", TEXTS, only, 0, AT(fields.failed), 0, 0, NULL},                                                     \
    {                                                                                                                  \
        "expired", TEXTS, only, 0, AT(fields.expired), 0, 0, NULL                                                      \
    }

static const struct member api_members[] = {
    {"kind", WORD, 0, 0, API_AT(kind), 0, 0, api_kinds},
    {"base_url", URL, BASED, BASED, API_AT(base_url), 0, 0, NULL},
    {"url", PATTERN, API(GENERIC), API(GENERIC), API_AT(url), 0, 0, NULL},
    {"key", SECRET, 0, 0, API_AT(key), 0, 0, NULL},
    {"auth_header", HEADER, 0, 0, API_AT(auth_header), 0, 0, NULL},
    {"timeout", MS, 0, 0, API_AT(timeout_ms), 100, 300000, NULL},
    {"requests_max", NUMBER, 0, 0, API_AT(requests_max), 1, 256, NULL},
    FIELDS(API_AT, API(GENERIC), API(GENERIC)),
};

static const struct member webhook_members[] = {
    {"scheme", WORD, 0, 0, HOOK_AT(scheme), 0, 0, schemes},
    {"body", WORD, 0, 0, HOOK_AT(body), 0, 0, bodies},
    {"secret", SECRET, SECRETIVE, SECRETIVE, HOOK_AT(secret), 0, 0, NULL},
    {"signature_secret", SECRET, SCHEME(PLAIN), 0, HOOK_AT(signature_secret), 0, 0, NULL},
    {"jwks_url", URL, SCHEME(FAL), SCHEME(FAL), HOOK_AT(jwks_url), 0, 0, NULL},
    {"jwks_cache", PATH, SCHEME(FAL), 0, HOOK_AT(jwks_cache), 0, 0, NULL},
    {"tolerance", MS, 0, 0, HOOK_AT(tolerance_ms), 1000, 86400000, NULL},
    FIELDS(HOOK_AT, BODY(GENERIC), 0),
};
/* clang-format on */

struct reader {
    const struct rb_provider_sources *sources;
    bool webhooks;
    const char *provider; /* its name, for messages; NULL while it is not known */
    char place[96];       /* JSON pointer to the object that is being read */
    struct rb_error *err;
};

/* One object of the file and the struct that it fills. */
struct object {
    struct reader *reader;
    json_t *json; /* borrowed */
    const struct member *members;
    size_t count;
    unsigned variant; /* what kind, scheme and body say that it is */
    void *into;
};

static int fail_at(const struct reader *reader, const char *key, const char *what)
{
    return rb_fail(reader->err, RB_E_BAD_OPTION, 0, "providers: %s%s%s%s%s%.60s: %s",
                   reader->provider != NULL ? "'" : "", reader->provider != NULL ? reader->provider : "",
                   reader->provider != NULL ? "' at " : "", reader->place, key[0] != '\0' ? "/" : "", key, what);
}

static int fail_unknown(const struct reader *reader, const char *key, const char *nearest)
{
    RB_AUTO_TEXT *what = nearest != NULL ? rb_xprintf("there is no such member; did you mean '%s'?", nearest)
                                         : rb_xstrdup("there is no such member");

    return fail_at(reader, key, what);
}

/* The part of a key behind a member's name, when it is that member: "", and for secrets "_file" and "_env". */
static const char *suffix_of(const struct member *member, const char *key)
{
    size_t length = strlen(member->name);

    if (strncmp(key, member->name, length) != 0)
        return NULL;
    key += length;
    if (key[0] == '\0' || (member->type == SECRET && (strcmp(key, "_file") == 0 || strcmp(key, "_env") == 0)))
        return key;
    return NULL;
}

static const struct member *find_member(const struct object *object, const char *key)
{
    for (size_t i = 0; i < object->count; i++)
        if (suffix_of(&object->members[i], key) != NULL)
            return &object->members[i];
    return NULL;
}

static const char *nearest_member(const struct object *object, const char *key)
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

static int set_word(const struct object *object, const struct member *member, const char *text)
{
    RB_AUTO_BUFFER expected = {0};
    unsigned *field = (unsigned *)((char *)object->into + member->offset);

    for (unsigned i = 0; member->words[i] != NULL; i++) {
        if (text != NULL && strcmp(text, member->words[i]) == 0) {
            *field = i + 1;
            return 0;
        }
        rb_buffer_print(&expected, "%s%s", i == 0 ? "expected one of " : ", ", member->words[i]);
    }
    return fail_at(object->reader, member->name, expected.bytes);
}

static void set_text(const struct object *object, const struct member *member, char *text)
{
    char **field = (char **)((char *)object->into + member->offset);

    free(*field);
    *field = text;
}

static int set_url(const struct object *object, const struct member *member, const char *text)
{
    RB_AUTO_URL url = {0};
    struct rb_error trouble = {0};

    if (text == NULL || rb_url_parse(text, &url, &trouble) < 0 || strpbrk(text, "?#") != NULL)
        return fail_at(object->reader, member->name, "expected a URL, https://host/path, without a query");

    size_t length = strlen(text);

    while (text[length - 1] == '/')
        length--;
    set_text(object, member, rb_xstrndup(text, length));
    return 0;
}

/* The id must not be able to change the host: it stands behind the first slash of the path. */
static int set_pattern(const struct object *object, const struct member *member, const char *text)
{
    const char *hole = text != NULL ? strstr(text, "{id}") : NULL;
    const char *host = text != NULL ? strstr(text, "://") : NULL;
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    RB_AUTO_URL url = {0};
    struct rb_error trouble = {0};

    if (hole != NULL && path != NULL && path < hole && strstr(hole + 1, "{id}") == NULL && strchr(text, '#') == NULL) {
        RB_AUTO_TEXT *filled = rb_xprintf("%.*sx%s", (int)(hole - text), text, hole + 4);

        if (strpbrk(filled, "{}") == NULL && rb_url_parse(filled, &url, &trouble) == 0) {
            set_text(object, member, rb_xstrdup(text));
            return 0;
        }
    }
    return fail_at(object->reader, member->name, "expected a URL with {id} once in its path or query");
}

static int set_pointer(const struct object *object, const struct member *member, const char *text)
{
    if (text == NULL || text[0] != '/' || strlen(text) > RB_JSON_MAX_POINTER_BYTES)
        return fail_at(object->reader, member->name, "expected a JSON pointer such as \"/data/url\"");
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '~' && c[1] != '0' && c[1] != '1')
            return fail_at(object->reader, member->name, "expected '~0' or '~1' where this JSON pointer has '~'");
    set_text(object, member, rb_xstrdup(text));
    return 0;
}

static int set_header(const struct object *object, const struct member *member, const char *text)
{
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("-_", text[i]) == NULL)
            text = NULL;
    if (text == NULL || text[0] == '\0')
        return fail_at(object->reader, member->name, "expected the name of a header");
    set_text(object, member, rb_xstrdup(text));
    return 0;
}

static int set_texts(const struct object *object, const struct member *member, json_t *value)
{
    struct rb_texts *field = (struct rb_texts *)((char *)object->into + member->offset);
    size_t index;
    json_t *item;

    if (!json_is_array(value) || json_array_size(value) == 0)
        return fail_at(object->reader, member->name, "expected a list of texts");
    field->list = rb_xalloc(json_array_size(value) * sizeof(*field->list));
    json_array_foreach(value, index, item)
    {
        if (!json_is_string(item))
            return fail_at(object->reader, member->name, "expected a list of texts");
        field->list[field->count++] = rb_xstrdup(json_string_value(item));
    }
    return 0;
}

static int set_ms(const struct object *object, const struct member *member, const char *text)
{
    char low[RB_UNITS_TEXT_BYTES], high[RB_UNITS_TEXT_BYTES];
    int64_t ms;

    if (text == NULL || rb_units_parse_ms(text, &ms) < 0 || ms < member->min || ms > member->max) {
        RB_AUTO_TEXT *what = rb_xprintf("expected a time from \"%s\" to \"%s\"", rb_units_ms_text(member->min, low),
                                        rb_units_ms_text(member->max, high));

        return fail_at(object->reader, member->name, what);
    }
    *(int64_t *)((char *)object->into + member->offset) = ms;
    return 0;
}

static int set_number(const struct object *object, const struct member *member, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < member->min || json_integer_value(value) > member->max) {
        RB_AUTO_TEXT *what =
            rb_xprintf("expected a whole number from %lld to %lld", (long long)member->min, (long long)member->max);

        return fail_at(object->reader, member->name, what);
    }
    *(int64_t *)((char *)object->into + member->offset) = json_integer_value(value);
    return 0;
}

static int get_secret(const struct object *object, const char *key, const char *suffix, json_t *value, char **ret_text)
{
    const char *text = json_string_value(value);
    const char *variable;

    if (text == NULL || text[0] == '\0')
        return fail_at(object->reader, key, "expected a text");
    if (strcmp(suffix, "_file") == 0) {
        struct rb_error trouble = {0};

        if (object->reader->sources->read_file(text, ret_text, &trouble) < 0)
            return fail_at(object->reader, key, trouble.message);
        return 0;
    }
    if (suffix[0] == '\0') {
        *ret_text = rb_xstrdup(text);
        OPENSSL_cleanse((char *)(uintptr_t)text, json_string_length(value)); /* jansson would not */
        return 0;
    }
    variable = object->reader->sources->read_variable(text);
    if (variable == NULL || variable[0] == '\0')
        return fail_at(object->reader, key, "this environment variable is not set");
    *ret_text = rb_xstrdup(variable);
    return 0;
}

static bool is_header_text(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* A secret of webhooks is only looked at where webhooks are taken: another program may not be able to read it. */
static int set_secret(const struct object *object, const struct member *member, const char *key, json_t *value)
{
    char **field = (char **)((char *)object->into + member->offset);
    bool of_api = object->members == api_members;
    char *text = NULL;

    if (*field != NULL)
        return fail_at(object->reader, key, "expected it only once: as a text, as _file or as _env");
    if (!of_api && !object->reader->webhooks) {
        *field = rb_xstrdup("");
        return 0;
    }
    RB_TRY(get_secret(object, key, suffix_of(member, key), value, &text));
    *field = text; /* wiped with the list, whatever comes now */
    if (text[strspn(text, ", \t\r\n")] == '\0')
        return fail_at(object->reader, key, "expected a secret, found an empty one");
    if (of_api && !is_header_text(text))
        return fail_at(object->reader, key, "expected a key without spaces and control characters");
    return 0;
}

static int set_member(const struct object *object, const struct member *member, const char *key, json_t *value)
{
    const char *text = json_string_value(value);

    if (member->fits != 0 && (member->fits & object->variant) == 0)
        return fail_at(object->reader, key, "this member has no meaning here");
    switch (member->type) {
    case WORD:
        return set_word(object, member, text);
    case URL:
        return set_url(object, member, text);
    case PATTERN:
        return set_pattern(object, member, text);
    case PATH:
        if (text == NULL || text[0] == '\0')
            return fail_at(object->reader, key, "expected the path of a file");
        set_text(object, member, rb_xstrdup(text));
        return 0;
    case HEADER:
        return set_header(object, member, text);
    case POINTER:
        return set_pointer(object, member, text);
    case TEXTS:
        return set_texts(object, member, value);
    case MS:
        return set_ms(object, member, text);
    case NUMBER:
        return set_number(object, member, value);
    case SECRET:
        return set_secret(object, member, key, value);
    }
    RB_BUG("unknown member type");
}

static int read_members(const struct object *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object->json, key, value)
    {
        const struct member *member = find_member(object, key);

        if (member == NULL)
            return fail_unknown(object->reader, key, nearest_member(object, key));
        RB_TRY(set_member(object, member, key, value));
    }
    for (size_t i = 0; i < object->count; i++) {
        const struct member *member = &object->members[i];
        bool there = json_object_get(object->json, member->name) != NULL;

        if (member->type == SECRET)
            there = *(char **)((char *)object->into + member->offset) != NULL;
        if (!there && (member->needed & object->variant) != 0)
            return fail_at(object->reader, member->name, "this member is needed");
    }
    return 0;
}

static const struct member *word_member(const struct object *object, const char *name)
{
    const struct member *member = find_member(object, name);

    RB_ASSERT(member != NULL && member->type == WORD);
    return member;
}

static int enter(struct reader *reader, size_t index, const char *name, json_t *json)
{
    snprintf(reader->place, sizeof(reader->place), "/providers/%zu%s%s", index, name[0] != '\0' ? "/" : "", name);
    return json_is_object(json) ? 0 : fail_at(reader, "", "expected an object");
}

static int read_api(struct reader *reader, json_t *json, struct rb_provider_api *api)
{
    struct object object = {reader, json, api_members, RB_COUNT(api_members), 0, api};

    RB_TRY(set_word(&object, word_member(&object, "kind"), rb_json_text(json, "kind")));
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
    char **const texts[] = {&fields->id,         &fields->video_id,      &fields->status,   &fields->video_url,
                            &fields->error_code, &fields->error_message, &fields->progress, &fields->expires_at};
    char *const others[] = {from->id,         from->video_id,      from->status,   from->video_url,
                            from->error_code, from->error_message, from->progress, from->expires_at};

    for (size_t i = 0; i < RB_COUNT(texts); i++)
        if (*texts[i] == NULL)
            *texts[i] = rb_xstrdup(others[i]);
    inherit_texts(&fields->completed, &from->completed);
    inherit_texts(&fields->failed, &from->failed);
    inherit_texts(&fields->expired, &from->expired);
}

static int read_webhook(struct reader *reader, json_t *json, struct rb_provider *provider)
{
    struct rb_provider_webhook *webhook = &provider->webhook;
    struct object object = {reader, json, webhook_members, RB_COUNT(webhook_members), 0, webhook};

    RB_TRY(set_word(&object, word_member(&object, "scheme"), rb_json_text(json, "scheme")));
    RB_TRY(set_word(&object, word_member(&object, "body"), rb_json_text(json, "body")));
    object.variant = 1u << webhook->scheme | 1u << (8 + webhook->body);
    RB_TRY(read_members(&object));
    if (webhook->body != RB_BODY_GENERIC)
        return 0;
    inherit_fields(&webhook->fields, &provider->api.fields);
    if (webhook->fields.id == NULL && webhook->fields.video_id == NULL)
        return fail_at(reader, "id", "either this or video_id is needed");
    if (webhook->fields.status == NULL)
        return fail_at(reader, "status", "this member is needed");
    if (webhook->fields.completed.count == 0)
        return fail_at(reader, "completed", "this member is needed");
    return 0;
}

static int read_name(struct reader *reader, const char *name, const struct rb_providers *providers,
                     struct rb_provider *provider)
{
    size_t length = name != NULL ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") : 0;

    if (length == 0 || name[length] != '\0' || length >= RB_PROVIDER_NAME_BYTES)
        return fail_at(reader, "name", "expected a name of 1 to 63 characters of a-z, 0-9, _ and -");
    if (rb_providers_find(providers, name) != NULL)
        return fail_at(reader, "name", "expected another name: two providers have this one");
    memcpy(provider->name, name, length + 1);
    reader->provider = provider->name;
    return 0;
}

static int read_provider(struct reader *reader, size_t index, json_t *json, struct rb_providers *providers)
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
            return fail_at(reader, key, "there is no such member; expected name, api and webhook");
    }
    if (api == NULL && webhook == NULL)
        return fail_at(reader, "", "expected an api, a webhook or both");
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

static int read_all(struct reader *reader, json_t *json, struct rb_providers *providers)
{
    json_t *list = json_object_get(json, "providers");
    size_t index;
    json_t *item;
    const char *key;

    json_object_foreach(json, key, item)
    {
        if (strcmp(key, "providers") != 0)
            return fail_at(reader, key, "there is no such member; expected 'providers'");
    }
    if (!json_is_array(list) || json_array_size(list) > RB_PROVIDERS_MAX)
        return fail_at(reader, "providers", "expected a list of at most 64 providers");
    providers->list = rb_xalloc(RB_MAX(json_array_size(list), 1) * sizeof(*providers->list));
    json_array_foreach(list, index, item) RB_TRY(read_provider(reader, index, item, providers));
    return 0;
}

int rb_providers_parse(const char *text, const struct rb_provider_sources *sources, bool webhooks,
                       struct rb_providers **ret_providers, struct rb_error *err)
{
    struct reader reader = {.sources = sources, .webhooks = webhooks, .err = err};
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
