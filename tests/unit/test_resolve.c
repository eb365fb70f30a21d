/* What a webhook and an API have said, put together. */
#include "tests/unit/unit.h"

#include "producer/resolve.h"

static char base_url[] = "https://gateway.example/v1";
static const struct rb_provider openai = {.name = "openai", .api = {.kind = RB_API_OPENAI, .base_url = base_url}};
static const struct rb_provider replicate = {.name = "r", .api = {.kind = RB_API_REPLICATE, .base_url = base_url}};
static const struct rb_provider deaf = {.name = "deaf"};

static struct rb_notice thin(enum rb_notice_status status)
{
    return (struct rb_notice){.status = status, .provider_video_id = rb_xstrdup("v/1"), .expires_at = RB_NO_LONG};
}

static void an_api_is_asked_only_for_what_is_missing(void **state)
{
    RB_AUTO_NOTICE notice = thin(RB_NOTICE_COMPLETED);

    (void)state;
    assert_true(rb_resolve_needed(&openai, &notice));
    assert_false(rb_resolve_needed(&deaf, &notice));
    assert_false(rb_resolve_needed(NULL, &notice));
    notice.video_url = rb_xstrdup("https://h/v");
    assert_false(rb_resolve_needed(&openai, &notice));
    notice.status = RB_NOTICE_FAILED;
    assert_true(rb_resolve_needed(&openai, &notice));
    notice.error_message = rb_xstrdup("no");
    assert_false(rb_resolve_needed(&openai, &notice));
}

static void the_api_knows_better(void **state)
{
    struct rb_adapter_answer completed = {
        .status = RB_ADAPTER_COMPLETED, .video_url = rb_xstrdup("https://h/v"), .expires_at_ms = 5};
    struct rb_adapter_answer failed = {.status = RB_ADAPTER_FAILED,
                                       .error_code = rb_xstrdup("c"),
                                       .error_message = rb_xstrdup("m"),
                                       .expires_at_ms = RB_NO_LONG};
    struct rb_adapter_answer expired = {.status = RB_ADAPTER_EXPIRED, .expires_at_ms = RB_NO_LONG};
    RB_AUTO_NOTICE one = thin(RB_NOTICE_COMPLETED), two = thin(RB_NOTICE_COMPLETED), three = thin(RB_NOTICE_COMPLETED);

    (void)state;
    assert_works(rb_resolve_merge(&openai, &completed, &one, &err));
    assert_string_equal(one.video_url, "https://h/v");
    assert_true(one.expires_at == 5);
    assert_works(rb_resolve_merge(&openai, &failed, &two, &err));
    assert_int_equal(two.status, RB_NOTICE_FAILED);
    assert_string_equal(two.error_code, "c");
    assert_string_equal(two.error_message, "m");
    assert_works(rb_resolve_merge(&openai, &expired, &three, &err));
    assert_int_equal(three.status, RB_NOTICE_FAILED);
    assert_string_equal(three.error_code, "expired");
}

static void without_an_answer_the_webhook_is_believed_as_far_as_it_goes(void **state)
{
    struct rb_adapter_answer late = {.status = RB_ADAPTER_IN_PROGRESS, .expires_at_ms = RB_NO_LONG};
    RB_AUTO_NOTICE one = thin(RB_NOTICE_COMPLETED), two = thin(RB_NOTICE_COMPLETED), three = thin(RB_NOTICE_COMPLETED),
                   four = thin(RB_NOTICE_FAILED);

    (void)state;
    assert_works(rb_resolve_merge(&openai, NULL, &one, &err));
    assert_string_equal(one.video_url, "https://gateway.example/v1/videos/v%2F1/content");
    assert_works(rb_resolve_merge(&openai, &late, &two, &err));
    assert_string_equal(two.video_url, "https://gateway.example/v1/videos/v%2F1/content");
    assert_fails(rb_resolve_merge(&replicate, NULL, &three, &err), PROVIDER_AWAY);
    assert_fails(rb_resolve_merge(&replicate, &late, &three, &err), PROVIDER_AWAY);
    assert_fails(rb_resolve_merge(&deaf, NULL, &three, &err), PROVIDER_AWAY);
    assert_fails(rb_resolve_merge(NULL, NULL, &three, &err), PROVIDER_AWAY);
    assert_works(rb_resolve_merge(&replicate, NULL, &four, &err));
    assert_int_equal(four.status, RB_NOTICE_FAILED);
}

UNIT_MAIN(T(an_api_is_asked_only_for_what_is_missing), T(the_api_knows_better),
          T(without_an_answer_the_webhook_is_believed_as_far_as_it_goes))
