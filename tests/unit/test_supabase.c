#include "tests/unit/unit.h"

#include "common/errmap.h"
#include "consumer/store_supabase_bucket.h"
#include "consumer/supabase_answer.h"
#include "consumer/supabase_key.h"

/* {"role":"service_role","exp":2000}, and the like. */
#define SERVICE "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIiwiZXhwIjoyMDAwfQ.c2ln"
#define ANON    "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiIsImV4cCI6MjAwMH0.c2ln"
#define NO_ROLE "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJzdXBhYmFzZSJ9.c2ln"

static void keys_are_told_apart(void **state)
{
    enum rb_supabase_key kind = RB_SUPABASE_JWT;

    (void)state;
    assert_works(rb_supabase_key_look("sb_secret_abc", 1000, &kind, &err));
    assert_int_equal(kind, RB_SUPABASE_SECRET);
    assert_works(rb_supabase_key_look(SERVICE, 1000, &kind, &err));
    assert_int_equal(kind, RB_SUPABASE_JWT);
    assert_fails(rb_supabase_key_look(SERVICE, 2000, &kind, &err), BAD_OPTION);
}

static void what_may_not_store_is_refused(void **state)
{
    static const char *const keys[] = {
        "",
        ANON,
        NO_ROLE,
        "sb_publishable_abc",
        "sbp_abc",
        "abc",
        "eyJ",
        "eyJ.a",
        "eyJ..b",
        "eyJ.!!!!.b",
        "eyJ.eyJ9.b",
        "eyJ.bnVsbA.b",
        "eyJ.a.b",
        "sb_secret_a b",
        "sb_secret_a\n",
        "sb_secret_a\r\nx: y",
        "sb_secret_\xc3\xa9",
    };
    enum rb_supabase_key kind;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(keys); i++) {
        struct rb_error err = {0};

        assert_int_equal(rb_supabase_key_look(keys[i], 1000, &kind, &err), -1);
        assert_int_equal(err.code, RB_E_BAD_OPTION);
        assert_non_null(strstr(err.message, "supabase_key"));
        assert_true(strlen(keys[i]) < 5 || strstr(err.message, keys[i]) == NULL);
    }
}

static void base64_has_its_padding(void **state)
{
    static const struct {
        const char *text, *encoded;
    } rows[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfd", "//79"}};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_TEXT *encoded = rb_supabase_base64(rows[i].text);

        assert_string_equal(encoded, rows[i].encoded);
    }
}

static const struct rb_supabase_subject subject = {"write", "videos", "u/v.mp4"};

static void judge(struct rb_supabase_result *result, long status, const char *text)
{
    RB_AUTO_BUFFER body = {0};

    rb_buffer_add(&body, text, strlen(text));
    rb_supabase_answer_init(result);
    rb_supabase_answer_judge(result, &subject, status, &body);
}

#define REFUSED(meaning, error, message, code)                                                                         \
    "{\"statusCode\":\"" meaning "\",\"error\":\"" error "\",\"message\":\"" message "\",\"code\":\"" code "\"}"

/* The recorded answers, those of older servers, and what stands before a server. */
static void answers_mean_what_they_say(void **state)
{
    static const struct {
        long status;
        const char *body;
        int meaning;
        enum rb_code code;
    } rows[] = {
        {200, "{\"Key\":\"videos/a\",\"Id\":\"x\"}", 200, RB_E_NONE},
        {200, "not what we expect", 200, RB_E_NONE},
        {201, "", 201, RB_E_NONE},
        {204, "", 204, RB_E_NONE},
        {400, REFUSED("409", "Duplicate", "The resource already exists", "KeyAlreadyExists"), 409, RB_E_STORE_AWAY},
        {400, REFUSED("409", "Duplicate", "The resource already exists", "ResourceAlreadyExists"), 409,
         RB_E_STORE_AWAY},
        {400, "{\"statusCode\":\"409\",\"error\":\"Duplicate\",\"message\":\"x\"}", 409, RB_E_STORE_AWAY},
        {400, REFUSED("413", "Payload too large", "x", "EntityTooLarge"), 413, RB_E_TOO_LARGE},
        {400, "{\"statusCode\":\"413\",\"error\":\"Payload too large\",\"message\":\"x\"}", 413, RB_E_TOO_LARGE},
        {400, REFUSED("415", "invalid_mime_type", "x", "InvalidMimeType"), 415, RB_E_STORE_REFUSED},
        {400, REFUSED("404", "Bucket not found", "x", "NoSuchBucket"), 404, RB_E_STORE_REFUSED},
        {400, REFUSED("404", "not_found", "Object not found", "NoSuchKey"), 404, RB_E_STORE_AWAY},
        {400, REFUSED("403", "Unauthorized", "new row violates row-level security policy", "AccessDenied"), 403,
         RB_E_STORE_DENIED},
        {400, REFUSED("423", "resource_locked", "x", "ResourceLocked"), 423, RB_E_STORE_BUSY},
        {400, "{\"statusCode\":\"503\",\"error\":\"acquiring_lock_timeout\",\"message\":\"x\"}", 503, RB_E_STORE_BUSY},
        {400, REFUSED("503", "database_read_only", "x", "DatabaseReadOnly"), 503, RB_E_STORE_AWAY},
        {544, REFUSED("544", "database_timeout", "x", "DatabaseTimeout"), 544, RB_E_STORE_AWAY},
        {429, REFUSED("429", "too_many_connections", "x", "SlowDown"), 429, RB_E_STORE_BUSY},
        {500, REFUSED("500", "Internal", "Internal Server Error", "InternalError"), 500, RB_E_STORE_AWAY},
        {400, "{\"error\":\"Bad Request\",\"message\":\"Client Error\",\"statusCode\":400}", 400, RB_E_STORE_ANSWER},
        {400, REFUSED("400", "InvalidKey", "Invalid key: x", "InvalidKey"), 400, RB_E_OBJECT_REFUSED},
        {400, "{\"error\":\"Bad Request\",\"code\":\"FST_ERR_BAD_URL\",\"message\":\"x\",\"statusCode\":400}", 400,
         RB_E_OBJECT_REFUSED},
        {400, REFUSED("400", "Error", "headers must have required property 'authorization'", "InvalidRequest"), 400,
         RB_E_STORE_REFUSED},
        {400, REFUSED("400", "InvalidParameter", "invalid input syntax for type json", "InvalidParameter"), 400,
         RB_E_STORE_ANSWER},
        {400, "Invalid key: u1/b\303\251.mp4", 400, RB_E_OBJECT_REFUSED},
        {404, "Bucket not found", 404, RB_E_STORE_REFUSED},
        {416, REFUSED("416", "invalid_range", "x", "InvalidRange"), 416, RB_E_STORE_ANSWER},
        {404, "{\"message\":\"Route POST:/x not found\",\"error\":\"Not Found\",\"statusCode\":404}", 404,
         RB_E_STORE_REFUSED},
        {431, "", 431, RB_E_STORE_ANSWER},
        {409, "Upload-Offset conflict", 409, RB_E_STORE_AWAY},
        {404, "The file for this url was not found", 404, RB_E_STORE_REFUSED},
        {410, "gone", 410, RB_E_STORE_AWAY},
        {413, "Maximum size exceeded\n", 413, RB_E_TOO_LARGE},
        {403, "new row violates row-level security policy", 403, RB_E_STORE_DENIED},
        {412, "Tus-Resumable Required", 412, RB_E_STORE_ANSWER},
        {401, "{\"message\":\"Invalid API key\"}", 401, RB_E_STORE_DENIED},
        {402, "{\"message\":\"exceed_storage_size_quota\"}", 402, RB_E_STORE_FULL},
        {402, "<html>Payment Required</html>", 402, RB_E_STORE_FULL},
        {400, "{\"statusCode\":\"402\",\"error\":\"exceed_storage_size_quota\",\"message\":\"x\"}", 402,
         RB_E_STORE_FULL},
        {502, "<html>Bad Gateway</html>", 502, RB_E_STORE_AWAY},
        {503, "upstream connect error", 503, RB_E_STORE_BUSY},
        {301, "", 301, RB_E_STORE_REFUSED},
        {400, "{\"statusCode\":\"99999999999999999999\"}", 400, RB_E_STORE_ANSWER},
        {400, "{\"statusCode\":\"200\"}", 400, RB_E_STORE_ANSWER},
        {400, "{\"statusCode\":[],\"code\":7,\"error\":{},\"message\":null}", 400, RB_E_STORE_ANSWER},
        {400, "{", 400, RB_E_STORE_ANSWER},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_supabase_result result;

        judge(&result, rows[i].status, rows[i].body);
        assert_int_equal(result.meaning, rows[i].meaning);
        assert_string_equal(rb_code_name(result.error.code), rb_code_name(rows[i].code));
        rb_supabase_answer_done(&result);
    }
}

static void refusals_say_what_helps(void **state)
{
    static const struct {
        long status;
        const char *body, *words;
    } rows[] = {
        {400, REFUSED("403", "Unauthorized", "new row violates row-level security policy", "AccessDenied"),
         "needs a policy"},
        {400, REFUSED("403", "Unauthorized", "Invalid Compact JWS", "AccessDenied"), "use the service_role JWT"},
        {400, REFUSED("400", "Error", "headers must have required property 'authorization'", "InvalidRequest"),
         "use the service_role JWT"},
        {400, REFUSED("404", "Bucket not found", "Bucket not found", "NoSuchBucket"), "run setup"},
        {413, "Maximum size exceeded", "cannot write 'videos/u/v.mp4': the store answers 413: Maximum size exceeded"},
        {400, "Invalid key: u1/b.mp4", "see key_template"},
        {402, "", "over its quota"},
        {502, "<html>secret page</html>", "the store answers 502"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_supabase_result result;

        judge(&result, rows[i].status, rows[i].body);
        assert_non_null(strstr(result.error.message, rows[i].words));
        assert_null(strstr(result.error.message, "<html>"));
        rb_supabase_answer_done(&result);
    }
}

static void take(struct rb_supabase_result *result, const char *line)
{
    rb_supabase_answer_take_header(result, line, strlen(line));
}

/* Keys are sent to where the options say, whatever an answer says. */
static void of_a_location_only_the_last_name_counts(void **state)
{
    static const struct {
        const char *line, *id;
    } rows[] = {
        {"Location: https://evil.example/storage/v1/upload/resumable/dmlkZW9z-_A=\r\n", "dmlkZW9z-_A="},
        {"location: http://127.0.0.1:1/upload/resumable/abc\n", "abc"},
        {"LOCATION:abc\r\n", "abc"},
        {"Location: https://x/upload/resumable/\r\n", NULL},
        {"Location: https://x/upload/resumable/a%2fb\r\n", NULL},
        {"Location: https://x/a?b=c\r\n", NULL},
        {"Location: https://x/..\r\n", NULL},
        {"Location:\r\n", NULL},
        {"Locations: https://x/abc\r\n", NULL},
        {"no colon", NULL},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_supabase_result result;

        rb_supabase_answer_init(&result);
        take(&result, rows[i].line);
        assert_true((rows[i].id == NULL) == (result.upload_id == NULL));
        if (rows[i].id != NULL)
            assert_string_equal(result.upload_id, rows[i].id);
        rb_supabase_answer_done(&result);
    }
}

static void offsets_are_numbers_or_unknown(void **state)
{
    struct rb_supabase_result result;

    (void)state;
    rb_supabase_answer_init(&result);
    assert_int_equal(result.offset, -1);
    take(&result, "Upload-Offset: 6291456\r\n");
    take(&result, "upload-length:9000000\r\n");
    take(&result, "sb-request-id: abc\r\n");
    assert_int_equal(result.offset, 6291456);
    assert_int_equal(result.length, 9000000);
    assert_string_equal(result.request_id, "abc");
    take(&result, "Upload-Offset: -1\r\n");
    assert_int_equal(result.offset, -1);
    take(&result, "Upload-Offset: 12x\r\n");
    assert_int_equal(result.offset, -1);
    take(&result, "Upload-Offset:\r\n");
    assert_int_equal(result.offset, -1);
}

static void info_is_read_as_far_as_it_is_there(void **state)
{
    struct rb_supabase_result result;
    struct rb_supabase_info info;

    (void)state;
    judge(&result, 200, "{\"size\":9000000,\"metadata\":{\"sha256\":\"abc\",\"reelbus-put\":\"id\",\"n\":7}}");
    rb_supabase_answer_info(&result, &info);
    assert_int_equal(info.bytes, 9000000);
    assert_string_equal(info.sha256, "abc");
    assert_string_equal(info.put_id, "id");
    rb_supabase_answer_done(&result);
    judge(&result, 200, "{\"size\":\"9\",\"metadata\":null}");
    rb_supabase_answer_info(&result, &info);
    assert_int_equal(info.bytes, -1);
    assert_string_equal(info.sha256, "");
    rb_supabase_answer_done(&result);
    judge(&result, 200, "");
    rb_supabase_answer_info(&result, &info);
    assert_int_equal(info.bytes, -1);
    rb_supabase_answer_done(&result);
}

static void buckets_fit_or_say_why_not(void **state)
{
    static const struct {
        const char *body, *link, *words; /* words: NULL when it fits */
        int64_t largest;
    } rows[] = {
        {"{\"public\":true,\"file_size_limit\":null,\"allowed_mime_types\":null}", "public", NULL, 0},
        {"{\"public\":true,\"file_size_limit\":52428800,\"allowed_mime_types\":[\"video/mp4\"]}", "public", NULL,
         52428800},
        {"{\"public\":false,\"allowed_mime_types\":[\"image/png\",\"video/*\"]}", "signed", NULL, 0},
        {"{\"public\":false}", "authenticated", NULL, 0},
        {"{\"public\":true}", "signed", NULL, 0},
        {"{\"public\":false}", "public", "make it public", 0},
        {"{\"public\":true,\"allowed_mime_types\":[\"image/*\",7]}", "public", "does not take video/mp4", 0},
        {"{}", "public", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_JSON *body = rb_json_parse_trusted(rows[i].body, strlen(rows[i].body));
        struct rb_error err = {0};
        int64_t largest = -1;
        int result = supabase_bucket_fits(body, "videos", rows[i].link, RB_FORMAT_BIT(MP4), &largest, &err);

        assert_int_equal(result, rows[i].words == NULL ? 0 : -1);
        if (rows[i].words == NULL)
            assert_int_equal(largest, rows[i].largest);
        else
            assert_non_null(strstr(err.message, rows[i].words));
    }
}

static void a_bucket_for_webm_takes_both(void **state)
{
    const unsigned both = RB_FORMAT_BIT(MP4) | RB_FORMAT_BIT(WEBM);
    RB_AUTO_TEXT *text = supabase_bucket_request("videos", "public", both);
    RB_AUTO_JSON *made = rb_json_parse_trusted(text, strlen(text));
    RB_AUTO_TEXT *plain_text = supabase_bucket_request("videos", "public", RB_FORMAT_BIT(MP4));
    RB_AUTO_JSON *plain = rb_json_parse_trusted(plain_text, strlen(plain_text));
    int64_t largest;

    (void)state;
    assert_works(supabase_bucket_fits(made, "videos", "public", both, &largest, &err));
    assert_works(supabase_bucket_fits(plain, "videos", "public", RB_FORMAT_BIT(MP4), &largest, &err));
    assert_fails(supabase_bucket_fits(plain, "videos", "public", both, &largest, &err), STORE_REFUSED);
}

static void a_bucket_takes_images_when_variants_are_wanted_and_may_do_without(void **state)
{
    const unsigned all = RB_FORMAT_BIT(MP4) | RB_FORMATS_OF_IMAGES;
    RB_AUTO_TEXT *text = supabase_bucket_request("videos", "public", all);
    RB_AUTO_TEXT *plain_text = supabase_bucket_request("videos", "public", RB_FORMAT_BIT(MP4));
    RB_AUTO_JSON *plain = rb_json_parse_trusted(plain_text, strlen(plain_text));
    int64_t largest;

    (void)state;
    assert_non_null(strstr(text, "[\"video/mp4\",\"image/webp\",\"image/jpeg\",\"image/png\"]"));
    assert_works(supabase_bucket_fits(plain, "videos", "public", all, &largest, &err));
}

UNIT_MAIN(T(keys_are_told_apart), T(what_may_not_store_is_refused), T(base64_has_its_padding),
          T(answers_mean_what_they_say), T(refusals_say_what_helps), T(of_a_location_only_the_last_name_counts),
          T(offsets_are_numbers_or_unknown), T(info_is_read_as_far_as_it_is_there), T(buckets_fit_or_say_why_not),
          T(a_bucket_for_webm_takes_both), T(a_bucket_takes_images_when_variants_are_wanted_and_may_do_without))
