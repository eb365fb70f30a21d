/* The pure files of the producer: verify, notice, view. */
#include "tests/unit/unit.h"

#include "producer/notice.h"
#include "producer/verify.h"
#include "producer/view.h"

#define ID "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab"

static const uint8_t key[RB_SECRETS_KEY_BYTES] = {1, 2, 3};

static void each_of_the_secrets_is_accepted(void **state)
{
    struct rb_secrets secrets;

    (void)state;
    assert_works(rb_secrets_init(" old ,\nnew secret\t\r\n", key, &secrets, &err));
    assert_int_equal(secrets.count, 2);
    assert_works(rb_verify_shared_secret("old", &secrets, &err));
    assert_works(rb_verify_shared_secret("new secret", &secrets, &err));
    rb_secrets_done(&secrets);
}

static void everything_else_is_refused_without_saying_it_again(void **state)
{
    static const char *const wrong[] = {"", "o", "ol", "olD", "old ", "oldx", "new", "old,new secret", "\xff"};
    struct rb_secrets secrets;
    struct rb_error trouble = {0};

    (void)state;
    assert_works(rb_secrets_init("old,new secret", key, &secrets, &err));
    assert_fails(rb_verify_shared_secret(NULL, &secrets, &err), BAD_SIGNATURE);
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        assert_int_equal(rb_verify_shared_secret(wrong[i], &secrets, &trouble), -1);
        assert_int_equal(trouble.code, RB_E_BAD_SIGNATURE);
        assert_true(strstr(trouble.message, "old") == NULL && strstr(trouble.message, "new secret") == NULL);
    }
    rb_secrets_done(&secrets);
}

static void no_secret_and_too_many_are_refused(void **state)
{
    struct rb_secrets secrets;

    (void)state;
    assert_fails(rb_secrets_init("", key, &secrets, &err), BAD_OPTION);
    assert_fails(rb_secrets_init(" ,\n, ", key, &secrets, &err), BAD_OPTION);
    assert_fails(rb_secrets_init("1,2,3,4,5,6,7,8,9", key, &secrets, &err), BAD_OPTION);
}

static int parse(const char *body, struct rb_notice *ret_notice, struct rb_error *err)
{
    static const struct rb_provider_webhook webhook = {.scheme = RB_SCHEME_PLAIN, .body = RB_BODY_PLAIN};

    return rb_notice_parse(&webhook, body, strlen(body), ret_notice, err);
}

static void a_completed_video_has_its_url(void **state)
{
    RB_AUTO_NOTICE notice = {0};

    (void)state;
    assert_works(
        parse("{\"videoId\":\"7F3A0C4E-9b1d-4c2f-8a5e-0123456789AB\",\"videoUrl\":\"https://example.com/v.mp4?a=b\","
              "\"status\":\"completed\",\"expiresAt\":1795372200,\"more\":{}}",
              &notice, &err));
    assert_string_equal(notice.video_id, ID);
    assert_string_equal(notice.video_url, "https://example.com/v.mp4?a=b");
    assert_int_equal(notice.status, RB_NOTICE_COMPLETED);
    assert_true(notice.expires_at == INT64_C(1795372200000));
}

static void a_failed_video_needs_no_url_and_may_say_why(void **state)
{
    RB_AUTO_NOTICE one = {0}, two = {0};

    (void)state;
    assert_works(
        parse("{\"videoId\":\"" ID "\",\"videoUrl\":null,\"status\":\"failed\",\"error\":\"refused\"}", &one, &err));
    assert_null(one.video_url);
    assert_string_equal(one.error_message, "refused");
    assert_true(one.expires_at == RB_NO_LONG);
    assert_works(parse("{\"videoId\":\"" ID "\",\"videoUrl\":\"nonsense\",\"status\":\"failed\","
                       "\"error\":{\"code\":\"moderation\",\"message\":\"no\"}}",
                       &two, &err));
    assert_string_equal(two.error_code, "moderation");
    assert_string_equal(two.error_message, "no");
}

static void the_message_names_the_member_that_is_wrong(void **state)
{
    static const struct {
        const char *body;
        const char *words;
    } rows[] = {
        {"{}", "videoId"},
        {"{\"videoId\":1}", "videoId"},
        {"{\"videoId\":\"x\"}", "videoId"},
        {"{\"videoId\":\"" ID "\"}", "status"},
        {"{\"videoId\":\"" ID "\",\"status\":\"done\"}", "status"},
        {"{\"videoId\":\"" ID "\",\"status\":true}", "status"},
        {"{\"videoId\":\"" ID "\",\"status\":\"completed\"}", "videoUrl"},
        {"{\"videoId\":\"" ID "\",\"status\":\"completed\",\"videoUrl\":null}", "videoUrl"},
        {"{\"videoId\":\"" ID "\",\"status\":\"completed\",\"videoUrl\":\"\"}", "videoUrl"},
        {"{\"videoId\":\"" ID "\",\"status\":\"completed\",\"videoUrl\":\"ftp://e/\"}", "videoUrl"},
        {"{\"videoId\":\"" ID "\",\"status\":\"completed\",\"videoUrl\":\"http://u:p@e/\"}", "videoUrl"},
        {"{\"videoId\":\"" ID "\",\"status\":\"failed\",\"expiresAt\":\"soon\"}", "expiresAt"},
        {"{\"videoId\":\"" ID "\",\"status\":\"failed\",\"expiresAt\":-1}", "expiresAt"},
        {"{\"videoId\":\"" ID "\",\"status\":\"failed\",\"expiresAt\":9223372036854775807}", "expiresAt"},
        {"[]", "object"},
        {"{\"videoId\":\"" ID "\",\"videoId\":\"" ID "\",\"status\":\"failed\"}", "JSON"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_notice notice = {0};
        struct rb_error err = {0};

        assert_int_equal(parse(rows[i].body, &notice, &err), -1);
        if (strstr(err.message, rows[i].words) == NULL)
            fail_msg("%s: '%s' does not name '%s'", rows[i].body, err.message, rows[i].words);
    }
}

static void people_read_what_happens_in_plain_words(void **state)
{
    static const struct {
        struct rb_view view;
        const char *status, *storage, *message;
    } rows[] = {
        {{.state = NULL}, "waiting", "none", "Waiting for video..."},
        {{.state = "waiting"}, "waiting", "none", "Waiting for video..."},
        {{.state = NULL, .video_url = "u"}, "completed", "none", "Available at the original URL"},
        {{.state = "processing", .video_url = "u"}, "completed", "processing", "Processing video storage..."},
        {{.state = "stored", .video_url = "u"}, "completed", "stored", "Stored"},
        {{.state = "deleted"}, "completed", "deleted", "Deleted"},
        {{.state = "failed", .error_class = "generation_failed", .error_message = "no"},
         "failed",
         "none",
         "The video could not be generated: no"},
        {{.state = "failed", .error_class = "source", .video_url = "u"},
         "completed",
         "failed",
         "The video could not be stored: no reason was given. The original URL may still work."},
        {{.state = "failed", .error_class = "source", .error_code = "expired", .error_message = "x509: stale"},
         "completed",
         "failed",
         "The video could not be stored: the URL expired before the video could be fetched. The original URL is kept, but opens no more."},
        {{.state = "processing",
          .error_class = "source",
          .error_code = "source_busy",
          .error_message = "HTTP 503 (request 7f3a)",
          .next_try_at = "2026-11-22T18:30:05.123Z"},
         "completed",
         "processing",
         "Not stored yet: the source answered 408, 425 or 5xx. Trying again at 18:30:05 UTC."},
        {{.state = "processing", .error_class = "storage", .error_code = "store_full", .error_message = "ENOSPC"},
         "completed",
         "processing",
         "The storage takes no videos now: the store has no room left. Trying again; nothing is lost."},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_JSON *object = rb_view_json(&rows[i].view);

        assert_string_equal(rb_json_text(object, "status"), rows[i].status);
        assert_string_equal(rb_json_text(object, "storage"), rows[i].storage);
        assert_string_equal(rb_json_text(object, "message"), rows[i].message);
    }
}

UNIT_MAIN(T(each_of_the_secrets_is_accepted), T(everything_else_is_refused_without_saying_it_again),
          T(no_secret_and_too_many_are_refused), T(a_completed_video_has_its_url),
          T(a_failed_video_needs_no_url_and_may_say_why), T(the_message_names_the_member_that_is_wrong),
          T(people_read_what_happens_in_plain_words))
