/* Which origins may read the status API. */
#include "tests/unit/unit.h"

#include "producer/cors.h"

static void origins_are_allowed_byte_for_byte(void **state)
{
    struct rb_cors cors;

    (void)state;
    assert_works(rb_cors_parse("https://app.example.com, http://localhost:3000,, http://[::1]:8080", &cors, &err));
    assert_true(rb_cors_is_on(&cors));
    assert_int_equal(cors.count, 3);
    assert_string_equal(rb_cors_allow(&cors, "https://app.example.com"), "https://app.example.com");
    assert_string_equal(rb_cors_allow(&cors, "http://localhost:3000"), "http://localhost:3000");
    assert_string_equal(rb_cors_allow(&cors, "http://[::1]:8080"), "http://[::1]:8080");
    assert_null(rb_cors_allow(&cors, NULL));
    assert_null(rb_cors_allow(&cors, ""));
    assert_null(rb_cors_allow(&cors, "null"));
    assert_null(rb_cors_allow(&cors, "http://app.example.com"));
    assert_null(rb_cors_allow(&cors, "https://app.example.com:8443"));
    assert_null(rb_cors_allow(&cors, "https://app.example.com.evil.example"));
    assert_null(rb_cors_allow(&cors, "https://evil.example/https://app.example.com"));
    assert_null(rb_cors_allow(&cors, "HTTPS://app.example.com"));
    rb_cors_done(&cors);
}

static void a_star_allows_all_and_nothing_allows_none(void **state)
{
    struct rb_cors cors;

    (void)state;
    assert_works(rb_cors_parse("https://app.example.com,*", &cors, &err));
    assert_string_equal(rb_cors_allow(&cors, "https://other.example"), "*");
    rb_cors_done(&cors);
    assert_works(rb_cors_parse(" ", &cors, &err));
    assert_false(rb_cors_is_on(&cors));
    assert_null(rb_cors_allow(&cors, "https://app.example.com"));
    rb_cors_done(&cors);
}

static void what_is_no_origin_is_refused(void **state)
{
    static const char *const wrong[] = {
        "app.example.com",
        "https://",
        "://a",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "https://user@app.example.com",
        "https://*.example.com",
        "null",
        "https://a.example?x",
        "https://a.example#x",
        "https://b\xc3\xbc"
        "cher.example",
        "https://ok.example,nonsense",
    };
    RB_AUTO_TEXT *many = rb_xstrdup("");
    struct rb_cors cors;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_cors_parse(wrong[i], &cors, &err), BAD_OPTION);
    for (unsigned i = 0; i <= RB_CORS_ORIGINS_MAX; i++) {
        char *longer = rb_xprintf("%shttps://%u.example,", many, i);

        free(many);
        many = longer;
    }
    assert_fails(rb_cors_parse(many, &cors, &err), BAD_OPTION);
}

UNIT_MAIN(T(origins_are_allowed_byte_for_byte), T(a_star_allows_all_and_nothing_allows_none),
          T(what_is_no_origin_is_refused))
