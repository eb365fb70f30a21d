#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "consumer/download.h"

#define WAIT_MS 30000
#define BODY    "some bytes"

/* A source that takes one connection, and answers one request after the other on it. */
struct source {
    int fd;
    int port;
    pthread_t thread;
    int requests;
};

static void *serve(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" BODY;
    struct source *source = arg;
    char bytes[4096] = "";
    size_t used = 0;
    int fd = accept(source->fd, NULL, NULL);
    ssize_t count;

    while ((count = recv(fd, bytes + used, sizeof(bytes) - 1 - used, 0)) > 0) {
        used += (size_t)count;
        bytes[used] = '\0';
        if (strstr(bytes, "\r\n\r\n") == NULL)
            continue;
        used = 0;
        source->requests++;
        (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    close(fd);
    return NULL;
}

static void source_start(struct source *source)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);

    source->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(source->fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(source->fd, 4), 0);
    assert_int_equal(getsockname(source->fd, (struct sockaddr *)&address, &bytes), 0);
    source->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&source->thread, NULL, serve, source), 0);
}

static void source_stop(struct source *source)
{
    assert_int_equal(pthread_join(source->thread, NULL), 0);
    close(source->fd);
}

static int take(const uint8_t *bytes, size_t count, void *arg, struct rb_error *err)
{
    (void)bytes;
    (void)count;
    (void)arg;
    (void)err;
    return 0;
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

/* Until the download has ended. */
static enum rb_poll end_of(struct rb_loop *loop, const struct rb_download *download, struct rb_error *err)
{
    struct rb_timer *timer = rb_timer_new(loop, stop_loop, loop);
    enum rb_poll answered;

    rb_timer_start(timer, WAIT_MS);
    while ((answered = rb_download_poll(download, err)) == RB_POLL_WAIT && rb_timer_is_started(timer))
        rb_loop_run(loop);
    rb_timer_free(timer);
    return answered;
}

/* The first two downloads share a connection. For the third its address is refused once the URL has been judged, so no
 * socket is opened, and only the look at the connection is left. */
static void a_connection_that_is_used_again_is_judged_again(void **state)
{
    const struct rb_guard_config config = {.allow_private = true, .ports = "any"};
    const struct rb_download_limits limits = {1 << 20, WAIT_MS, WAIT_MS, 0, WAIT_MS, 0};
    struct source source = {0};
    struct rb_guard guard;
    struct rb_in_flight in_flight = {0};
    struct rb_loop *loop = rb_loop_new();
    struct rb_http *http = rb_http_new(loop, 0);
    struct rb_byteq *queue = rb_byteq_new(1 << 17, 1 << 16);
    RB_AUTO_URL url = {0};
    struct rb_error why = {0};

    (void)state;
    source_start(&source);
    assert_works(rb_guard_init(&config, &guard, &err));

    RB_AUTO_TEXT *text = rb_xprintf("http://127.0.0.1:%d/video.mp4", source.port);
    assert_works(rb_url_parse(text, &url, &err));

    const struct rb_download_spec spec = {.http = http,
                                          .guard = &guard,
                                          .limits = &limits,
                                          .url = &url,
                                          .accept = "Accept: video/mp4",
                                          .in_flight = &in_flight,
                                          .queue = queue,
                                          .tap = take,
                                          .on_change = stop_loop,
                                          .arg = loop};
    for (int i = 0; i < 3; i++) {
        struct rb_download *download = rb_download_new(loop, &spec);

        guard.allow_private = i < 2;
        assert_int_equal(end_of(loop, download, &why), i < 2 ? RB_POLL_DONE : RB_POLL_FAILED);
        rb_download_free(download);
    }
    assert_string_equal(rb_code_name(why.code), "url_refused");
    rb_http_free(http);
    rb_byteq_free(queue);
    rb_loop_free(loop);
    source_stop(&source);
    assert_int_equal(source.requests, 2);
}

UNIT_MAIN(T(a_connection_that_is_used_again_is_judged_again))
