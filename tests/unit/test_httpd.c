/*
 * test_httpd.c — the HTTP server on a real loop, asked through raw sockets.
 *
 * Way:  tests
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "unit.h"

#define WAIT_MS 60000

static struct rb_loop *loop;
static struct rb_httpd *httpd;
static struct rb_stream *stream; /* of the request that came last; NULL when it is gone */
static int closed_count;
static int hangup_count;

static int connect_to_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rb_httpd_port(httpd))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int ask(const char *text)
{
    int fd = connect_to_server();

    send_text(fd, text);
    return fd;
}

/* Run the loop until the condition is true. */
#define RUN_UNTIL(condition)                                                                                           \
    for (int64_t until_ms_ = rb_clock_ms() + WAIT_MS; !(condition);) {                                                 \
        assert_true(rb_clock_ms() < until_ms_);                                                                        \
        uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);                                                                       \
    }

/* What has come so far; true at the end of the connection. */
static bool receive(int fd, struct rb_buffer *got)
{
    char piece[4096];
    ssize_t count;

    while ((count = recv(fd, piece, sizeof(piece), 0)) > 0)
        rb_buffer_add(got, piece, (size_t)count);
    return count == 0 || errno == ECONNRESET;
}

static bool has_come(int fd, struct rb_buffer *got, const char *text)
{
    receive(fd, got);
    return got->used > 0 && strstr(got->bytes, text) != NULL;
}

static void on_stream_closed(void *arg)
{
    (void)arg;
    stream = NULL;
    closed_count++;
}

static void serve_stream(struct rb_exchange *exchange, void *arg)
{
    const struct rb_reply reply = {.status = 200, .content_type = "text/event-stream"};

    (void)arg;
    stream = rb_exchange_stream(exchange, &reply, 1 << 20, on_stream_closed, NULL);
}

static void serve_echo(struct rb_exchange *exchange, void *arg)
{
    size_t bytes;
    const char *body = rb_exchange_body(exchange, &bytes);
    const struct rb_reply reply = {.status = 200, .content_type = "text/plain", .body = body, .body_bytes = bytes};

    (void)arg;
    rb_exchange_reply(exchange, &reply);
}

static bool answer_options(struct rb_exchange *exchange, void *arg)
{
    const struct rb_reply reply = {.status = 204};

    (void)arg;
    rb_exchange_add_header(exchange, "X-Added", "yes");
    if (strcmp(rb_exchange_method(exchange), "OPTIONS") != 0)
        return false;
    rb_exchange_reply(exchange, &reply);
    return true;
}

static const struct rb_route routes[] = {
    {.method = "GET", .path = "/stream", .fn = serve_stream},
    {.method = "POST", .path = "/echo/*", .max_body_bytes = 100, .fn = serve_echo},
};

static int set_up(void **state)
{
    const struct rb_httpd_config config = {
        .listen = "127.0.0.1:0",
        .routes = routes,
        .route_count = RB_COUNT(routes),
        .before = answer_options,
        .idle_timeout_ms = 60000,
        .max_connections = 100,
    };

    (void)state;
    loop = rb_loop_new();
    closed_count = 0;
    stream = NULL;
    assert_works(rb_httpd_new(loop, &config, &httpd, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rb_httpd_free(httpd);
    rb_loop_free(loop);
    assert_null(stream);
    return 0;
}

static void a_stream_brings_bytes_as_they_are_written(void **state)
{
    int fd = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n"));
    assert_non_null(strstr(got.bytes, "text/event-stream"));
    assert_non_null(strstr(got.bytes, "X-Added: yes"));
    assert_int_equal(rb_httpd_pending(httpd), 0);
    assert_true(rb_stream_write(stream, "one", 3));
    RUN_UNTIL(has_come(fd, &got, "3\r\none\r\n"));
    assert_true(rb_stream_write(stream, "fo", 2) && rb_stream_write(stream, "ur", 2));
    RUN_UNTIL(has_come(fd, &got, "2\r\nfo\r\n2\r\nur\r\n"));
    rb_stream_end(stream);
    stream = NULL;
    RUN_UNTIL(has_come(fd, &got, "\r\n0\r\n\r\n"));
    RUN_UNTIL(receive(fd, &got));
    assert_int_equal(closed_count, 0);
    close(fd);
}

static void an_idle_stream_does_not_keep_the_loop_busy(void **state)
{
    int fd = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};
    int turns = 0;

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n"));
    while (uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT) != 0 && uv_backend_timeout(rb_loop_uv(loop)) == 0)
        assert_true(turns++ < 1000);
    rb_stream_end(stream);
    stream = NULL;
    RUN_UNTIL(has_come(fd, &got, "\r\n0\r\n\r\n"));
    close(fd);
}

static void a_client_that_goes_away_is_noticed_while_nothing_is_sent(void **state)
{
    int fd = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n"));
    close(fd);
    RUN_UNTIL(closed_count == 1);
    assert_null(stream);
}

static void a_client_that_does_not_read_is_let_go(void **state)
{
    static char block[65536];
    int fd = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");

    (void)state;
    RUN_UNTIL(stream != NULL);
    for (int i = 0; stream != NULL && rb_stream_write(stream, block, sizeof(block)); i++) {
        assert_true(i < 10000);
        uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
    }
    RUN_UNTIL(closed_count == 1);
    close(fd);
}

static void a_stream_for_head_is_a_head(void **state)
{
    int fd = ask("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n") && closed_count == 1);
    close(fd);
}

static void a_stream_of_http_1_0_ends_with_its_connection(void **state)
{
    int fd = ask("GET /stream HTTP/1.0\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n"));
    assert_true(rb_stream_write(stream, "plain", 5));
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\nplain"));
    rb_stream_end(stream);
    stream = NULL;
    RUN_UNTIL(receive(fd, &got));
    close(fd);
}

static void a_drain_ends_streams(void **state)
{
    int fd = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n"));
    assert_true(rb_stream_write(stream, "last", 4));
    rb_httpd_quiesce(httpd);
    assert_int_equal(closed_count, 0);
    RUN_UNTIL(has_come(fd, &got, "4\r\nlast\r\n0\r\n\r\n"));
    RUN_UNTIL(closed_count == 1);
    close(fd);
}

static void the_end_of_the_server_ends_streams(void **state)
{
    int fds[20];

    for (size_t i = 0; i < RB_COUNT(fds); i++) {
        RB_AUTO_BUFFER got = {0};

        fds[i] = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        RUN_UNTIL(has_come(fds[i], &got, "\r\n\r\n"));
    }
    tear_down(state);
    assert_int_equal(closed_count, RB_COUNT(fds));
    for (size_t i = 0; i < RB_COUNT(fds); i++)
        close(fds[i]);
    set_up(state);
}

static void the_filter_may_answer_before_routes_are_looked_at(void **state)
{
    int fd = ask("OPTIONS /echo/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\n"));
    assert_memory_equal(got.bytes, "HTTP/1.1 204 ", 13);
    assert_non_null(strstr(got.bytes, "X-Added: yes"));
    close(fd);
}

static void on_hangup(void *arg)
{
    (void)arg;
    hangup_count++;
}

static void each_hangup_is_told(void **state)
{
    (void)state;
    rb_loop_on_hangup(loop, on_hangup, NULL);
    raise(SIGHUP);
    RUN_UNTIL(hangup_count == 1);
    raise(SIGHUP);
    RUN_UNTIL(hangup_count == 2);
}

#define WITH_SERVER(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_stream_brings_bytes_as_they_are_written),
        WITH_SERVER(an_idle_stream_does_not_keep_the_loop_busy),
        WITH_SERVER(a_client_that_goes_away_is_noticed_while_nothing_is_sent),
        WITH_SERVER(a_client_that_does_not_read_is_let_go),
        WITH_SERVER(a_stream_for_head_is_a_head),
        WITH_SERVER(a_stream_of_http_1_0_ends_with_its_connection),
        WITH_SERVER(a_drain_ends_streams),
        WITH_SERVER(the_end_of_the_server_ends_streams),
        WITH_SERVER(the_filter_may_answer_before_routes_are_looked_at),
        WITH_SERVER(each_hangup_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
