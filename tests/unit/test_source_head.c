#include "tests/unit/unit.h"

#include "consumer/source_head.h"

#define MAX_BYTES 1000000

/* Read a head, given as text with a line feed behind each line, as libcurl would hand it out. */
static int read_head(struct rb_source_head *head, const char *text, struct rb_error *err)
{
    rb_source_head_init(head);
    while (*text != '\0') {
        size_t bytes = strcspn(text, "\n");
        RB_AUTO_TEXT *line = rb_xprintf("%.*s\r\n", (int)bytes, text);

        RB_TRY(rb_source_head_line(head, line, strlen(line), err));
        text += bytes + (text[bytes] == '\n');
    }
    return 0;
}

static int check(const char *text, struct rb_error *err)
{
    struct rb_source_head head;
    int result = read_head(&head, text, err);

    if (result == 0)
        result = rb_source_head_check(&head, MAX_BYTES, err);
    rb_source_head_done(&head);
    return result;
}

static int check_rest(const char *text, int64_t at, int64_t total, const char *validator, struct rb_error *err)
{
    const struct rb_source_rest rest = {at, total, validator};
    struct rb_source_head head;
    int result = read_head(&head, text, err);

    if (result == 0)
        result = rb_source_head_check_rest(&head, &rest, err);
    rb_source_head_done(&head);
    return result;
}

static void what_a_head_says_is_read_from_its_lines(void **state)
{
    struct rb_source_head head;

    (void)state;
    assert_works(read_head(&head,
                           "HTTP/1.1 206 Partial Content\nCONTENT-length:  100 \nETag: \"a b\"\nContent-Range: bytes "
                           "100-199/1000\nLocation: /x\nContent-Type: Video/MP4\n\n",
                           &err));
    assert_int_equal(head.status, 206);
    assert_true(head.complete);
    assert_int_equal(head.length, 100);
    assert_string_equal(head.etag, "\"a b\"");
    assert_int_equal(head.first, 100);
    assert_int_equal(head.last, 199);
    assert_int_equal(head.total, 1000);
    assert_string_equal(head.location, "/x");
    assert_string_equal(head.content_type, "video/mp4");
    rb_source_head_done(&head);
}

static void interim_answers_are_forgotten_and_trailers_overlooked(void **state)
{
    struct rb_source_head head;

    (void)state;
    assert_works(read_head(&head,
                           "HTTP/1.1 103 Early Hints\nContent-Length: 7\nLocation: /a\n\nHTTP/1.1 200 OK\n"
                           "Content-Length: 5\n\nContent-Length: 9\nLocation: /b\nLocation: /c\n\n",
                           &err));
    assert_int_equal(head.status, 200);
    assert_int_equal(head.length, 5);
    assert_null(head.location);
    rb_source_head_done(&head);
}

static void what_is_no_part_may_say_of_parts_what_it_likes(void **state)
{
    struct rb_source_head head;

    (void)state;
    assert_works(read_head(&head, "HTTP/1.1 416 Range Not Satisfiable\nContent-Range: bytes */100\n\n", &err));
    rb_source_head_done(&head);
    assert_works(read_head(&head, "HTTP/1.1 200 OK\nContent-Range: bytes 0-\nContent-Length: 5\n\n", &err));
    assert_int_equal(head.length, 5);
    rb_source_head_done(&head);
}

static void what_no_sane_server_says_is_refused(void **state)
{
    static const char *const wrong[] = {
        "HTTP/1.1 999 Strange\n\n",
        "HTTP/1.1 99\n\n",
        "HTTP/1.1\n\n",
        "HTTP/1.1 abc\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n",
        "HTTP/1.1 200 OK\nContent-Length: -1\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 0x10\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 5, 5\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 99999999999999999999\n\n",
        "HTTP/1.1 206 OK\nContent-Range: bytes 5\n\n",
        "HTTP/1.1 206 OK\nContent-Range: bytes 1-2/3\nContent-Range: bytes 1-2/3\n\n",
        "HTTP/1.1 206 OK\nContent-Range: items 1-2/3\n\n",
    };
    struct rb_source_head head;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        assert_fails(read_head(&head, wrong[i], &err), SOURCE_ANSWER);
        rb_source_head_done(&head);
    }
    assert_fails(read_head(&head, "HTTP/1.1 302 Found\nLocation: /a\nLocation: /a\n\n", &err), SOURCE_REDIRECTS);
    rb_source_head_done(&head);
}

static void the_same_length_twice_is_one(void **state)
{
    (void)state;
    assert_works(check("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 5\n\n", &err));
}

static void heads_do_not_go_on_for_ever(void **state)
{
    struct rb_source_head head;
    struct rb_error trouble = {0};
    int result = 0;
    size_t lines = 0;

    (void)state;
    rb_source_head_init(&head);
    while (result == 0 && lines++ < RB_SOURCE_HEAD_MAX_BYTES)
        result =
            rb_source_head_line(&head, lines % 2 ? "HTTP/1.1 103 Hints\r\n" : "\r\n", lines % 2 ? 20 : 2, &trouble);
    assert_int_equal(result, -1);
    assert_int_equal(trouble.code, RB_E_SOURCE_ANSWER);
    rb_source_head_done(&head);
}

static void encodings_are_refused_however_they_are_spelled(void **state)
{
    static const char *const wrong[] = {
        "Content-Encoding: gzip\n",
        "content-encoding : GZIP\n",
        "Content-Encoding: identity\nContent-Encoding: br\n",
        "Transfer-Encoding: gzip, chunked\n",
        "Transfer-Encoding: gzip\nTransfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked, chunked\n",
        "Transfer-Encoding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, gzip\n",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        RB_AUTO_TEXT *text = rb_xprintf("HTTP/1.1 200 OK\n%s\n", wrong[i]);

        assert_fails(check(text, &err), SOURCE_ENCODED);
    }
    assert_works(check("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\nContent-Encoding: identity\n\n", &err));
    assert_works(check("HTTP/1.1 200 OK\nContent-Encoding: aws-chunked\n\n", &err));
}

static void pages_and_giants_are_told_by_the_head(void **state)
{
    (void)state;
    assert_fails(check("HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8\n\n", &err), SOURCE_PAGE);
    assert_fails(check("HTTP/1.1 200 OK\nContent-Type: application/problem+json\n\n", &err), SOURCE_PAGE);
    assert_fails(check("HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Encoding: gzip\n\n", &err), SOURCE_PAGE);
    assert_fails(check("HTTP/1.1 200 OK\nContent-Length: 1000001\n\n", &err), TOO_LARGE);
    assert_fails(check("HTTP/1.1 200 OK\nContent-Length: 9223372036854775807\n\n", &err), TOO_LARGE);
    assert_works(check("HTTP/1.1 200 OK\nContent-Length: 1000000\nContent-Type: text/plain\n\n", &err));
}

static const char *validator(const char *lines)
{
    static struct rb_source_head head;
    RB_AUTO_TEXT *text = rb_xprintf("HTTP/1.1 200 OK\n%s\n", lines);

    rb_source_head_done(&head);
    assert_works(read_head(&head, text, &err));
    return rb_source_head_validator(&head);
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define OLD  "Sun, 06 Nov 1994 08:48:37 GMT"
#define NEW  "Sun, 06 Nov 1994 08:48:38 GMT"

static void only_strong_validators_count(void **state)
{
    (void)state;
    assert_string_equal(validator("ETag: \"x\"\n"), "\"x\"");
    assert_string_equal(validator(DATE "Last-Modified: " OLD "\nETag: \"x\"\n"), "\"x\"");
    assert_string_equal(validator(DATE "Last-Modified: " OLD "\n"), OLD);
    assert_null(validator(""));
    assert_null(validator("ETag: W/\"x\"\n"));
    assert_null(validator("ETag: x\n"));
    assert_null(validator("ETag: \"x\ry\"\n"));
    assert_null(validator(DATE "Last-Modified: " OLD "\r\tx\n"));
    assert_null(validator("ETag: \"\n"));
    assert_null(validator(DATE "Last-Modified: " OLD "\nETag: W/\"x\"\n"));
    assert_null(validator(DATE "Last-Modified: " NEW "\n"));
    assert_null(validator("Last-Modified: " OLD "\n"));
    assert_null(validator(DATE "Last-Modified: yesterday\n"));
    assert_null(validator("ETag: \"x\"\nAccept-Ranges: none\n"));
}

static void the_rest_that_was_asked_for_is_taken(void **state)
{
    (void)state;
    assert_works(check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/100\nContent-Length: 60\nETag: \"x\"\n\n", 40,
                            100, "\"x\"", &err));
    assert_works(check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/100\n\n", 40, -1, "\"x\"", &err));
    assert_works(check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/*\n\n", 40, 100, "\"x\"", &err));
    assert_works(
        check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/100\nLast-Modified: " OLD "\n\n", 40, 100, OLD, &err));
}

static void the_rest_of_something_else_is_not(void **state)
{
    static const char *const others[] = {
        "Content-Range: bytes 41-99/100\n",
        "Content-Range: bytes 0-99/100\n",
        "Content-Range: bytes 40-98/100\n",
        "Content-Range: bytes 40-98/*\n",
        "Content-Range: bytes 40-99/100\nContent-Length: 61\n",
        "Content-Type: multipart/byteranges; boundary=x\n",
        "",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(others); i++) {
        RB_AUTO_TEXT *text = rb_xprintf("HTTP/1.1 206 P\n%s\n", others[i]);

        assert_fails(check_rest(text, 40, 100, "\"x\"", &err), SOURCE_ANSWER);
    }
    assert_fails(check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/*\n\n", 40, -1, "\"x\"", &err), SOURCE_ANSWER);
}

static void a_video_that_has_changed_is_known(void **state)
{
    (void)state;
    assert_fails(check_rest("HTTP/1.1 200 OK\nContent-Length: 100\n\n", 40, 100, "\"x\"", &err), SOURCE_CHANGED);
    assert_fails(check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/100\nETag: \"y\"\n\n", 40, 100, "\"x\"", &err),
                 SOURCE_CHANGED);
    assert_fails(check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-100/101\n\n", 40, 100, "\"x\"", &err),
                 SOURCE_CHANGED);
    assert_fails(
        check_rest("HTTP/1.1 206 P\nContent-Range: bytes 40-99/100\nLast-Modified: " NEW "\n\n", 40, 100, OLD, &err),
        SOURCE_CHANGED);
}

static void a_cut_is_noticed_by_http_with_a_length_or_chunks(void **state)
{
    struct rb_source_head head;

    (void)state;
    assert_works(read_head(&head, "HTTP/1.1 200 OK\nContent-Length: 5\n\n", &err));
    assert_true(rb_source_head_is_framed(&head));
    assert_works(read_head(&head, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", &err));
    assert_true(rb_source_head_is_framed(&head));
    assert_works(read_head(&head, "HTTP/1.1 200 OK\nConnection: close\n\n", &err));
    assert_false(rb_source_head_is_framed(&head));
}

static void damaged_heads_do_no_harm(void **state)
{
    static const char text[] = "HTTP/1.1 206 Partial\nContent-Length: 60\nContent-Range: bytes 40-99/100\nETag: \"x\"\n"
                               "Location: /a\nTransfer-Encoding: chunked\nContent-Type: video/mp4\n" DATE "\n";
    uint64_t chance = 1;

    (void)state;
    for (int i = 0; i < 30000; i++) {
        char damaged[sizeof(text)];
        struct rb_error err = {0};

        memcpy(damaged, text, sizeof(text));
        for (int changes = 0; changes <= i % 4; changes++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            damaged[(chance >> 33) % (sizeof(text) - 1)] = (char)(chance >> 56);
        }
        if (check(damaged, &err) == 0)
            (void)check_rest(damaged, 40, 100, "\"x\"", &err);
    }
}

UNIT_MAIN(T(damaged_heads_do_no_harm), T(what_a_head_says_is_read_from_its_lines),
          T(interim_answers_are_forgotten_and_trailers_overlooked), T(what_is_no_part_may_say_of_parts_what_it_likes),
          T(what_no_sane_server_says_is_refused), T(the_same_length_twice_is_one), T(heads_do_not_go_on_for_ever),
          T(encodings_are_refused_however_they_are_spelled), T(pages_and_giants_are_told_by_the_head),
          T(only_strong_validators_count), T(the_rest_that_was_asked_for_is_taken),
          T(the_rest_of_something_else_is_not), T(a_video_that_has_changed_is_known),
          T(a_cut_is_noticed_by_http_with_a_length_or_chunks))
