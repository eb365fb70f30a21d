/*
 * providers.c — the providers that the operator has named.
 *
 * Way:  common
 */
#include "common/providers.h"

#include <openssl/crypto.h>

#include "common/json.h"
#include "common/textfile.h"

#define FILE_MAX_BYTES (1 << 20)

const char *rb_scheme_name(enum rb_scheme scheme)
{
    static const char *const names[] = {"none", "plain", "standard", "openrouter", "fal"};

    return names[scheme];
}

struct rb_providers *rb_providers_ref(struct rb_providers *providers)
{
    RB_ASSERT(providers->references > 0);
    providers->references++;
    return providers;
}

static void free_secret(char *secret)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

static void free_texts(struct rb_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->list[i]);
    free(texts->list);
}

static void free_fields(struct rb_provider_fields *fields)
{
    free(fields->id);
    free(fields->video_id);
    free(fields->status);
    free(fields->video_url);
    free(fields->error_code);
    free(fields->error_message);
    free(fields->progress);
    free(fields->expires_at);
    free(fields->completed_at);
    free_texts(&fields->completed);
    free_texts(&fields->failed);
    free_texts(&fields->expired);
}

void rb_providers_unref(struct rb_providers *providers)
{
    if (providers == NULL || --providers->references > 0)
        return;
    for (size_t i = 0; i < providers->count; i++) {
        struct rb_provider *provider = &providers->list[i];

        free(provider->api.base_url);
        free(provider->api.url);
        free_secret(provider->api.key);
        free(provider->api.auth_header);
        free_fields(&provider->api.fields);
        free_secret(provider->webhook.secret);
        free_secret(provider->webhook.signature_secret);
        free(provider->webhook.jwks_url);
        free(provider->webhook.jwks_cache);
        free_fields(&provider->webhook.fields);
    }
    free(providers->list);
    free(providers);
}

const struct rb_provider *rb_providers_find(const struct rb_providers *providers, const char *name)
{
    for (size_t i = 0; i < providers->count; i++)
        if (strcmp(providers->list[i].name, name) == 0)
            return &providers->list[i];
    return NULL;
}

static bool same_origin(const struct rb_url *one, const struct rb_url *other)
{
    return strcmp(one->scheme, other->scheme) == 0 && strcmp(one->host, other->host) == 0 && one->port == other->port;
}

/* Paths are compared as libcurl has them, after it has taken out "." and "..". */
static bool path_below(const struct rb_url *url, const struct rb_url *base)
{
    char *path = NULL, *prefix = NULL;
    bool below = curl_url_get(url->handle, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
                 curl_url_get(base->handle, CURLUPART_PATH, &prefix, 0) == CURLUE_OK;

    if (below) {
        size_t length = strlen(prefix);

        while (length > 0 && prefix[length - 1] == '/')
            length--;
        below = strncmp(path, prefix, length) == 0 && path[length] == '/' && strstr(path, "%2e") == NULL &&
                strstr(path, "%2E") == NULL;
    }
    curl_free(path);
    curl_free(prefix);
    return below;
}

const struct rb_provider *rb_providers_of_url(const struct rb_providers *providers, const struct rb_url *url)
{
    for (size_t i = 0; i < providers->count; i++) {
        const struct rb_provider *provider = &providers->list[i];
        RB_AUTO_URL base = {0};
        struct rb_error err;

        if (provider->api.base_url != NULL && rb_url_parse(provider->api.base_url, &base, &err) == 0 &&
            same_origin(url, &base) && path_below(url, &base))
            return provider;
    }
    return NULL;
}

char *rb_provider_auth_line(const struct rb_provider *provider)
{
    const struct rb_provider_api *api = &provider->api;

    if (api->key == NULL)
        return NULL;
    return rb_xprintf("%s: %s%s", api->auth_header, strcasecmp(api->auth_header, "Authorization") == 0 ? "Bearer " : "",
                      api->key);
}

bool rb_provider_id_valid(const char *text)
{
    size_t length = text != NULL ? strnlen(text, RB_PROVIDER_ID_BYTES) : 0;

    for (size_t i = 0; i < length; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return false;
    return length > 0 && length < RB_PROVIDER_ID_BYTES;
}

static const char *read_variable(const char *name)
{
    return getenv(name);
}

static const struct rb_provider_sources system_sources = {rb_textfile_read_secret, read_variable};

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The options make the same JSON that a file would have: there is one reader and one set of rules. */
static char *text_of_options(const struct rb_providers_config *config)
{
    RB_AUTO_JSON *provider = json_pack("{s:s}", "name", "openai");
    RB_AUTO_JSON *all = NULL;

    if (is_set(config->openai_base_url))
        json_object_set_new(provider, "api",
                            json_pack("{s:s, s:s, s:s*}", "kind", "openai", "base_url", config->openai_base_url, "key",
                                      is_set(config->openai_api_key) ? config->openai_api_key : NULL));
    if (is_set(config->openai_webhook_secret))
        json_object_set_new(provider, "webhook",
                            json_pack("{s:s, s:s, s:s}", "scheme", "standard", "body", "openai", "secret",
                                      config->openai_webhook_secret));
    if (json_object_size(provider) > 1)
        all = json_pack("{s:[O]}", "providers", provider);
    else
        all = json_pack("{s:[]}", "providers");
    return json_dumps(all, JSON_COMPACT);
}

int rb_providers_load(const struct rb_providers_config *config, struct rb_providers **ret_providers,
                      struct rb_error *err)
{
    char *text = NULL;
    int result;

    if (is_set(config->path))
        RB_TRY(rb_textfile_read(config->path, FILE_MAX_BYTES, &text, err));
    else
        text = text_of_options(config);
    if (text == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "an option of the provider 'openai' is no UTF-8 text");
    if (is_set(config->path) && (is_set(config->openai_base_url) || is_set(config->openai_webhook_secret)))
        result = rb_fail(err, RB_E_BAD_OPTION, 0,
                         "the options openai_base_url and openai_webhook_secret stand for a file of providers: with a "
                         "file, name 'openai' there");
    else
        result = rb_providers_parse(text, &system_sources, config->webhooks, ret_providers, err);
    free_secret(text);
    return result;
}
