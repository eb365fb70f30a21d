#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "consumer/s3_credentials.h"

#define CALLS_MAX 100
#define WAIT_MS   30000

/* A platform that gives the same keys to whoever asks, once. */
struct platform {
    int fd;
    int port;
    pthread_t thread;
    const char *expiration;
};

static void *give(void *arg)
{
    const struct platform *platform = arg;
    char request[4096] = "";
    int fd = accept(platform->fd, NULL, NULL);
    RB_AUTO_TEXT *keys =
        rb_xprintf("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":\"%s\"}",
                   platform->expiration);
    RB_AUTO_TEXT *answer =
        rb_xprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(keys), keys);

    (void)!recv(fd, request, sizeof(request), 0);
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void platform_start(struct platform *platform)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);

    platform->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(platform->fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(platform->fd, 4), 0);
    assert_int_equal(getsockname(platform->fd, (struct sockaddr *)&address, &bytes), 0);
    platform->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&platform->thread, NULL, give, platform), 0);
}

/* Somebody who asks for keys until there is an answer. */
struct asker {
    struct rb_loop *loop;
    struct rb_s3_credentials *credentials;
    struct rb_s3_waiter waiter;
    int calls;
    enum rb_poll answered;
    struct rb_error err;
};

static void ask(void *arg)
{
    struct asker *asker = arg;
    const struct rb_s3_keys *keys = NULL;

    if (++asker->calls > CALLS_MAX)
        fail_msg("told of news that are none, again and again");
    asker->answered = rb_s3_credentials_get(asker->credentials, &asker->waiter, &keys, &asker->err);
    if (asker->answered != RB_POLL_WAIT)
        rb_loop_stop(asker->loop);
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

static void ask_with(struct asker *asker, const struct rb_s3_credentials_config *config)
{
    struct rb_http *http;
    struct rb_timer *timer;

    *asker = (struct asker){.loop = rb_loop_new(), .waiter = {.on_change = ask, .arg = asker}};
    http = rb_http_new(asker->loop, 0);
    timer = rb_timer_new(asker->loop, stop_loop, asker->loop);
    rb_timer_start(timer, WAIT_MS);
    assert_works(rb_s3_credentials_new(asker->loop, http, config, &asker->credentials, &err));
    ask(asker);
    rb_loop_run(asker->loop);
    rb_s3_credentials_forget(asker->credentials, &asker->waiter);
    rb_s3_credentials_free(asker->credentials);
    rb_timer_free(timer);
    rb_http_free(http);
    rb_loop_free(asker->loop);
}

static struct rb_s3_credentials_config config_of(const char *source)
{
    return (struct rb_s3_credentials_config){
        .source = source,
        .access_key = "",
        .secret_key = "",
        .session_token = "",
        .file = "",
        .profile = "",
        .web_identity_token_file = "",
        .role_arn = "",
        .role_session_name = "",
        .sts_endpoint = "",
        .region = "us-east-1",
        .container_url = "",
        .container_path = "",
        .container_token = "",
        .container_token_file = "",
        .instance_endpoint = "",
    };
}

/* Ask a platform whose keys last until then. */
static void ask_platform(struct asker *asker, const char *expiration)
{
    struct platform platform = {.expiration = expiration};
    struct rb_s3_credentials_config config = config_of("container");

    platform_start(&platform);

    RB_AUTO_TEXT *url = rb_xprintf("http://127.0.0.1:%d/keys", platform.port);

    config.container_url = url;
    ask_with(asker, &config);
    assert_int_equal(pthread_join(platform.thread, NULL), 0);
    close(platform.fd);
}

static void keys_that_last_are_taken(void **state)
{
    struct asker asker;

    (void)state;
    ask_platform(&asker, "2999-01-01T00:00:00Z");
    assert_int_equal(asker.answered, RB_POLL_DONE);
    assert_int_equal(asker.calls, 2);
}

/* As a machine sees them whose clock is ahead. */
static void keys_that_have_expired_when_they_come_are_none(void **state)
{
    struct asker asker;

    (void)state;
    ask_platform(&asker, "2001-01-01T00:00:00Z");
    assert_int_equal(asker.answered, RB_POLL_FAILED);
    assert_string_equal(rb_code_name(asker.err.code), "store_denied");
    assert_non_null(strstr(asker.err.message, "clock"));
    assert_int_equal(asker.calls, 2);
}

/* Nothing is set, and no machine of a cloud's: what lacks is named, not only who was asked in vain. */
static void without_any_keys_it_says_which_options_have_them(void **state)
{
    struct asker asker;
    struct rb_s3_credentials_config config = config_of("auto");

    (void)state;
    assert_int_equal(setenv("HOME", "/nowhere", 1), 0);
    config.instance_endpoint = "http://127.0.0.1:1";
    ask_with(&asker, &config);
    assert_int_equal(asker.answered, RB_POLL_FAILED);
    assert_non_null(strstr(asker.err.message, "s3_access_key and s3_secret_key"));
    config.source = "instance";
    ask_with(&asker, &config);
    assert_int_equal(asker.answered, RB_POLL_FAILED);
    assert_null(strstr(asker.err.message, "s3_access_key"));
}

UNIT_MAIN(T(keys_that_last_are_taken), T(keys_that_have_expired_when_they_come_are_none),
          T(without_any_keys_it_says_which_options_have_them))
