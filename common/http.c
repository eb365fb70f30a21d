/*
 * http.c — libcurl's multi interface on the loop.
 *
 * Way:  common
 */
#include "common/http.h"

#define HTTP_MAGIC     0x48545450u
#define SOCKET_MAGIC   0x534f434bu
#define TRANSFER_MAGIC 0x58464552u

struct rb_http {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    CURLM *multi;
    struct rb_timer *timer;
    struct rb_task finish; /* hands out ended transfers, one per turn: handlers remove each other */
};

/* A socket of libcurl's, watched for it. */
struct http_socket {
    uint32_t magic;
    struct rb_http *http; /* borrowed */
    curl_socket_t fd;
    struct rb_watch *watch;
};

struct transfer {
    uint32_t magic;
    rb_http_done_fn on_done;
    void *arg;
};

static void http_act(struct rb_http *http, curl_socket_t fd, int events)
{
    int running;

    curl_multi_socket_action(http->multi, fd, events, &running);
    rb_task_queue(&http->finish);
}

static void on_timer(void *arg)
{
    http_act(RB_CAST(rb_http, arg, HTTP_MAGIC), CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(int status, int events, void *arg)
{
    struct http_socket *socket = RB_CAST(http_socket, arg, SOCKET_MAGIC);
    int flags = 0;

    if (status <
        0) /* ERR alone is a failure to send to libcurl: let it look, it may find an answer, or the true reason */
        flags = CURL_CSELECT_ERR | CURL_CSELECT_IN | CURL_CSELECT_OUT;

    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    http_act(socket->http, socket->fd, flags);
}

/* libcurl says what to wait for on a socket. It says REMOVE before it closes one. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct rb_http *http = RB_CAST(rb_http, arg, HTTP_MAGIC);
    struct http_socket *socket = socket_arg;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL) {
            rb_watch_free(socket->watch);
            socket->magic = 0;
            free(socket);
            curl_multi_assign(http->multi, fd, NULL);
        }
        return 0;
    }
    if (socket == NULL) {
        socket = rb_xalloc(sizeof(*socket));
        *socket = (struct http_socket){.magic = SOCKET_MAGIC, .http = http, .fd = fd};
        socket->watch = rb_watch_new(http->loop, fd, on_socket, socket);
        curl_multi_assign(http->multi, fd, socket);
    }
    rb_watch_events(socket->watch, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
    return 0;
}

/* libcurl says when it wants to be called although no socket is ready. Zero must not call back into it from here. */
static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
    struct rb_http *http = RB_CAST(rb_http, arg, HTTP_MAGIC);

    (void)multi;
    if (ms < 0)
        rb_timer_stop(http->timer);
    else
        rb_timer_start(http->timer, ms);
    return 0;
}

static struct transfer *transfer_of(CURL *easy)
{
    void *arg = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&arg);
    return arg;
}

static void detach(struct rb_http *http, CURL *easy)
{
    struct transfer *transfer = RB_CAST(transfer, transfer_of(easy), TRANSFER_MAGIC);

    curl_multi_remove_handle(http->multi, easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
    transfer->magic = 0;
    free(transfer);
}

static void finish_one(void *arg)
{
    struct rb_http *http = RB_CAST(rb_http, arg, HTTP_MAGIC);
    int left;
    CURLMsg *message = curl_multi_info_read(http->multi, &left);

    if (message == NULL)
        return;
    if (left > 0)
        rb_task_queue(&http->finish);
    if (message->msg != CURLMSG_DONE)
        return;

    CURL *easy = message->easy_handle;
    CURLcode result = message->data.result;
    struct transfer transfer = *RB_CAST(transfer, transfer_of(easy), TRANSFER_MAGIC);

    detach(http, easy);
    transfer.on_done(easy, result, transfer.arg);
}

struct rb_http *rb_http_new(struct rb_loop *loop, long host_connections)
{
    struct rb_http *http = rb_xalloc(sizeof(*http));

    *http = (struct rb_http){.magic = HTTP_MAGIC, .loop = loop, .multi = curl_multi_init()};
    if (http->multi == NULL)
        RB_BUG("libcurl cannot make a multi handle");
    http->timer = rb_timer_new(loop, on_timer, http);
    rb_task_init(&http->finish, loop, finish_one, http);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, host_connections);
    return http;
}

void rb_http_free(struct rb_http *http)
{
    if (http == NULL)
        return;
    curl_multi_cleanup(http->multi);
    rb_task_done(&http->finish);
    rb_timer_free(http->timer);
    http->magic = 0;
    free(http);
}

void rb_http_add(struct rb_http *http, CURL *easy, rb_http_done_fn on_done, void *arg)
{
    struct transfer *transfer = rb_xalloc(sizeof(*transfer));

    *transfer = (struct transfer){.magic = TRANSFER_MAGIC, .on_done = on_done, .arg = arg};
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    if (curl_multi_add_handle(http->multi, easy) != CURLM_OK)
        RB_BUG("libcurl does not take a transfer");
}

void rb_http_remove(struct rb_http *http, CURL *easy)
{
    if (transfer_of(easy) != NULL)
        detach(http, easy);
}
