/*
 * test_httpd_head.c — heads and chunked bodies of requests, honest and hostile.
 *
 * Way:  tests
 */
#include "common/buffer.h"
#include "common/httpd_chunks.h"
#include "common/httpd_head.h"
#include "unit.h"

#define LINE "GET / HTTP/1.1\r\n"
#define HOST LINE "Host: x\r\n"

struct text {
    const char *bytes;
    size_t count;
    unsigned status;
};
#define TEXT(text, status)                                                                                             \
    {                                                                                                                  \
        text, sizeof(text) - 1, status                                                                                 \
    }

/* Gives 0 for a good head, 1 for one that is not whole, else the status to refuse it with. */
static unsigned judge(const char *bytes, size_t count, struct rb_head *ret_head, char *room)
{
    struct rb_head_search search = {0};
    size_t length = 0;
    unsigned status = 0;

    switch (rb_head_find(bytes, count, &search, &length, &status)) {
    case RB_POLL_WAIT:
        return 1;
    case RB_POLL_FAILED:
        return status;
    default:
        break;
    }
    memcpy(room, bytes, length);
    return rb_head_parse(room, length, ret_head);
}

static void a_head_is_taken_apart(void **state)
{
    static const char bytes[] =
        "\r\nPOST /a%20b?c=1&d HTTP/1.1\r\nhOST:x:1\r\nX-A: \t b c \t\r\nX-Empty:\r\nX-A: second\r\n"
        "Content-Length: 12\r\nExpect: 100-Continue\r\n\r\nrest";
    struct rb_head head;
    char room[512];

    (void)state;
    assert_int_equal(judge(bytes, sizeof(bytes) - 1, &head, room), 0);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.target, "/a%20b");
    assert_string_equal(head.query, "c=1&d");
    assert_string_equal(rb_head_value(&head, "Host"), "x:1");
    assert_string_equal(rb_head_value(&head, "x-a"), "b c");
    assert_string_equal(rb_head_value(&head, "X-Empty"), "");
    assert_null(rb_head_value(&head, "X-B"));
    assert_int_equal(head.count, 6);
    assert_int_equal(head.body_bytes, 12);
    assert_true(head.keep_alive && head.expects_continue && !head.chunked && !head.http_1_0);
}

static void a_connection_is_kept_as_its_client_asks(void **state)
{
    static const struct {
        const char *bytes;
        bool kept;
    } rows[] = {
        {HOST "\r\n", true},
        {HOST "Connection: close\r\n\r\n", false},
        {HOST "Connection: foo , Close\r\n\r\n", false},
        {HOST "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", false},
        {HOST "Connection: close\r\nConnection: keep-alive\r\n\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct rb_head head;
        char room[256];

        assert_int_equal(judge(rows[i].bytes, strlen(rows[i].bytes), &head, room), 0);
        assert_int_equal(head.keep_alive, rows[i].kept);
    }
}

static const struct text hostile[] = {
    /* where the request ends must have one answer */
    TEXT(HOST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    TEXT(HOST "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
    TEXT(HOST "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", 400),
    TEXT(HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n", 400),
    TEXT(HOST "Content-Length: 2, 2\r\n\r\n", 400),
    TEXT(HOST "Content-Length: +2\r\n\r\n", 400),
    TEXT(HOST "Content-Length: -2\r\n\r\n", 400),
    TEXT(HOST "Content-Length: 0x2\r\n\r\n", 400),
    TEXT(HOST "Content-Length: 2 2\r\n\r\n", 400),
    TEXT(HOST "Content-Length:\r\n\r\n", 400),
    TEXT(HOST "Content-Length: 9999999999999999999\r\n\r\n", 413),
    TEXT(HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    TEXT(HOST "Transfer-Encoding: xchunked\r\n\r\n", 501),
    TEXT(HOST "Transfer-Encoding: chunked, identity\r\n\r\n", 501),
    TEXT(HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    /* lines */
    TEXT(HOST "X-A: b\r\n c\r\n\r\n", 400),
    TEXT(HOST "Transfer-Encoding:\r\n chunked\r\n\r\n", 400),
    TEXT(HOST " X-A: b\r\n\r\n", 400),
    TEXT(LINE " Host: x\r\n\r\n", 400),
    TEXT("GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    TEXT(LINE "Host: x\n\r\n", 400),
    TEXT(HOST "\n", 400),
    TEXT("\n\n", 400),
    TEXT(HOST "X-A: b\rX-B: c\r\n\r\n", 400),
    TEXT("\r\n\r\n" HOST "\r\n", 400),
    TEXT(HOST "X-A: b\0c\r\n\r\n", 400),
    TEXT(HOST "X\0A: b\r\n\r\n", 400),
    TEXT(HOST "X-A: b\x01\r\n\r\n", 400),
    TEXT(HOST "X-A: b\x7f\r\n\r\n", 400),
    TEXT(HOST "X-A : b\r\n\r\n", 400),
    TEXT(HOST "X-A\t: b\r\n\r\n", 400),
    TEXT(HOST "X(A): b\r\n\r\n", 400),
    TEXT(HOST "X-\xc3\xa4: b\r\n\r\n", 400),
    TEXT(HOST ": b\r\n\r\n", 400),
    TEXT(HOST "foo\r\n\r\n", 400),
    /* the first one */
    TEXT("GET /\0evil HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET / HTTP/1.1\0evil\r\nHost: x\r\n\r\n", 400),
    TEXT("GET\0 / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET /#f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    TEXT(" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET /\r\n\r\n", 400),
    TEXT("GET\r\n\r\n", 400),
    TEXT("GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    TEXT("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    TEXT("GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
    TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    /* the host */
    TEXT(LINE "\r\n", 400),
    TEXT(HOST "Host: y\r\n\r\n", 400),
    TEXT(LINE "Host: x y\r\n\r\n", 400),
    TEXT(LINE "Host: a@b\r\n\r\n", 400),
    TEXT(LINE "Host: x/y\r\n\r\n", 400),
    TEXT(HOST "Expect: tea\r\n\r\n", 417),
};

static void what_two_readers_could_read_differently_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < RB_COUNT(hostile); i++) {
        struct rb_head head;
        char room[512];
        unsigned status = judge(hostile[i].bytes, hostile[i].count, &head, room);

        if (status != hostile[i].status)
            fail_msg("row %zu: %u instead of %u: %s", i, status, hostile[i].status, hostile[i].bytes);
    }
}

/* The search stops at the same place however the bytes come. */
static void a_head_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < RB_COUNT(hostile); i++) {
        struct rb_head_search whole = {0}, bit_by_bit = {0};
        size_t length = 0, other = 0;
        unsigned status = 0, other_status = 0;
        enum rb_poll first = rb_head_find(hostile[i].bytes, hostile[i].count, &whole, &length, &status);
        enum rb_poll second = RB_POLL_WAIT;

        for (size_t count = 1; count <= hostile[i].count && second == RB_POLL_WAIT; count++)
            second = rb_head_find(hostile[i].bytes, count, &bit_by_bit, &other, &other_status);
        assert_int_equal(first, second);
        assert_int_equal(length, other);
    }
}

static void sizes_of_heads_are_bounded(void **state)
{
    RB_AUTO_BUFFER head = {0};
    struct rb_head parsed;
    char room[RB_HEAD_MAX_BYTES];

    (void)state;
    rb_buffer_print(&head, HOST);
    for (int i = 0; i < RB_HEAD_MAX_LINES - 1; i++)
        rb_buffer_print(&head, "X-%d: y\r\n", i);
    rb_buffer_print(&head, "\r\n");
    assert_int_equal(judge(head.bytes, head.used, &parsed, room), 0);
    assert_int_equal(parsed.count, RB_HEAD_MAX_LINES);
    head.used -= 2;
    rb_buffer_print(&head, "X: y\r\n\r\n");
    assert_int_equal(judge(head.bytes, head.used, &parsed, room), 431);

    head.used = 0;
    rb_buffer_print(&head, HOST "X: %0*d\r\n\r\n", (int)(RB_HEAD_MAX_BYTES - strlen(HOST) - 7), 0);
    assert_int_equal(head.used, RB_HEAD_MAX_BYTES);
    assert_int_equal(judge(head.bytes, head.used, &parsed, room), 0);
    head.used = 0;
    rb_buffer_print(&head, HOST "X: %0*d\r\n\r\n", (int)(RB_HEAD_MAX_BYTES - strlen(HOST) - 6), 0);
    assert_int_equal(judge(head.bytes, head.used, &parsed, room), 431);
}

/* Whatever comes, reading stays within the bytes (the sanitizers look) and gives a verdict. */
static void mutated_heads_are_survived(void **state)
{
    static const char seed[] =
        "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    static const char bytes[] = "\r\n\0 :\t/?%,\x80x1";
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        RB_AUTO_TEXT *copy = rb_xalloc(sizeof(seed));
        RB_AUTO_TEXT *room = rb_xalloc(sizeof(seed));
        struct rb_head head;

        memcpy(copy, seed, sizeof(seed));
        for (int i = 0; i < 1 + round % 3; i++) {
            random = random * 1664525 + 1013904223;
            copy[(random >> 8) % (sizeof(seed) - 1)] = bytes[(random >> 24) % (sizeof(bytes) - 1)];
        }
        judge(copy, sizeof(seed) - 1, &head, room);
    }
}

static void percents_are_decoded(void **state)
{
    static const struct {
        const char *text, *decoded;
        bool plus;
    } rows[] = {
        {"/a%20b+c", "/a b+c", false}, {"a+%2B%2b", "a ++", true}, {"%zz", NULL, false},          {"%", NULL, false},
        {"%2", NULL, false},           {"%00", NULL, false},       {"%C3%A4", "\xc3\xa4", false},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        char text[32];

        snprintf(text, sizeof(text), "%s", rows[i].text);
        assert_int_equal(rb_head_decode(text, rows[i].plus), rows[i].decoded != NULL);
        if (rows[i].decoded != NULL)
            assert_string_equal(text, rows[i].decoded);
    }
}

/* Reads a chunked body in pieces of one size; gives what rb_chunks_next said last. */
static enum rb_poll read_chunks(const char *bytes, size_t count, size_t piece, struct rb_buffer *body, size_t *ret_used)
{
    struct rb_chunks chunks = {0};
    enum rb_poll done = RB_POLL_WAIT;

    *ret_used = 0;
    while (done == RB_POLL_WAIT && *ret_used < count) {
        size_t used = 0, data_count = 0;
        const char *data = NULL;

        done = rb_chunks_next(&chunks, bytes + *ret_used, RB_MIN(piece, count - *ret_used), &used, &data, &data_count);
        if (data_count > 0)
            rb_buffer_add(body, data, data_count);
        *ret_used += used;
    }
    return done;
}

static void chunks_are_joined_however_they_come(void **state)
{
    static const char bytes[] = "3\r\nabc\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\n\r\nnext";

    (void)state;
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        RB_AUTO_BUFFER body = {0};
        size_t used;

        assert_int_equal(read_chunks(bytes, sizeof(bytes) - 1, piece, &body, &used), RB_POLL_DONE);
        assert_string_equal(body.bytes, "abc0123456789");
        assert_string_equal(bytes + used, "next");
    }
}

static void chunks_that_are_none_are_refused(void **state)
{
    static const char *const rows[] = {
        "2\nhi\r\n0\r\n\r\n",
        "2\r\nhi\n0\r\n\r\n",
        "2\r\nhiXX0\r\n\r\n",
        "0x2\r\nhi\r\n0\r\n\r\n",
        "-2\r\nhi\r\n",
        "+2\r\nhi\r\n",
        " 2\r\nhi\r\n",
        "2 \r\nhi\r\n",
        "\r\n",
        "1000000000000000\r\n",
        "g\r\n",
        "2;a\nb\r\nhi\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\n\n",
        "2\rhi",
        ";a\r\n",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_BUFFER body = {0};
        size_t used;

        if (read_chunks(rows[i], strlen(rows[i]), 100, &body, &used) != RB_POLL_FAILED)
            fail_msg("row %zu is taken: %s", i, rows[i]);
    }
}

static void extensions_of_chunks_are_bounded(void **state)
{
    RB_AUTO_BUFFER bytes = {0}, body = {0};
    size_t used;

    (void)state;
    rb_buffer_print(&bytes, "1;%0256d\r\na\r\n0\r\n\r\n", 0);
    assert_int_equal(read_chunks(bytes.bytes, bytes.used, 7, &body, &used), RB_POLL_DONE);
    bytes.used = 0;
    rb_buffer_print(&bytes, "1;%0257d\r\na\r\n0\r\n\r\n", 0);
    assert_int_equal(read_chunks(bytes.bytes, bytes.used, 7, &body, &used), RB_POLL_FAILED);
}

UNIT_MAIN(T(a_head_is_taken_apart), T(a_connection_is_kept_as_its_client_asks),
          T(what_two_readers_could_read_differently_is_refused), T(a_head_may_come_byte_by_byte),
          T(sizes_of_heads_are_bounded), T(mutated_heads_are_survived), T(percents_are_decoded),
          T(chunks_are_joined_however_they_come), T(chunks_that_are_none_are_refused),
          T(extensions_of_chunks_are_bounded))
