/*
 * test_httpd.c — the HTTP server on a real loop, asked through raw sockets.
 *
 * Way:  tests
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "unit.h"

#define WAIT_MS         60000
#define MAX_CONNECTIONS 30
#define MAX_OF_ADDRESS  4
#define MAX_REQUESTS    5
#define STREAMS         4000
#define TEN             "0123456789"
#define COOKIE          TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct rb_loop *loop;
static struct rb_httpd *httpd;
static struct rb_stream *stream;       /* of the request that came last; NULL when it is gone */
static int opened_count, closed_count; /* streams */
static int hangup_count;
static bool exempt; /* from the limit of connections from one address */

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
    opened_count++;
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

/* What a route reads of a request, as text. */
static void serve_query(struct rb_exchange *exchange, void *arg)
{
    RB_AUTO_BUFFER text = {0};
    const char *names[] = {"a", "b b", "c", "none"};
    char client[RB_CLIENT_NAME_BYTES];

    (void)arg;
    rb_buffer_print(&text, "%s", rb_exchange_path(exchange));
    for (size_t i = 0; i < RB_COUNT(names); i++) {
        const char *value = rb_exchange_query(exchange, names[i]);

        rb_buffer_print(&text, "|%s", value != NULL ? value : "-");
    }
    rb_buffer_print(&text, "|%s|", rb_exchange_client(exchange, client));
    rb_exchange_header_list(exchange, "x-list", &text);

    const struct rb_reply reply = {.status = 200, .body = text.bytes, .body_bytes = text.used};

    rb_exchange_reply(exchange, &reply);
}

static struct rb_exchange *kept; /* of the request to /later that came last */

static void serve_later(struct rb_exchange *exchange, void *arg)
{
    (void)arg;
    kept = exchange;
}

static const struct rb_route routes[] = {
    {.method = "GET", .path = "/query/*", .fn = serve_query},
    {.method = "GET", .path = "/later", .fn = serve_later},
    {.method = "GET", .path = "/stream", .fn = serve_stream},
    {.method = "POST", .path = "/echo/*", .max_body_bytes = 100, .fn = serve_echo},
};

static bool is_exempt(const struct sockaddr *peer, void *arg)
{
    (void)arg;
    return exempt && peer->sa_family == AF_INET;
}

static int set_up_with(int64_t max_connections)
{
    const struct rb_httpd_config config = {
        .listen = "127.0.0.1:0",
        .routes = routes,
        .route_count = RB_COUNT(routes),
        .before = answer_options,
        .max_connections = max_connections,
        .max_connections_per_address = MAX_OF_ADDRESS,
        .limit_exempt = is_exempt,
        .max_requests = MAX_REQUESTS,
    };

    exempt = true;
    loop = rb_loop_new();
    opened_count = closed_count = 0;
    stream = NULL;
    assert_works(rb_httpd_new(loop, &config, &httpd, &err));
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(MAX_CONNECTIONS);
}

static int set_up_large(void **state)
{
    (void)state;
    return set_up_with(STREAMS + 10);
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

/* In a child, so that its descriptors are not ours; it holds the streams until it is killed. */
static pid_t open_streams(int count)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\nCookie: " COOKIE "\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rb_httpd_port(httpd))};
    pid_t child = fork();

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; child == 0 && i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
            _exit(1);
    }
    while (child == 0)
        pause();
    return child;
}

static long memory_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all = 0, resident = 0;

    assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A tenth of what 10,000 of them may cost in all (100 MB), with room for the pages of the heap. */
static void an_idle_stream_costs_under_a_kib(void **state)
{
    long before_kib = memory_kib();
    pid_t child = open_streams(STREAMS);
    int status;

    (void)state;
    RUN_UNTIL(rb_httpd_counts(httpd)->connections == STREAMS && opened_count == STREAMS);
    if (!SANITIZED)
        assert_in_range(memory_kib() - before_kib, 0, STREAMS);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    RUN_UNTIL(closed_count == STREAMS);
    assert_int_equal(rb_httpd_counts(httpd)->connections, 0);
}

static void parts_of_a_request_are_given(void **state)
{
    int fd = ask("GET /query/%2Fx?a=1%262&b+b=+&c&b=3&%zz=1 HTTP/1.1\r\nHost: x\r\nX-List: 1\r\nx-list: 2\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "/query//x|1&2| ||-|127.0.0.1|1, 2"));
    close(fd);
}

static void requests_that_come_at_once_are_answered_in_order(void **state)
{
    int fd = ask("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
                 "POST /echo/2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n"
                 "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
                 "POST /echo/4 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfour");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "two") && kept != NULL);
    assert_non_null(strstr(got.bytes, "\r\n\r\none"));
    assert_int_equal(rb_httpd_pending(httpd), 1);
    assert_null(strstr(got.bytes, "four")); /* it waits for its turn */
    rb_exchange_reply_json(kept, 200, "\"three\"", NULL);
    kept = NULL;
    RUN_UNTIL(has_come(fd, &got, "four"));
    assert_true(strstr(got.bytes, "three") < strstr(got.bytes, "four"));
    assert_null(strstr(got.bytes, "Connection: close"));
    send_text(fd, "POST /echo/5 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfive");
    RUN_UNTIL(receive(fd, &got)); /* the fifth is the last on a connection */
    assert_non_null(strstr(got.bytes, "Connection: close"));
    assert_non_null(strstr(got.bytes, "five"));
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none";
    int fd = connect_to_server();
    RB_AUTO_BUFFER got = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_int_equal(send(fd, request + i, 1, 0), 1);
        uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
    }
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\none"));
    close(fd);
}

static void a_client_that_asks_is_told_to_go_on(void **state)
{
    int fd = ask("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    int refused = ask("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(fd, &got, "HTTP/1.1 100 Continue\r\n\r\n"));
    send_text(fd, "one");
    RUN_UNTIL(has_come(fd, &got, "\r\n\r\none"));
    got.used = 0;
    RUN_UNTIL(has_come(refused, &got, "\r\n\r\n"));
    assert_memory_equal(got.bytes, "HTTP/1.1 413 ", 13);
    close(fd);
    close(refused);
}

static void a_hostile_head_is_refused_and_its_connection_closed(void **state)
{
    int fd = ask("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "0\r\n\r\nGET /query/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    (void)state;
    shutdown(fd, SHUT_WR);
    RUN_UNTIL(receive(fd, &got));
    assert_memory_equal(got.bytes, "HTTP/1.1 400 ", 13);
    assert_null(strstr(got.bytes, "200 OK"));
    assert_int_equal(rb_httpd_counts(httpd)->bad, 1);
    close(fd);
}

static void one_address_has_so_many_connections(void **state)
{
    int fds[MAX_OF_ADDRESS + 1];
    RB_AUTO_BUFFER got = {0};

    (void)state;
    exempt = false;
    for (size_t i = 0; i < RB_COUNT(fds); i++)
        fds[i] = connect_to_server();
    RUN_UNTIL(receive(fds[MAX_OF_ADDRESS], &got));
    assert_int_equal(got.used, 0);
    assert_int_equal(rb_httpd_counts(httpd)->refused, 1);
    close(fds[0]);
    RUN_UNTIL(rb_httpd_counts(httpd)->connections == MAX_OF_ADDRESS - 1);
    fds[0] = ask("GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    RUN_UNTIL(has_come(fds[0], &got, "200 OK"));
    for (size_t i = 0; i < RB_COUNT(fds); i++)
        close(fds[i]);
}

static void the_longest_idle_one_makes_room_and_streams_do_not(void **state)
{
    int streaming = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    int fds[MAX_CONNECTIONS];
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(stream != NULL);
    for (size_t i = 0; i < RB_COUNT(fds); i++) {
        fds[i] = connect_to_server();
        RUN_UNTIL(rb_httpd_counts(httpd)->connections + rb_httpd_counts(httpd)->evicted == i + 2);
    }
    RUN_UNTIL(receive(fds[0], &got)); /* the one that came first */
    assert_int_equal(rb_httpd_counts(httpd)->evicted, 1);
    send_text(fds[MAX_CONNECTIONS - 1], "GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    RUN_UNTIL(has_come(fds[MAX_CONNECTIONS - 1], &got, "200 OK"));
    assert_int_equal(closed_count, 0);
    for (size_t i = 0; i < RB_COUNT(fds); i++)
        close(fds[i]);
    close(streaming);
    RUN_UNTIL(closed_count == 1);
}

static void when_all_are_busy_new_ones_wait(void **state)
{
    int fds[MAX_CONNECTIONS + 1];
    RB_AUTO_BUFFER got = {0};

    (void)state;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        fds[i] = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        stream = NULL;
        RUN_UNTIL(stream != NULL);
    }
    fds[MAX_CONNECTIONS] = ask("GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 100; i++)
        uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
    assert_int_equal(rb_httpd_counts(httpd)->connections, MAX_CONNECTIONS);
    close(fds[0]);
    RUN_UNTIL(has_come(fds[MAX_CONNECTIONS], &got, "200 OK"));
    for (size_t i = 1; i < RB_COUNT(fds); i++)
        close(fds[i]);
    RUN_UNTIL(closed_count == MAX_CONNECTIONS);
}

/* A connection that is kept alive and idle is room for a new one, also when there was none as that one came. */
static void when_all_were_busy_and_are_idle_again_new_ones_need_not_wait(void **state)
{
    struct rb_exchange *exchanges[MAX_CONNECTIONS];
    const struct rb_reply reply = {.status = 204};
    int fds[MAX_CONNECTIONS + 1];
    RB_AUTO_BUFFER got = {0};

    (void)state;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        kept = NULL;
        fds[i] = ask("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
        RUN_UNTIL(kept != NULL);
        exchanges[i] = kept;
    }
    fds[MAX_CONNECTIONS] = ask("GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 100; i++)
        uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
    kept = NULL;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        rb_exchange_reply(exchanges[i], &reply);
    RUN_UNTIL(has_come(fds[MAX_CONNECTIONS], &got, "200 OK"));
    assert_int_equal(rb_httpd_counts(httpd)->timeouts, 0);
    assert_int_equal(rb_httpd_counts(httpd)->evicted, 1);
    for (size_t i = 0; i < RB_COUNT(fds); i++)
        close(fds[i]);
}

/* Others than connections take descriptors, too: none of ours has to go before one more can come. */
static void without_descriptors_it_neither_spins_nor_stops_accepting(void **state)
{
    int streaming = ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"), next = socket(AF_INET, SOCK_STREAM, 0), turns = 0;
    struct rlimit before, none;
    RB_AUTO_BUFFER got = {0};

    (void)state;
    RUN_UNTIL(has_come(streaming, &got, "\r\n\r\n"));
    close(next);
    next = connect_to_server();
    send_text(next, "GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    while (uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT) != 0 && uv_backend_timeout(rb_loop_uv(loop)) == 0)
        assert_true(turns++ < 1000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    got.used = 0;
    RUN_UNTIL(has_come(next, &got, "200 OK"));
    assert_int_equal(closed_count, 0);
    close(next);
    close(streaming);
    RUN_UNTIL(closed_count == 1);
}

static void write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

/* A certificate that nobody believes, with its key, in one file. */
static void make_certificate(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    write_pem(path, certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* One turn of the server, before which somebody else has left an error of OpenSSL behind. */
static void run_with_an_error_left(void)
{
    ERR_raise(ERR_LIB_USER, 1);
    uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
    ERR_clear_error();
}

static int set_up_tls(void **state)
{
    static char path[] = "/tmp/reelbus-tls-XXXXXX";
    const struct rb_httpd_config config = {
        .listen = "127.0.0.1:0", .routes = routes, .route_count = RB_COUNT(routes), .tls_cert = path, .tls_key = path};

    (void)state;
    close(mkstemp(path));
    make_certificate(path);
    loop = rb_loop_new();
    assert_works(rb_httpd_new(loop, &config, &httpd, &err));
    unlink(path);
    return 0;
}

static void errors_that_others_leave_in_openssl_close_no_connection(void **state)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(context);
    int fd = connect_to_server(), count = -1;
    char got[4096];

    (void)state;
    SSL_set_fd(client, fd);
    for (int result = 0; result != 1; run_with_an_error_left()) {
        result = SSL_connect(client);
        assert_true(result == 1 || SSL_get_error(client, result) == SSL_ERROR_WANT_READ);
    }
    assert_int_equal(SSL_write(client, "GET /query/ HTTP/1.1\r\n", 22), 22);
    for (int i = 0; i < 100; i++)
        run_with_an_error_left();
    assert_int_equal(SSL_write(client, "Host: x\r\n\r\n", 11), 11);
    while (count < 0) {
        run_with_an_error_left();
        count = SSL_read(client, got, sizeof(got));
        assert_true(count > 0 || SSL_get_error(client, count) == SSL_ERROR_WANT_READ);
    }
    assert_memory_equal(got, "HTTP/1.1 200 ", 13);
    SSL_free(client);
    SSL_CTX_free(context);
    close(fd);
}

static void a_request_that_waits_at_the_end_is_answered(void **state)
{
    int fd = ask("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    RB_AUTO_BUFFER got = {0};

    RUN_UNTIL(kept != NULL);
    kept = NULL;
    tear_down(state);
    while (!receive(fd, &got))
        ;
    assert_memory_equal(got.bytes, "HTTP/1.1 503 ", 13);
    close(fd);
    set_up(state);
}

/* A kept connection whose request has arrived and was not read, and one whose body is half there. */
static void a_drain_lets_what_has_begun_come_to_its_end(void **state)
{
    int idle = ask("GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n"), asking = ask("GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    int sending = ask("POST /echo/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    RB_AUTO_BUFFER got = {0}, more = {0}, last = {0};

    (void)state;
    RUN_UNTIL(has_come(idle, &got, "200 OK") && has_come(asking, &more, "200 OK") && rb_httpd_unfinished(httpd) == 1);
    more.used = 0;
    send_text(asking, "GET /query/ HTTP/1.1\r\nHost: x\r\n\r\n");
    rb_httpd_quiesce(httpd);
    assert_int_equal(rb_httpd_unfinished(httpd), 2);
    RUN_UNTIL(receive(idle, &got));
    RUN_UNTIL(receive(asking, &more));
    assert_non_null(strstr(more.bytes, "200 OK"));
    assert_non_null(strstr(more.bytes, "Connection: close"));
    assert_int_equal(rb_httpd_unfinished(httpd), 1);
    send_text(sending, "cd");
    RUN_UNTIL(receive(sending, &last));
    assert_non_null(strstr(last.bytes, "abcd"));
    assert_int_equal(rb_httpd_unfinished(httpd), 0);
    close(idle);
    close(asking);
    close(sending);
}

static uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525 + 1013904223;
    return *random >> 8;
}

/* Send bytes in pieces as they may come, with turns of the loop in between. */
static void send_in_pieces(int fd, const char *bytes, size_t count, uint32_t *random)
{
    while (count > 0) {
        size_t piece = 1 + next_random(random) % 60;

        piece = RB_MIN(piece, count);
        if (send(fd, bytes, piece, MSG_NOSIGNAL) < 0)
            return; /* it has been refused and closed */
        bytes += piece;
        count -= piece;
        uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
    }
}

/* Whatever clients send, however it comes: each gets its end, and the server goes on (the sanitizers look). */
static void mutated_conversations_are_survived(void **state)
{
    static const char seed[] = "POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                               "GET /query/?a=1&b+b=%41 HTTP/1.1\r\nHost: x\r\nX-List: 1\r\nx-list: 2\r\n\r\n"
                               "POST /echo/2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                               "Expect: 100-continue\r\n\r\n3\r\nabc\r\nA;b=c\r\n0123456789\r\n0\r\n\r\n"
                               "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char bytes[] = "\r\n\0 :\t/?%,\x80x15A;";
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 500; round++) {
        char copy[sizeof(seed)];
        int fd = connect_to_server();
        RB_AUTO_BUFFER got = {0};

        memcpy(copy, seed, sizeof(seed));
        for (int i = round % 4; i > 0; i--)
            copy[next_random(&random) % (sizeof(seed) - 1)] = bytes[next_random(&random) % (sizeof(bytes) - 1)];
        send_in_pieces(fd, copy, sizeof(seed) - 1 - next_random(&random) % 40 * (size_t)(round % 2), &random);
        shutdown(fd, SHUT_WR);
        RUN_UNTIL(receive(fd, &got));
        assert_true(round % 4 > 0 || strstr(got.bytes, "hello") != NULL);
        close(fd);
    }
    RUN_UNTIL(rb_httpd_counts(httpd)->connections == 0);
    assert_int_equal(rb_httpd_pending(httpd), 0);
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
        cmocka_unit_test_setup_teardown(an_idle_stream_costs_under_a_kib, set_up_large, tear_down),
        WITH_SERVER(parts_of_a_request_are_given),
        WITH_SERVER(requests_that_come_at_once_are_answered_in_order),
        WITH_SERVER(a_request_may_come_byte_by_byte),
        WITH_SERVER(a_client_that_asks_is_told_to_go_on),
        WITH_SERVER(a_hostile_head_is_refused_and_its_connection_closed),
        WITH_SERVER(one_address_has_so_many_connections),
        WITH_SERVER(the_longest_idle_one_makes_room_and_streams_do_not),
        WITH_SERVER(when_all_are_busy_new_ones_wait),
        WITH_SERVER(when_all_were_busy_and_are_idle_again_new_ones_need_not_wait),
        WITH_SERVER(without_descriptors_it_neither_spins_nor_stops_accepting),
        cmocka_unit_test_setup_teardown(errors_that_others_leave_in_openssl_close_no_connection, set_up_tls, tear_down),
        WITH_SERVER(a_request_that_waits_at_the_end_is_answered),
        WITH_SERVER(a_drain_lets_what_has_begun_come_to_its_end),
        WITH_SERVER(mutated_conversations_are_survived),
        WITH_SERVER(each_hangup_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
