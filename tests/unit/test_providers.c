#include "tests/unit/unit.h"

#include "common/providers.h"

/* Single quotes stand for double ones, so that JSON can be read here. */
static char *json(const char *text)
{
    char *copy = rb_xstrdup(text);

    for (char *c = copy; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

static int read_file(const char *path, char **ret_text, struct rb_error *err)
{
    if (strcmp(path, "/secrets/key") != 0 && strcmp(path, "/secrets/old-and-new") != 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot read the file '%s'", path);
    *ret_text = rb_xstrdup(path[9] == 'k' ? "key-of-a-file" : "old\nnew");
    return 0;
}

static const char *read_variable(const char *name)
{
    return strcmp(name, "TOKEN") == 0 ? "key-of-a-variable" : NULL;
}

static const struct rb_provider_sources sources = {read_file, read_variable};

static int parse_some(const char *text, bool webhooks, struct rb_providers **ret_providers, struct rb_error *err)
{
    RB_AUTO_TEXT *proper = json(text);

    return rb_providers_parse(proper, &sources, webhooks, ret_providers, err);
}

static int parse(const char *text, struct rb_providers **ret_providers, struct rb_error *err)
{
    return parse_some(text, true, ret_providers, err);
}

static const char all_kinds[] =
    "{'providers': ["
    "{'name': 'openai', 'api': {'kind': 'openai', 'base_url': 'https://gateway.example/v1//', 'key_file': '/secrets/key',"
    " 'timeout': '3s', 'requests_max': 2, 'poll_interval': '30s', 'poll_deadline': '2h'}, 'webhook': {'scheme': 'standard', 'body': 'openai', 'secret_file':"
    " '/secrets/old-and-new', 'tolerance': '1m'}},"
    "{'name': 'replicate', 'api': {'base_url': 'https://api.example:8443', 'kind': 'replicate', 'key_env': 'TOKEN'}},"
    "{'name': 'router', 'webhook': {'scheme': 'openrouter', 'body': 'openrouter', 'secret': 's1,s2'}},"
    "{'name': 'fal', 'webhook': {'scheme': 'fal', 'body': 'fal', 'jwks_url': 'https://keys.example/jwks.json',"
    " 'jwks_cache': '/var/cache/fal'}},"
    "{'name': 'ours', 'api': {'kind': 'generic', 'url': 'https://x.example/jobs/{id}?full=1', 'auth_header': 'X-Api-Key',"
    " 'key': 'k', 'status': '/state', 'completed': ['done', 'ok'], 'failed': ['error'], 'video_url': '/result/url'},"
    " 'webhook': {'scheme': 'plain', 'body': 'generic', 'secret': 's', 'signature_secret': 't', 'id': '/id',"
    " 'video_url': '/url'}}]}";

static void each_kind_is_read_as_it_is_written(void **state)
{
    struct rb_providers *providers = NULL;
    const struct rb_provider *it;

    (void)state;
    assert_works(parse(all_kinds, &providers, &err));
    assert_int_equal(providers->count, 5);
    it = rb_providers_find(providers, "openai");
    assert_int_equal(it->api.kind, RB_API_OPENAI);
    assert_string_equal(it->api.base_url, "https://gateway.example/v1");
    assert_string_equal(it->api.key, "key-of-a-file");
    assert_string_equal(it->api.auth_header, "Authorization");
    assert_true(it->api.timeout_ms == 3000 && it->api.requests_max == 2 && it->webhook.tolerance_ms == 60000);
    assert_true(it->api.poll_interval_ms == 30000 && it->api.poll_deadline_ms == 7200000);
    assert_int_equal(it->webhook.scheme, RB_SCHEME_STANDARD);
    assert_int_equal(it->webhook.body, RB_BODY_OPENAI);
    assert_string_equal(it->webhook.secret, "old\nnew");
    it = rb_providers_find(providers, "replicate");
    assert_string_equal(it->api.key, "key-of-a-variable");
    assert_true(it->api.timeout_ms == 10000 && it->api.requests_max == 8);
    assert_true(it->api.poll_interval_ms == 0 && it->api.poll_deadline_ms == 0);
    assert_int_equal(it->webhook.scheme, RB_SCHEME_NONE);
    assert_string_equal(rb_providers_find(providers, "fal")->webhook.jwks_url, "https://keys.example/jwks.json");
    assert_string_equal(rb_providers_find(providers, "fal")->webhook.jwks_cache, "/var/cache/fal");
    assert_null(rb_providers_find(providers, "nobody"));
    rb_providers_unref(providers);
}

static void a_generic_webhook_says_only_what_differs_from_its_api(void **state)
{
    struct rb_providers *providers = NULL;
    const struct rb_provider_fields *fields;

    (void)state;
    assert_works(parse(all_kinds, &providers, &err));
    fields = &rb_providers_find(providers, "ours")->webhook.fields;
    assert_string_equal(fields->id, "/id");
    assert_string_equal(fields->status, "/state");
    assert_string_equal(fields->video_url, "/url");
    assert_int_equal(fields->completed.count, 2);
    assert_string_equal(fields->completed.list[1], "ok");
    assert_string_equal(fields->failed.list[0], "error");
    assert_int_equal(fields->expired.count, 0);
    rb_providers_unref(providers);
}

static void a_program_that_takes_no_webhooks_does_not_look_at_their_secrets(void **state)
{
    struct rb_providers *providers = NULL;

    (void)state;
    assert_works(
        parse_some("{'providers': [{'name': 'a', 'api': {'kind': 'openai', 'base_url': 'https://h/v1', 'key': 'k'},"
                   " 'webhook': {'scheme': 'standard', 'body': 'openai', 'secret_file': '/not/there'}}]}",
                   false, &providers, &err));
    assert_string_equal(providers->list[0].webhook.secret, "");
    assert_string_equal(providers->list[0].api.key, "k");
    rb_providers_unref(providers);
}

static void a_mistake_is_named_with_its_place_and_what_was_expected(void **state)
{
#define API_OF(more)  "{'providers': [{'name': 'a', 'api': {" more "}}]}"
#define HOOK_OF(more) "{'providers': [{'name': 'a', 'webhook': {" more "}}]}"
#define FINE          "'kind': 'openai', 'base_url': 'https://h/v1'"
#define GENERIC       "'kind': 'generic', 'status': '/s', 'completed': ['c'], 'video_url': '/u', 'url': "
    static const struct {
        const char *text;
        const char *place, *words;
    } rows[] = {
        {"", "JSON", ""},
        {"{}", "/providers", "list"},
        {"{'provider': []}", "provider", "'providers'"},
        {"{'providers': {}}", "/providers", "list"},
        {"{'providers': [1]}", "/providers/0", "object"},
        {"{'providers': [{}]}", "/providers/0/name", "name"},
        {"{'providers': [{'name': 'A'}]}", "/providers/0/name", "a-z"},
        {"{'providers': [{'name': 'a/b'}]}", "/providers/0/name", "a-z"},
        {"{'providers': [{'name': 'a'}]}", "'a' at /providers/0", "an api, a webhook"},
        {"{'providers': [{'name': 'a', 'apis': {}}]}", "/providers/0/apis", "expected name, api and webhook"},
        {"{'providers': [{'name': 'a', 'api': 7}]}", "/providers/0/api", "object"},
        {"{'providers': [{'name': 'a', 'api': {" FINE "}}, {'name': 'a'}]}", "/providers/1/name", "another name"},
        {API_OF(""), "/providers/0/api/kind", "openai, replicate, generic"},
        {API_OF("'kind': 'sora'"), "/api/kind", "openai"},
        {API_OF("'kind': 'openai'"), "/api/base_url", "needed"},
        {API_OF("'kind': 'openai', 'base-url': 'https://h'"), "/api/base-url", "did you mean 'base_url'?"},
        {API_OF("'kind': 'openai', 'base_url': 'ftp://h'"), "/api/base_url", "URL"},
        {API_OF("'kind': 'openai', 'base_url': 'https://h/?a=b'"), "/api/base_url", "without a query"},
        {API_OF("'kind': 'openai', 'base_url': 5"), "/api/base_url", "URL"},
        {API_OF(FINE ", 'status': '/s'"), "/api/status", "no meaning"},
        {API_OF(FINE ", 'timeout': 10"), "/api/timeout", "\"100ms\" to \"5m\""},
        {API_OF(FINE ", 'timeout': '1ms'"), "/api/timeout", "\"100ms\""},
        {API_OF(FINE ", 'requests_max': 0"), "/api/requests_max", "1 to 256"},
        {API_OF(FINE ", 'poll_interval': '99ms'"), "/api/poll_interval", "100ms"},
        {API_OF(FINE ", 'poll_deadline': 7200"), "/api/poll_deadline", "1s"},
        {API_OF(FINE ", 'key': ''"), "/api/key", "text"},
        {API_OF(FINE ", 'key': 'a\\nb'"), "/api/key", "control"},
        {API_OF(FINE ", 'key': 'a', 'key_env': 'TOKEN'"), "/api/key_env", "once"},
        {API_OF(FINE ", 'key_env': 'NOT_SET'"), "/api/key_env", "not set"},
        {API_OF(FINE ", 'key_file': '/not/there'"), "/api/key_file", "/not/there"},
        {API_OF(FINE ", 'auth_header': 'a: b'"), "/api/auth_header", "header"},
        {API_OF(FINE ", 'quite_another_thing': 1"), "/api/quite_another_thing", "no such member"},
        {API_OF(GENERIC "'https://h/{id}/{id}'"), "/api/url", "{id} once"},
        {API_OF(GENERIC "'https://h/'"), "/api/url", "{id}"},
        {API_OF(GENERIC "'https://{id}.h/'"), "/api/url", "{id}"},
        {API_OF(GENERIC "'https://h/{id}/{user}'"), "/api/url", "{id}"},
        {API_OF("'kind': 'generic', 'url': 'https://h/{id}'"), "/api/status", "needed"},
        {API_OF(GENERIC "'https://h/{id}', 'id': 'data.id'"), "/api/id", "JSON pointer"},
        {API_OF(GENERIC "'https://h/{id}', 'id': '/a~2'"), "/api/id", "~"},
        {API_OF(GENERIC "'https://h/{id}', 'failed': 'no'"), "/api/failed", "list"},
        {API_OF(GENERIC "'https://h/{id}', 'failed': [1]"), "/api/failed", "list"},
        {HOOK_OF(""), "/webhook/scheme", "plain, standard, openrouter, fal"},
        {HOOK_OF("'scheme': 'standard'"), "/webhook/body", "replicate"},
        {HOOK_OF("'scheme': 'standard', 'body': 'openai'"), "/webhook/secret", "needed"},
        {HOOK_OF("'scheme': 'standard', 'body': 'openai', 'secret': ' ,\\n'"), "/webhook/secret", "empty"},
        {HOOK_OF("'scheme': 'fal', 'body': 'fal'"), "/webhook/jwks_url", "needed"},
        {HOOK_OF("'scheme': 'fal', 'body': 'fal', 'jwks_url': 'https://h/', 'secret': 's'"), "/webhook/secret",
         "no meaning"},
        {HOOK_OF("'scheme': 'standard', 'body': 'openai', 'secret': 's', 'signature_secret': 't'"),
         "/webhook/signature_secret", "no meaning"},
        {HOOK_OF("'scheme': 'plain', 'body': 'generic', 'secret': 's'"), "/webhook/id", "needed"},
        {HOOK_OF("'scheme': 'plain', 'body': 'generic', 'secret': 's', 'id': '/i'"), "/webhook/status", "needed"},
        {HOOK_OF("'scheme': 'plain', 'body': 'generic', 'secret': 's', 'id': '/i', 'status': '/s'"),
         "/webhook/completed", "needed"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_providers *providers = NULL;
        struct rb_error err = {0};

        if (parse(rows[i].text, &providers, &err) == 0)
            fail_msg("%s was taken", rows[i].text);
        assert_int_equal(err.code, RB_E_BAD_OPTION);
        if (strstr(err.message, rows[i].place) == NULL || strstr(err.message, rows[i].words) == NULL)
            fail_msg("%s: '%s' has not '%s' and '%s'", rows[i].text, err.message, rows[i].place, rows[i].words);
    }
}

static void no_message_has_a_secret_in_it(void **state)
{
    static const char *const rows[] = {
        API_OF(FINE ", 'key': 'canary\\n'"),
        API_OF(FINE ", 'key': 'canary', 'key_file': '/secrets/key'"),
        API_OF("'key': 'canary', 'kind': 'nonsense'"),
        HOOK_OF("'scheme': 'standard', 'body': 'openai', 'secret': ['canary']"),
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_providers *providers = NULL;
        struct rb_error err = {0};

        assert_int_equal(parse(rows[i], &providers, &err), -1);
        assert_null(strstr(err.message, "canary"));
    }
}

static void a_list_lives_as_long_as_somebody_keeps_it(void **state)
{
    struct rb_providers *providers = NULL;

    (void)state;
    assert_works(parse(all_kinds, &providers, &err));
    assert_ptr_equal(rb_providers_ref(providers), providers);
    rb_providers_unref(providers);
    assert_non_null(rb_providers_find(providers, "ours"));
    rb_providers_unref(providers);
    rb_providers_unref(NULL);
}

static void a_url_belongs_to_the_api_it_is_below(void **state)
{
    static const struct {
        const char *url, *name;
    } rows[] = {
        {"https://gateway.example/v1/videos/a/content", "openai"},
        {"https://GATEWAY.example:443/v1/videos/a", "openai"},
        {"https://api.example:8443/anything", "replicate"},
        {"http://gateway.example/v1/videos/a", NULL},
        {"https://gateway.example:8443/v1/videos/a", NULL},
        {"https://gateway.example/v12/videos/a", NULL},
        {"https://gateway.example/v1", NULL},
        {"https://gateway.example/v1/../other", NULL},
        {"https://gateway.example/v1/%2e%2e/other", NULL},
        {"https://gateway.example.evil.example/v1/videos/a", NULL},
        {"https://evil.example/https://gateway.example/v1/a", NULL},
        {"https://x.example/jobs/1", NULL},
    };
    struct rb_providers *providers = NULL;

    (void)state;
    assert_works(parse(all_kinds, &providers, &err));
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_URL url = {0};
        const struct rb_provider *found;

        assert_works(rb_url_parse(rows[i].url, &url, &err));
        found = rb_providers_of_url(providers, &url);
        assert_string_equal(found != NULL ? found->name : "nobody", rows[i].name != NULL ? rows[i].name : "nobody");
    }
    rb_providers_unref(providers);
}

static void the_key_goes_into_the_header_that_the_provider_reads(void **state)
{
    struct rb_providers *providers = NULL;
    char *line;

    (void)state;
    assert_works(parse(all_kinds, &providers, &err));
    line = rb_provider_auth_line(rb_providers_find(providers, "openai"));
    assert_string_equal(line, "Authorization: Bearer key-of-a-file");
    free(line);
    line = rb_provider_auth_line(rb_providers_find(providers, "ours"));
    assert_string_equal(line, "X-Api-Key: k");
    free(line);
    assert_null(rb_provider_auth_line(rb_providers_find(providers, "router")));
    rb_providers_unref(providers);
}

static void options_make_one_provider_without_a_file(void **state)
{
    const struct rb_providers_config config = {
        .openai_base_url = "https://h/v1", .openai_api_key = "k", .webhooks = true};
    const struct rb_providers_config hook = {.openai_webhook_secret = "whsec_AAAA", .webhooks = true};
    const struct rb_providers_config nothing = {.path = "", .openai_base_url = "", .openai_api_key = "k"};
    const struct rb_providers_config wrong = {.openai_base_url = "h", .webhooks = true};
    struct rb_providers *providers = NULL;

    (void)state;
    assert_works(rb_providers_load(&config, &providers, &err));
    assert_string_equal(rb_providers_find(providers, "openai")->api.key, "k");
    rb_providers_unref(providers);
    assert_works(rb_providers_load(&hook, &providers, &err));
    assert_int_equal(rb_providers_find(providers, "openai")->api.kind, RB_API_NONE);
    assert_string_equal(rb_providers_find(providers, "openai")->webhook.secret, "whsec_AAAA");
    rb_providers_unref(providers);
    assert_works(rb_providers_load(&nothing, &providers, &err));
    assert_int_equal(providers->count, 0);
    rb_providers_unref(providers);
    assert_fails(rb_providers_load(&wrong, &providers, &err), BAD_OPTION);
}

static void an_id_of_a_video_is_short_and_plain(void **state)
{
    char text[RB_PROVIDER_ID_BYTES + 1] = "";

    (void)state;
    assert_true(rb_provider_id_valid("video_abc-123/~"));
    assert_false(rb_provider_id_valid(NULL));
    assert_false(rb_provider_id_valid(""));
    assert_false(rb_provider_id_valid("a b"));
    assert_false(rb_provider_id_valid("a\n"));
    assert_false(rb_provider_id_valid("\xc3\xa9"));
    memset(text, 'a', RB_PROVIDER_ID_BYTES - 1);
    assert_true(rb_provider_id_valid(text));
    memset(text, 'a', RB_PROVIDER_ID_BYTES);
    assert_false(rb_provider_id_valid(text));
}

UNIT_MAIN(T(each_kind_is_read_as_it_is_written), T(a_generic_webhook_says_only_what_differs_from_its_api),
          T(a_program_that_takes_no_webhooks_does_not_look_at_their_secrets),
          T(a_mistake_is_named_with_its_place_and_what_was_expected), T(no_message_has_a_secret_in_it),
          T(a_list_lives_as_long_as_somebody_keeps_it), T(a_url_belongs_to_the_api_it_is_below),
          T(the_key_goes_into_the_header_that_the_provider_reads), T(options_make_one_provider_without_a_file),
          T(an_id_of_a_video_is_short_and_plain))
