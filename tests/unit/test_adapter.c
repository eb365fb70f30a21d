/* Asking a provider's API, and understanding its answer. */
#include "tests/unit/unit.h"

#include "common/adapter.h"

#define ID "video_123"

static const char providers_text[] =
    "{\"providers\":["
    "{\"name\":\"openai\",\"api\":{\"kind\":\"openai\",\"base_url\":\"https://a.example/v1/\",\"key\":\"k1\"}},"
    "{\"name\":\"replicate\",\"api\":{\"kind\":\"replicate\",\"base_url\":\"https://r.example/v1\"}},"
    "{\"name\":\"own\",\"api\":{\"kind\":\"generic\",\"url\":\"https://o.example/jobs?job={id}&full=1\","
    "\"auth_header\":\"X-Key\",\"key\":\"k3\",\"status\":\"/job/state\",\"video_url\":\"/job/files/0\","
    "\"error_code\":\"/job/why/id\",\"error_message\":\"/job/why/text\",\"progress\":\"/job/done~1all\","
    "\"expires_at\":\"/job/until\",\"completed\":[\"done\",\"2\",\"true\"],\"failed\":[\"broken\"],\"expired\":[\"gone\"]}},"
    "{\"name\":\"silent\",\"webhook\":{\"scheme\":\"plain\",\"body\":\"plain\",\"secret\":\"s\"}}]}";

enum { OPENAI, REPLICATE, OWN, SILENT };

static struct rb_providers *load(void)
{
    static const struct rb_provider_sources sources = {NULL, NULL};
    struct rb_providers *providers = NULL;

    assert_works(rb_providers_parse(providers_text, &sources, true, &providers, &err));
    return providers;
}

static int parse(const struct rb_providers *providers, int which, const char *body,
                 struct rb_adapter_answer *ret_answer, struct rb_error *err)
{
    return rb_adapter_parse(&providers->list[which], ID, 200, body, strlen(body), ret_answer, err);
}

static void each_kind_asks_at_its_own_place_with_its_key(void **state)
{
    static const struct {
        const char *url, *auth;
    } rows[] = {
        {"https://a.example/v1/videos/video_123", "Authorization: Bearer k1"},
        {"https://r.example/v1/predictions/video_123", NULL},
        {"https://o.example/jobs?job=video_123&full=1", "X-Key: k3"},
    };
    struct rb_providers *providers = load();

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_ADAPTER_REQUEST request = {0};

        assert_works(rb_adapter_request(&providers->list[i], ID, &request, &err));
        assert_string_equal(request.method, "GET");
        assert_string_equal(request.url, rows[i].url);
        assert_string_equal(request.headers[0], "Accept: application/json");
        if (rows[i].auth == NULL)
            assert_null(request.headers[1]);
        else
            assert_string_equal(request.headers[1], rows[i].auth);
        assert_null(request.headers[2]);
    }
    rb_providers_unref(providers);
}

static void an_id_cannot_lead_elsewhere(void **state)
{
    static const char *const wrong[] = {"", ".", "..", "a b", "a\nb", "a\x7f", "\xc3\xa9"};
    struct rb_providers *providers = load();
    RB_AUTO_ADAPTER_REQUEST request = {0};
    char long_id[RB_PROVIDER_ID_BYTES + 1];

    (void)state;
    assert_works(rb_adapter_request(&providers->list[OPENAI], "../admin?x=/#%41&", &request, &err));
    assert_string_equal(request.url, "https://a.example/v1/videos/..%2Fadmin%3Fx%3D%2F%23%2541%26");
    rb_adapter_request_done(&request);
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_adapter_request(&providers->list[OPENAI], wrong[i], &request, &err), BAD_REQUEST);
    memset(long_id, 'a', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    assert_fails(rb_adapter_request(&providers->list[OPENAI], long_id, &request, &err), BAD_REQUEST);
    assert_fails(rb_adapter_request(&providers->list[SILENT], ID, &request, &err), UNKNOWN_PROVIDER);
    rb_providers_unref(providers);
}

#define NO RB_NO_LONG

struct understood {
    int which;
    const char *body;
    enum rb_adapter_status status;
    const char *url, *code, *message;
    int64_t progress, expires_at_ms, completed_at_ms;
};

static void assert_text(const char *found, const char *wanted, const char *body)
{
    if ((found == NULL) != (wanted == NULL) || (found != NULL && strcmp(found, wanted) != 0))
        fail_msg("%s: found '%s', wanted '%s'", body, found ? found : "-", wanted ? wanted : "-");
}

static void assert_understood(const struct understood *rows, size_t count)
{
    struct rb_providers *providers = load();

    for (size_t i = 0; i < count; i++) {
        const struct understood *row = &rows[i];
        RB_AUTO_ADAPTER_ANSWER answer = {0};
        struct rb_error err = {0};

        if (parse(providers, row->which, row->body, &answer, &err) < 0)
            fail_msg("%s: %s", row->body, err.message);
        assert_text(rb_adapter_status_name(answer.status), rb_adapter_status_name(row->status), row->body);
        assert_text(answer.video_url, row->url, row->body);
        assert_text(answer.error_code, row->code, row->body);
        assert_text(answer.error_message, row->message, row->body);
        assert_true(answer.progress == row->progress);
        assert_true(answer.expires_at_ms == row->expires_at_ms);
        assert_true(answer.completed_at_ms == row->completed_at_ms);
    }
    rb_providers_unref(providers);
}

static void openai_compatible_answers_are_understood(void **state)
{
    static const char content[] = "https://a.example/v1/videos/video_123/content";
    static const struct understood rows[] = {
        {OPENAI, "{\"status\":\"queued\"}", RB_ADAPTER_QUEUED, NULL, NULL, NULL, NO, NO, NO},
        {OPENAI, "{\"id\":\"x\",\"status\":\"pending\",\"progress\":0}", RB_ADAPTER_QUEUED, NULL, NULL, NULL, 0, NO,
         NO},
        {OPENAI, "{\"status\":\"in_progress\",\"progress\":41.7,\"error\":null,\"more\":[{}]}", RB_ADAPTER_IN_PROGRESS,
         NULL, NULL, NULL, 41, NO, NO},
        {OPENAI, "{\"status\":\"a new word\",\"progress\":\"half\"}", RB_ADAPTER_IN_PROGRESS, NULL, NULL, NULL, NO, NO,
         NO},
        {OPENAI, "{\"status\":\"completed\",\"progress\":100,\"completed_at\":1795372100,\"expires_at\":1795372200}",
         RB_ADAPTER_COMPLETED, content, NULL, NULL, 100, 1795372200000, 1795372100000},
        {OPENAI, "{\"status\":\"COMPLETED\",\"expires_at\":null,\"progress\":250}", RB_ADAPTER_COMPLETED, content, NULL,
         NULL, 100, NO, NO},
        {OPENAI, "{\"status\":\"completed\",\"url\":\"https://cdn.example/v.mp4?s=1\"}", RB_ADAPTER_COMPLETED,
         "https://cdn.example/v.mp4?s=1", NULL, NULL, NO, NO, NO},
        {OPENAI, "{\"status\":\"completed\",\"url\":\"/v1/x\",\"unsigned_urls\":[1,\"https://b.example/v\"]}",
         RB_ADAPTER_COMPLETED, "https://b.example/v", NULL, NULL, NO, NO, NO},
        {OPENAI, "{\"status\":\"completed\",\"data\":[{\"url\":\"https://c.example/v\"}]}", RB_ADAPTER_COMPLETED,
         "https://c.example/v", NULL, NULL, NO, NO, NO},
        {OPENAI, "{\"status\":\"completed\",\"url\":\"file:///etc/passwd\"}", RB_ADAPTER_COMPLETED, content, NULL, NULL,
         NO, NO, NO},
        {OPENAI, "{\"status\":\"failed\",\"error\":{\"code\":\"moderation\",\"message\":\"no\"},\"progress\":-3}",
         RB_ADAPTER_FAILED, NULL, "moderation", "no", 0, NO, NO},
        {OPENAI, "{\"status\":\"failed\",\"error\":\"text alone\"}", RB_ADAPTER_FAILED, NULL, NULL, "text alone", NO,
         NO, NO},
        {OPENAI, "{\"status\":\"failed\",\"error\":[1]}", RB_ADAPTER_FAILED, NULL, NULL, NULL, NO, NO, NO},
        {OPENAI, "{\"status\":\"cancelled\"}", RB_ADAPTER_FAILED, NULL, "cancelled", "the provider says 'cancelled'",
         NO, NO, NO},
        {OPENAI, "{\"status\":\"expired\"}", RB_ADAPTER_EXPIRED, NULL, "expired", "the provider says 'expired'", NO, NO,
         NO},
    };

    (void)state;
    assert_understood(rows, RB_COUNT(rows));
}

static void predictions_of_replicate_are_understood(void **state)
{
    static const struct understood rows[] = {
        {REPLICATE, "{\"status\":\"starting\",\"output\":null,\"logs\":\"\"}", RB_ADAPTER_QUEUED, NULL, NULL, NULL, NO,
         NO, NO},
        {REPLICATE, "{\"status\":\"processing\"}", RB_ADAPTER_IN_PROGRESS, NULL, NULL, NULL, NO, NO, NO},
        {REPLICATE,
         "{\"status\":\"succeeded\",\"output\":\"https://d.example/o.mp4\",\"completed_at\":\"2026-11-22T18:30:00.123456Z\"}",
         RB_ADAPTER_COMPLETED, "https://d.example/o.mp4", NULL, NULL, NO, NO, 1795372200123},
        {REPLICATE, "{\"status\":\"succeeded\",\"output\":[\"https://d.example/0.mp4\",\"https://d.example/1.mp4\"]}",
         RB_ADAPTER_COMPLETED, "https://d.example/0.mp4", NULL, NULL, NO, NO, NO},
        {REPLICATE, "{\"status\":\"succeeded\",\"output\":{\"url\":\"https://d.example/u.mp4\"}}", RB_ADAPTER_COMPLETED,
         "https://d.example/u.mp4", NULL, NULL, NO, NO, NO},
        {REPLICATE, "{\"status\":\"succeeded\",\"output\":null,\"data_removed\":true}", RB_ADAPTER_EXPIRED, NULL,
         "data_removed", "the provider has removed the output", NO, NO, NO},
        {REPLICATE, "{\"status\":\"failed\",\"error\":\"CUDA out of memory\"}", RB_ADAPTER_FAILED, NULL, NULL,
         "CUDA out of memory", NO, NO, NO},
        {REPLICATE, "{\"status\":\"canceled\",\"error\":null}", RB_ADAPTER_FAILED, NULL, "canceled",
         "the provider says 'canceled'", NO, NO, NO},
    };

    (void)state;
    assert_understood(rows, RB_COUNT(rows));
}

static void generic_answers_are_read_by_the_operators_pointers(void **state)
{
    static const struct understood rows[] = {
        {OWN, "{\"job\":{\"state\":\"queued\"}}", RB_ADAPTER_QUEUED, NULL, NULL, NULL, NO, NO, NO},
        {OWN, "{\"job\":{\"state\":\"rendering\",\"done/all\":30}}", RB_ADAPTER_IN_PROGRESS, NULL, NULL, NULL, 30, NO,
         NO},
        {OWN, "{\"job\":{\"state\":\"Done\",\"files\":[\"https://o.example/v\"],\"until\":1795372200123}}",
         RB_ADAPTER_COMPLETED, "https://o.example/v", NULL, NULL, NO, 1795372200123, NO},
        {OWN, "{\"job\":{\"state\":2,\"files\":[\"https://o.example/v\"],\"until\":\"2026-11-22T18:30:00Z\"}}",
         RB_ADAPTER_COMPLETED, "https://o.example/v", NULL, NULL, NO, 1795372200000, NO},
        {OWN, "{\"job\":{\"state\":true,\"files\":[{\"url\":\"https://o.example/v\"}],\"until\":\"soon\"}}",
         RB_ADAPTER_COMPLETED, "https://o.example/v", NULL, NULL, NO, NO, NO},
        {OWN, "{\"job\":{\"state\":\"broken\",\"why\":{\"id\":\"E7\",\"text\":\"too long\"}}}", RB_ADAPTER_FAILED, NULL,
         "E7", "too long", NO, NO, NO},
        {OWN, "{\"job\":{\"state\":\"gone\"}}", RB_ADAPTER_EXPIRED, NULL, NULL, NULL, NO, NO, NO},
    };

    (void)state;
    assert_understood(rows, RB_COUNT(rows));
}

static void statuses_of_http_have_their_meaning(void **state)
{
    static const struct {
        long status;
        enum rb_code code;
    } rows[] = {
        {429, RB_E_PROVIDER_BUSY},   {500, RB_E_PROVIDER_BUSY},   {503, RB_E_PROVIDER_BUSY},
        {401, RB_E_PROVIDER_DENIED}, {403, RB_E_PROVIDER_DENIED}, {404, RB_E_PROVIDER_LACKS},
        {410, RB_E_PROVIDER_LACKS},  {204, RB_E_PROVIDER_ANSWER}, {301, RB_E_PROVIDER_ANSWER},
        {400, RB_E_PROVIDER_ANSWER},
    };
    struct rb_providers *providers = load();
    struct rb_adapter_answer answer;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_error err = {0};

        assert_int_equal(rb_adapter_parse(&providers->list[OPENAI], ID, rows[i].status, "{\"status\":\"queued\"}", 19,
                                          &answer, &err),
                         -1);
        assert_string_equal(rb_code_name(err.code), rb_code_name(rows[i].code));
    }
    rb_providers_unref(providers);
}

static void what_cannot_be_understood_is_refused(void **state)
{
    static const struct {
        int which;
        const char *body;
    } rows[] = {
        {OPENAI, ""},
        {OPENAI, "null"},
        {OPENAI, "[]"},
        {OPENAI, "\"completed\""},
        {OPENAI, "<html>"},
        {OPENAI, "{}"},
        {OPENAI, "{\"status\":null}"},
        {OPENAI, "{\"status\":3}"},
        {OPENAI, "{\"status\":[\"completed\"]}"},
        {OPENAI, "{\"status\":\"completed\",\"status\":\"queued\"}"},
        {OPENAI, "{\"status\":\"completed\"}x"},
        {OPENAI, "{\"status\":\"comp\\u0000leted\"}"},
        {REPLICATE, "{\"status\":\"succeeded\"}"},
        {REPLICATE, "{\"status\":\"succeeded\",\"output\":\"data:video/mp4;base64,AAAA\"}"},
        {REPLICATE, "{\"status\":\"succeeded\",\"output\":[[\"https://d.example/o.mp4\"]]}"},
        {OWN, "{\"job\":[]}"},
        {OWN, "{\"job\":{\"state\":null}}"},
        {OWN, "{\"job\":{\"state\":1.5}}"},
        {OWN, "{\"job\":{\"state\":\"done\",\"files\":[]}}"},
        {OWN, "{\"job\":{\"state\":\"done\",\"files\":[\"http://u:p@e.example/\"]}}"},
    };
    struct rb_providers *providers = load();
    struct rb_adapter_answer answer;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_fails(parse(providers, rows[i].which, rows[i].body, &answer, &err), PROVIDER_ANSWER);
    rb_providers_unref(providers);
}

static void size_and_depth_of_an_answer_are_bounded(void **state)
{
    struct rb_providers *providers = load();
    RB_AUTO_BUFFER deep = {0}, large = {0};
    RB_AUTO_ADAPTER_ANSWER answer = {0};

    (void)state;
    rb_buffer_print(&deep, "{\"status\":\"queued\",\"x\":");
    for (int i = 0; i < 32; i++)
        rb_buffer_print(&deep, "[");
    for (int i = 0; i < 32; i++)
        rb_buffer_print(&deep, "]");
    rb_buffer_print(&deep, "}");
    assert_fails(parse(providers, OPENAI, deep.bytes, &answer, &err), PROVIDER_ANSWER);

    /* a prompt or a log may be long */
    rb_buffer_print(&large, "{\"status\":\"queued\",\"logs\":\"%0*d\"}", RB_ADAPTER_ANSWER_MAX_BYTES - 64, 0);
    assert_works(parse(providers, OPENAI, large.bytes, &answer, &err));
    rb_buffer_print(&large, "%*s", 64, "");
    assert_fails(parse(providers, OPENAI, large.bytes, &answer, &err), PROVIDER_ANSWER);
    rb_providers_unref(providers);
}

static void a_long_error_is_cut_at_a_whole_character(void **state)
{
    struct rb_providers *providers = load();
    RB_AUTO_BUFFER body = {0};
    RB_AUTO_ADAPTER_ANSWER answer = {0};

    (void)state;
    rb_buffer_print(&body, "{\"status\":\"failed\",\"error\":\"x");
    for (int i = 0; i < 1000; i++)
        rb_buffer_print(&body, "\xc3\xa9");
    rb_buffer_print(&body, "\"}");
    assert_works(parse(providers, OPENAI, body.bytes, &answer, &err));
    assert_int_equal(strlen(answer.error_message), 1023);
    rb_providers_unref(providers);
}

static void variants_are_where_the_kind_has_them(void **state)
{
    struct rb_providers *providers = load();
    RB_AUTO_TEXT *thumbnail = rb_adapter_variant_url(&providers->list[OPENAI], ID, RB_VARIANT_THUMBNAIL);
    RB_AUTO_TEXT *spritesheet = rb_adapter_variant_url(&providers->list[OPENAI], "a/b&c", RB_VARIANT_SPRITESHEET);

    (void)state;
    assert_string_equal(thumbnail, "https://a.example/v1/videos/video_123/content?variant=thumbnail");
    assert_string_equal(spritesheet, "https://a.example/v1/videos/a%2Fb%26c/content?variant=spritesheet");
    assert_true(rb_adapter_has_variants(&providers->list[OPENAI]));
    assert_null(rb_adapter_variant_url(&providers->list[OPENAI], "..", RB_VARIANT_THUMBNAIL));
    for (int i = REPLICATE; i <= SILENT; i++) {
        assert_false(rb_adapter_has_variants(&providers->list[i]));
        assert_null(rb_adapter_variant_url(&providers->list[i], ID, RB_VARIANT_THUMBNAIL));
    }
    rb_providers_unref(providers);
}

UNIT_MAIN(T(each_kind_asks_at_its_own_place_with_its_key), T(an_id_cannot_lead_elsewhere),
          T(openai_compatible_answers_are_understood), T(predictions_of_replicate_are_understood),
          T(generic_answers_are_read_by_the_operators_pointers), T(statuses_of_http_have_their_meaning),
          T(what_cannot_be_understood_is_refused), T(size_and_depth_of_an_answer_are_bounded),
          T(a_long_error_is_cut_at_a_whole_character), T(variants_are_where_the_kind_has_them))
