#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "consumer/store_s3.h"

#define OBJECT_BYTES 1000
#define WAIT_MS      30000

/* A server that wants the body of one PUT, and counts how much of it comes. After so many bytes it may refuse the rest. */
struct server {
    int fd;
    int port;
    pthread_t thread;
    size_t refuses_after;
    const char *refusal; /* NULL: it does not */
    size_t body_bytes;
    void *(*serve)(void *arg); /* NULL: serve */
};

static void *serve(void *arg)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct server *server = arg;
    char bytes[4096] = "";
    size_t used = 0;
    int fd = accept(server->fd, NULL, NULL);
    ssize_t count;

    while (strstr(bytes, "\r\n\r\n") == NULL && (count = recv(fd, bytes + used, sizeof(bytes) - 1 - used, 0)) > 0) {
        used += (size_t)count;
        bytes[used] = '\0';
    }
    (void)!send(fd, go_on, strlen(go_on), MSG_NOSIGNAL);
    while ((count = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
        server->body_bytes += (size_t)count;
        if (server->refusal != NULL && server->body_bytes >= server->refuses_after)
            (void)!send(fd, server->refusal, strlen(server->refusal), MSG_NOSIGNAL);
    }
    close(fd);
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
    assert_int_equal(pthread_create(&server->thread, NULL, server->serve != NULL ? server->serve : serve, server), 0);
}

static void server_stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->fd);
}

struct waiter {
    struct rb_loop *loop;
    struct rb_byteq *queue;
    struct rb_timer *look;
    int64_t looks;
};

/* Until the store has taken all that it wants. */
static void look(void *arg)
{
    struct waiter *waiter = arg;

    if (rb_byteq_used(waiter->queue) <= 1 || ++waiter->looks > WAIT_MS)
        rb_loop_stop(waiter->loop);
    else
        rb_timer_start(waiter->look, 1);
}

static void ignore(void *arg)
{
    (void)arg;
}

static struct rb_store *store_at(struct rb_loop *loop, const char *endpoint)
{
    const struct rb_store_s3_config config = {
        .endpoint = endpoint,
        .region = "us-east-1",
        .path_style = "auto",
        .public_url = "",
        .storage_class = "",
        .sse = "",
        .sse_kms_key_id = "",
        .md5 = "auto",
        .single_max_bytes = 16 << 20,
        .part_bytes = 5 << 20,
        .buffers_bytes = 5 << 20,
        .connect_timeout_ms = WAIT_MS,
        .timeout_ms = WAIT_MS,
        .credentials = {.source = "keys",
                        .access_key = "A",
                        .secret_key = "S",
                        .session_token = "",
                        .file = "",
                        .profile = "",
                        .web_identity_token_file = "",
                        .role_arn = "",
                        .role_session_name = "",
                        .sts_endpoint = "",
                        .region = "",
                        .container_url = "",
                        .container_path = "",
                        .container_token = "",
                        .container_token_file = "",
                        .instance_endpoint = ""},
    };
    struct rb_store *store = NULL;

    assert_works(rb_store_s3_new(loop, &config, &store, &err));
    return store;
}

/* The object would appear with its last byte, and what was fetched may still turn out to be no video. */
static void the_last_byte_waits_for_the_commit(void **state)
{
    static const char bytes[OBJECT_BYTES] = "";
    struct server server = {0};
    struct rb_loop *loop = rb_loop_new();
    struct waiter waiter = {.loop = loop, .queue = rb_byteq_new(2 * OBJECT_BYTES, OBJECT_BYTES)};
    const struct rb_object object = {"bucket", "key", "video/mp4", NULL};
    const struct rb_put_spec spec = {
        .object = &object, .bytes = OBJECT_BYTES, .queue = waiter.queue, .on_change = ignore};

    (void)state;
    server_start(&server);

    RB_AUTO_TEXT *endpoint = rb_xprintf("http://127.0.0.1:%d", server.port);
    struct rb_store *store = store_at(loop, endpoint);
    struct rb_put *put = store->ops->begin(store, &spec);

    rb_byteq_put(waiter.queue, bytes, OBJECT_BYTES);
    waiter.look = rb_timer_new(loop, look, &waiter);
    rb_timer_start(waiter.look, 1);
    rb_loop_run(loop);
    assert_int_equal(rb_byteq_used(waiter.queue), 1);
    store->ops->end(put, ignore, NULL);
    rb_timer_free(waiter.look);
    store->ops->free(store);
    rb_loop_free(loop);
    rb_byteq_free(waiter.queue);
    server_stop(&server);
    assert_true(server.body_bytes < OBJECT_BYTES);
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

/* S3 gives up a request in which nothing comes for some 20 seconds: a source that is slow makes it say so. */
static void a_store_that_tires_of_a_slow_source_is_not_to_blame(void **state)
{
    static const char bytes[OBJECT_BYTES] = "";
    struct server server = {.refuses_after = OBJECT_BYTES / 2,
                            .refusal = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 43\r\n\r\n"
                                       "<Error><Code>RequestTimeout</Code></Error>\n"};
    struct rb_loop *loop = rb_loop_new();
    struct rb_byteq *queue = rb_byteq_new(2 * OBJECT_BYTES, OBJECT_BYTES);
    struct rb_timer *timer = rb_timer_new(loop, stop_loop, loop);
    const struct rb_object object = {"bucket", "key", "video/mp4", NULL};
    const struct rb_put_spec spec = {
        .object = &object, .bytes = OBJECT_BYTES, .queue = queue, .on_change = stop_loop, .arg = loop};
    struct rb_error err = {0};

    (void)state;
    server_start(&server);

    RB_AUTO_TEXT *endpoint = rb_xprintf("http://127.0.0.1:%d", server.port);
    struct rb_store *store = store_at(loop, endpoint);
    struct rb_put *put = store->ops->begin(store, &spec);

    rb_byteq_put(queue, bytes, OBJECT_BYTES / 2);
    rb_timer_start(timer, WAIT_MS);
    while (store->ops->poll(put, &err) == RB_POLL_WAIT && rb_timer_is_started(timer))
        rb_loop_run(loop);
    assert_string_equal(rb_code_name(err.code), "source_slow");
    store->ops->end(put, ignore, NULL);
    rb_timer_free(timer);
    store->ops->free(store);
    rb_loop_free(loop);
    rb_byteq_free(queue);
    server_stop(&server);
}

/* A server that gives one answer to one request to remove. */
static void *serve_removal(void *arg)
{
    struct server *server = arg;
    char bytes[4096] = "";
    size_t used = 0;
    int fd = accept(server->fd, NULL, NULL);
    ssize_t count;

    while (strstr(bytes, strncmp(bytes, "POST", 4) == 0 ? "</Delete>" : "\r\n\r\n") == NULL &&
           (count = recv(fd, bytes + used, sizeof(bytes) - 1 - used, 0)) > 0) {
        used += (size_t)count;
        bytes[used] = '\0';
    }
    (void)!send(fd, server->refusal, strlen(server->refusal), MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

/* How it ended; what is kept is said by a word for each of the keys "1" and "2". */
static enum rb_poll remove_at(const char *status, const char *body, bool many, char ret_kept[3])
{
    static const char *const keys[] = {"1", "2"};
    const struct rb_keys all = {"bucket", keys, RB_COUNT(keys)};
    const struct rb_object object = {"bucket", "1", "", NULL};
    RB_AUTO_TEXT *answer =
        rb_xprintf("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
    struct server server = {.refusal = answer, .serve = serve_removal};
    struct rb_loop *loop = rb_loop_new();
    struct rb_store_answer found = {0};
    struct rb_error err = {0};
    enum rb_poll polled;

    server_start(&server);

    RB_AUTO_TEXT *endpoint = rb_xprintf("http://127.0.0.1:%d", server.port);
    struct rb_store *store = store_at(loop, endpoint);
    struct rb_ask *ask = many ? store->ops->remove_many(store, &all, stop_loop, loop)
                              : store->ops->remove(store, &object, stop_loop, loop);

    rb_loop_run(loop);
    polled = store->ops->answer(ask, &found, &err);
    for (size_t i = 0; many && polled == RB_POLL_DONE && i < RB_COUNT(keys); i++)
        ret_kept[i] = found.kept[i] ? 'k' : '-';
    store->ops->forget(ask);
    store->ops->free(store);
    rb_loop_free(loop);
    server_stop(&server);
    return polled;
}

/* The wrong bucket, or a gateway before the store, has nothing either. */
static void only_what_the_store_says_of_the_object_means_gone(void **state)
{
    static const struct {
        const char *status, *body;
        enum rb_poll polled;
    } rows[] = {
        {"204 No Content", "", RB_POLL_DONE},
        {"404 Not Found", "<Error><Code>NoSuchKey</Code></Error>", RB_POLL_DONE},
        {"404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>", RB_POLL_FAILED},
        {"404 Not Found", "<html><body>no such route</body></html>", RB_POLL_FAILED},
        {"404 Not Found", "", RB_POLL_FAILED},
    };
    char unused[3];

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_int_equal(remove_at(rows[i].status, rows[i].body, false, unused), rows[i].polled);
}

static void silence_about_many_means_gone_only_in_an_answer(void **state)
{
    static const struct {
        const char *body, *kept;
    } rows[] = {
        {"<DeleteResult/>", "--"},
        {"<DeleteResult><Error><Key>2</Key><Code>x</Code></Error></DeleteResult>", "-k"},
        {"<DeleteResult><Error><Key>2</Key></Error><Error><Code>x</Code></Error></DeleteResult>", "kk"},
        {"<DeleteResult><Error><Code>x</Code></Error></DeleteResult>", "kk"},
        {"<DeleteResult><Error><Key>%32</Key><Code>x</Code></Error></DeleteResult>", "kk"},
        {"<ListBucketResult/>", "kk"},
        {"<html><body>welcome</body></html>", "kk"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        char kept[3] = "";

        assert_int_equal(remove_at("200 OK", rows[i].body, true, kept), RB_POLL_DONE);
        assert_string_equal(kept, rows[i].kept);
    }
}

UNIT_MAIN(T(the_last_byte_waits_for_the_commit), T(a_store_that_tires_of_a_slow_source_is_not_to_blame),
          T(only_what_the_store_says_of_the_object_means_gone), T(silence_about_many_means_gone_only_in_an_answer))
