#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "consumer/store_call.h"

#define ANSWERS_MAX 2
#define WAIT_MS     30000

/* A server that answers requests one by one, and keeps what came in the last one. */
struct server {
    int fd;
    int port;
    pthread_t thread;
    const char *answers[ANSWERS_MAX];
    size_t answered;
    size_t connections;
    char request[4096];
};

static bool is_whole(const char *request)
{
    const char *body = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "content-length:");

    if (body == NULL)
        return false;
    if (strcasestr(request, "transfer-encoding: chunked") != NULL)
        return strstr(body, "\r\n0\r\n\r\n") != NULL;
    return length == NULL || strlen(body + 4) >= strtoul(length + strlen("content-length:"), NULL, 10);
}

static void serve_connection(struct server *server, int fd)
{
    size_t used = 0;
    ssize_t count;

    server->request[0] = '\0';
    while (server->answered < ANSWERS_MAX && server->answers[server->answered] != NULL &&
           (count = recv(fd, server->request + used, sizeof(server->request) - 1 - used, 0)) > 0) {
        used += (size_t)count;
        server->request[used] = '\0';
        if (is_whole(server->request)) {
            const char *answer = server->answers[server->answered++];

            (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
            used = 0;
        }
    }
}

static void *serve(void *arg)
{
    struct server *server = arg;

    while (server->answered < ANSWERS_MAX && server->answers[server->answered] != NULL) {
        int fd = accept(server->fd, NULL, NULL);

        server->connections++;
        serve_connection(server, fd);
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);

    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(server->fd, 4), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &bytes), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->fd);
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

struct client {
    struct rb_loop *loop;
    struct rb_http *http;
    struct rb_byteq *queue;
    int64_t wait_ms; /* that the last answer asked for */
};

static struct client client_new(void)
{
    struct rb_loop *loop = rb_loop_new();

    return (struct client){loop, rb_http_new(loop, 0), rb_byteq_new(1000, 500), 0};
}

static void client_free(struct client *client)
{
    rb_byteq_free(client->queue);
    rb_http_free(client->http);
    rb_loop_free(client->loop);
}

/* Send a request; give its status, 0 when there was no answer. */
static long send_request(struct client *client, const struct server *server, struct rb_store_call_spec spec,
                         bool release)
{
    RB_AUTO_TEXT *url = rb_xprintf("http://127.0.0.1:%d/x", server->port);
    struct rb_store_call *call;
    long status;

    spec.method = "POST";
    spec.url = url;
    spec.headers = curl_slist_append(NULL, "Expect:");
    spec.connect_timeout_ms = WAIT_MS;
    spec.timeout_ms = WAIT_MS;
    spec.answer_max_bytes = 1000;
    spec.on_done = stop_loop;
    spec.arg = client->loop;
    call = rb_store_call_new(client->loop, client->http, &spec);
    if (release)
        rb_store_call_release(call);
    rb_loop_run(client->loop);
    status = rb_store_call_reply(call)->status;
    client->wait_ms = rb_store_call_reply(call)->wait_ms;
    rb_store_call_free(call);
    return status;
}

static void send_twice(const char *first_answer, size_t connections)
{
    static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const struct rb_store_call_spec spec = {.body = "abc", .body_bytes = 3};
    struct server server = {.answers = {first_answer, good}};
    struct client client = client_new();

    server_start(&server);
    (void)send_request(&client, &server, spec, false);
    assert_int_equal(send_request(&client, &server, spec, false), 200);
    client_free(&client);
    server_stop(&server);
    assert_int_equal(server.connections, connections);
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    send_twice("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1);
}

/* The server may have left a part of the body unread, and would never read the next request. */
static void but_not_after_a_body_was_refused(void **state)
{
    (void)state;
    send_twice("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", 2);
}

/* A body that begins in memory and goes on out of the queue; and one whose end nobody knows before it is there. */
static void bodies_come_from_memory_and_then_from_the_queue(void **state)
{
    static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    static const struct {
        int64_t stream_bytes;
        const char *body;
    } rows[] = {{4, "\r\n\r\nabcdefg"}, {RB_STORE_CALL_UNKNOWN, "defg\r\n0\r\n\r\n"}};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct server server = {.answers = {good}};
        struct client client = client_new();
        const struct rb_store_call_spec spec = {
            .body = "abc",
            .body_bytes = 3,
            .stream = client.queue,
            .stream_bytes = rows[i].stream_bytes,
            .hold_last = true,
        };

        rb_byteq_put(client.queue, "defg", 4);
        server_start(&server);
        assert_int_equal(send_request(&client, &server, spec, true), 200);
        client_free(&client);
        server_stop(&server);
        assert_non_null(strstr(server.request, rows[i].body));
    }
}

static void a_store_may_ask_for_a_rest_that_has_a_bound(void **state)
{
    static const struct {
        const char *answer;
        int64_t wait_ms;
    } rows[] = {
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n", 7000},
        {"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\nRetry-After: 99999999999\r\n\r\n", 300000},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", 0},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: soon\r\n\r\n", 0},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        struct server server = {.answers = {rows[i].answer}};
        struct client client = client_new();

        server_start(&server);
        assert_true(send_request(&client, &server, (struct rb_store_call_spec){0}, false) >= 429);
        assert_int_equal(client.wait_ms, rows[i].wait_ms);
        client_free(&client);
        server_stop(&server);
    }
}

UNIT_MAIN(T(a_connection_is_used_again), T(but_not_after_a_body_was_refused),
          T(bodies_come_from_memory_and_then_from_the_queue), T(a_store_may_ask_for_a_rest_that_has_a_bound))
