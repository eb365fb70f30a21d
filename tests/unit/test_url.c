#include "tests/unit/unit.h"

#include "common/url.h"

static int parse(const char *text, struct rb_error *err)
{
    RB_AUTO_URL url = {0};

    return rb_url_parse(text, &url, err);
}

static void the_parts_of_a_url_are_told(void **state)
{
    RB_AUTO_URL url = {0};

    (void)state;
    assert_works(rb_url_parse("https://Media.Example.com:8443/a/b.mp4?x=1#y", &url, &err));
    assert_string_equal(url.scheme, "https");
    assert_string_equal(url.host, "media.example.com");
    assert_int_equal(url.port, 8443);
}

static void ports_follow_the_scheme(void **state)
{
    RB_AUTO_URL plain = {0}, secure = {0}, six = {0};

    (void)state;
    assert_works(rb_url_parse("http://example.com", &plain, &err));
    assert_int_equal(plain.port, 80);
    assert_works(rb_url_parse("HTTPS://example.com/", &secure, &err));
    assert_int_equal(secure.port, 443);
    assert_works(rb_url_parse("https://[2606:4700::1]/", &six, &err));
    assert_string_equal(six.host, "[2606:4700::1]");
}

static void what_is_no_plain_http_url_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "example.com/a.mp4",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http:/example.com/",
        "http:example.com",
        "http://",
        "http:///a",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\n",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:x/",
        "http://ex\xc3\xa4mple.com/",
        "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com/",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        struct rb_error err = {0};

        if (parse(wrong[i], &err) != -1)
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(err.code, RB_E_URL_INVALID);
    }
}

static void the_length_is_bounded(void **state)
{
    char *text = rb_xprintf("http://example.com/%0*d", RB_URL_MAX_BYTES, 0);

    (void)state;
    assert_fails(parse(text, &err), URL_INVALID);
    text[RB_URL_MAX_BYTES] = '\0';
    assert_works(parse(text, &err));
    free(text);
}

static void what_is_logged_of_a_url_holds_no_secret(void **state)
{
    char safe[RB_URL_SAFE_BYTES];
    RB_AUTO_TEXT *large = rb_xprintf("https://example.com/%0*d?token=hush", 5000, 0);

    (void)state;
    assert_string_equal(rb_url_safe("https://u:hush@example.com/v.mp4?X-Amz-Signature=hush#hush", safe),
                        "https://example.com/v.mp4");
    assert_string_equal(rb_url_safe("https://example.com?sig=a@hush", safe), "https://example.com");
    assert_string_equal(rb_url_safe("http://e/\n\xff", safe), "http://e/??");
    assert_null(strstr(rb_url_safe(large, safe), "hush"));
    assert_string_equal(rb_url_safe("", safe), "");
}

static void what_others_say_is_shown_without_the_secrets_of_its_urls(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"no URL in it? none", "no URL in it? none"},
        {"a \"https://u:hush@e.com/v.mp4?sig=hush\" is one", "a \"https://e.com/v.mp4\" is one"},
        {"http://a/?hush http://b#hush\thttp://c", "http://a/ http://b\thttp://c"},
        {"postgres://me:hush@h", "postgres://h"},
        {"://", "://"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_TEXT *text = rb_xstrdup(rows[i].text);

        assert_string_equal(rb_url_hide(text), rows[i].shown);
    }
}

static void a_host_has_one_spelling(void **state)
{
    static const struct {
        const char *text, *host;
    } rows[] = {
        {"http://127.1/", "127.0.0.1"},
        {"http://0x7f.0.0.1/", "127.0.0.1"},
        {"http://2130706433/", "127.0.0.1"},
        {"http://0177.0.0.1./", "127.0.0.1"},
        {"http://Example.COM./", "example.com"},
        {"http://127%2e0%2e0%2e1/", "127.0.0.1"},
        {"http://[fe80::1%25eth0]/", "[fe80::1]"},
        {"http://1.2.3.4.a/", "1.2.3.4.a"},
        {"http://a_b.example.com/", "a_b.example.com"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_URL url = {0};

        assert_works(rb_url_parse(rows[i].text, &url, &err));
        assert_string_equal(url.host, rows[i].host);
    }
}

static void a_host_that_could_be_no_name_is_refused(void **state)
{
    static const char *const wrong[] = {"http://1.2.3.4.5/", "http://1.2.3.256/", "http://4294967296/",
                                        "http://a.0x/",      "http://-a.com/",    "http://xn--/",
                                        "http://a..b/",      "http://.a/",        "http://a,b/",
                                        "http://a%00b/",     "http://a%20b/",     "http://a%2fb/"};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(parse(wrong[i], &err), URL_INVALID);
}

static void what_an_answer_refers_to_is_joined_with_its_url(void **state)
{
    static const struct {
        const char *text, *host;
    } right[] = {{"/v.mp4", "a.com"}, {"v.mp4?x", "a.com"}, {"//b.com/", "b.com"}, {"https://c.com", "c.com"}};
    static const char *const wrong[] = {
        "", "/\\b.com", "/a b", "/\xff", "ftp://b.com/", "http://u@b.com/", "javascript:x()"};
    RB_AUTO_URL base = {0};

    (void)state;
    assert_works(rb_url_parse("http://a.com/x/y?z#w", &base, &err));
    for (size_t i = 0; i < RB_COUNT(right); i++) {
        RB_AUTO_URL url = {0};

        assert_works(rb_url_join(&base, right[i].text, &url, &err));
        assert_string_equal(url.host, right[i].host);
    }
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        RB_AUTO_URL url = {0};

        assert_fails(rb_url_join(&base, wrong[i], &url, &err), URL_INVALID);
    }
}

UNIT_MAIN(T(a_host_has_one_spelling), T(a_host_that_could_be_no_name_is_refused),
          T(what_an_answer_refers_to_is_joined_with_its_url), T(the_parts_of_a_url_are_told),
          T(ports_follow_the_scheme), T(what_is_no_plain_http_url_is_refused), T(the_length_is_bounded),
          T(what_is_logged_of_a_url_holds_no_secret), T(what_others_say_is_shown_without_the_secrets_of_its_urls))
