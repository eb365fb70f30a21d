/*
 * httpd.c — the HTTP server: accepts connections, and runs those that have something to do.
 *
 * Way:  common
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/httpd_inside.h"
#include "common/log.h"

#define EVENT_BATCH                256
#define ACCEPT_BATCH               64
#define ACCEPT_PAUSE_MS            100
#define OTHER_DESCRIPTORS          256 /* for Kafka, Postgres, files */

#define DEFAULT_HEAD_TIMEOUT_MS    10000
#define DEFAULT_REQUEST_TIMEOUT_MS 15000
#define DEFAULT_IDLE_TIMEOUT_MS    15000
#define DEFAULT_MAX_CONNECTIONS    4096
#define DEFAULT_UNIX_MODE          0660

/* Each connection is a descriptor; the loop has asked for as many as it may have. Some are for other things. */
static void fit_descriptor_limit(struct rb_httpd *httpd)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_cur != RLIM_INFINITY && httpd->config.max_connections + OTHER_DESCRIPTORS > (int64_t)limit.rlim_cur)
        httpd->config.max_connections = RB_MAX((int64_t)limit.rlim_cur - OTHER_DESCRIPTORS, (int64_t)16);
}

static void watch_listeners(struct rb_httpd *httpd, uint32_t events)
{
    for (struct rb_listener *listener = httpd->listeners; listener != NULL; listener = listener->next) {
        struct epoll_event event = {.events = events, .data.ptr = listener};

        if (epoll_ctl(httpd->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event) < 0 &&
            epoll_ctl(httpd->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) < 0)
            RB_BUG("a listening socket that cannot be watched");
    }
}

void rb_httpd_accept_again(struct rb_httpd *httpd)
{
    if (!httpd->full || httpd->quiet)
        return;
    httpd->full = false;
    watch_listeners(httpd, EPOLLIN);
}

static void stop_accepting(struct rb_httpd *httpd)
{
    httpd->full = true;
    watch_listeners(httpd, 0);
}

/* With no room left, whoever has kept us waiting longest makes some. When nobody has, new ones wait in the kernel. */
static bool may_accept(struct rb_httpd *httpd)
{
    if ((int64_t)httpd->conn_count < httpd->config.max_connections || httpd->waiting != NULL)
        return true;
    stop_accepting(httpd);
    return false;
}

static void evict_longest(struct rb_httpd *httpd)
{
    if (httpd->waiting == NULL)
        return;
    httpd->counts.evicted++;
    rb_conn_kill(RB_LINKED(httpd->waiting, rb_conn, wait));
}

/*
 * The system gives no descriptor or no memory. Asking at once would be asking for ever; and others than connections may
 * have taken them, so that waiting for one of ours to go is not enough.
 */
static void accept_later(struct rb_httpd *httpd)
{
    if (!httpd->starved)
        rb_log(NULL, RB_EV_ACCEPT_FAILS, "connections=%zu error=%d", httpd->conn_count, errno);
    httpd->starved = true;
    evict_longest(httpd);
    stop_accepting(httpd);
    rb_timer_start(httpd->accept, ACCEPT_PAUSE_MS);
}

static void accept_some(struct rb_listener *listener)
{
    struct rb_httpd *httpd = listener->httpd;

    for (int i = 0; i < ACCEPT_BATCH && !httpd->quiet && may_accept(httpd); i++) {
        struct sockaddr_in6 peer = {0};
        socklen_t size = sizeof(peer);
        int fd = accept4(listener->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            httpd->starved = false;
            if ((int64_t)httpd->conn_count >= httpd->config.max_connections)
                evict_longest(httpd);
            if (size < sizeof(struct sockaddr_in))
                peer.sin6_family = AF_UNIX;
            rb_conn_open(listener, fd, &peer);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            accept_later(httpd);
            return;
        }
    }
}

static void on_accept(void *arg)
{
    rb_httpd_accept_again(RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC));
}

static void on_event(const struct epoll_event *event)
{
    const uint32_t *magic = event->data.ptr;

    if (*magic == RB_LISTENER_MAGIC) {
        accept_some(event->data.ptr);
        return;
    }

    struct rb_conn *conn = RB_CAST(rb_conn, event->data.ptr, RB_CONN_MAGIC);

    if ((event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        conn->hung_up = true;
    if ((event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        conn->readable = true;
    if ((event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
        conn->writable = true;
    rb_conn_run(conn);
}

/* A connection is freed only by its own event or from the queue: none of the batch is stale. */
static void on_ready(int status, int events, void *arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC);
    struct epoll_event batch[EVENT_BATCH];
    int count = epoll_wait(httpd->epoll_fd, batch, EVENT_BATCH, 0);

    (void)status;
    (void)events;
    for (int i = 0; i < count; i++)
        on_event(&batch[i]);
}

/* What is queued while these run waits for the next turn. */
static void run_queue(void *arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC);
    struct rb_link *last = httpd->queue != NULL ? RB_LINKED(httpd->queue_end, rb_link, next) : NULL;

    while (httpd->queue != NULL) {
        struct rb_link *link = httpd->queue;

        rb_link_leave(&httpd->queue_end, link);
        rb_conn_run(RB_LINKED(link, rb_conn, queued));
        if (link == last)
            break;
    }
    if (httpd->queue != NULL)
        rb_task_queue(&httpd->run);
}

static void set_defaults(struct rb_httpd_config *config)
{
    if (config->head_timeout_ms <= 0)
        config->head_timeout_ms = DEFAULT_HEAD_TIMEOUT_MS;
    if (config->request_timeout_ms <= 0)
        config->request_timeout_ms = DEFAULT_REQUEST_TIMEOUT_MS;
    if (config->idle_timeout_ms <= 0)
        config->idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
    if (config->max_connections <= 0)
        config->max_connections = DEFAULT_MAX_CONNECTIONS;
    if (config->unix_mode == 0)
        config->unix_mode = DEFAULT_UNIX_MODE;
    if (config->tls_cert == NULL)
        config->tls_cert = "";
    if (config->tls_key == NULL)
        config->tls_key = "";
}

static bool wants_tls(const struct rb_httpd *httpd)
{
    return httpd->config.tls_cert[0] != '\0' || httpd->config.tls_key[0] != '\0';
}

static struct rb_httpd *httpd_make(struct rb_loop *loop, const struct rb_httpd_config *config)
{
    struct rb_httpd *httpd = rb_xalloc(sizeof(*httpd));

    httpd->magic = RB_HTTPD_MAGIC;
    httpd->loop = loop;
    httpd->config = *config;
    set_defaults(&httpd->config);
    httpd->waiting_end = &httpd->waiting;
    httpd->queue_end = &httpd->queue;
    httpd->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (httpd->epoll_fd < 0)
        RB_BUG("no epoll");
    httpd->tick = rb_timer_new(loop, rb_httpd_tick, httpd);
    httpd->accept = rb_timer_new(loop, on_accept, httpd);
    rb_task_init(&httpd->run, loop, run_queue, httpd);
    httpd->watch = rb_watch_new(loop, httpd->epoll_fd, on_ready, httpd);
    rb_watch_events(httpd->watch, UV_READABLE);
    return httpd;
}

int rb_httpd_new(struct rb_loop *loop, const struct rb_httpd_config *config, struct rb_httpd **ret_httpd,
                 struct rb_error *err)
{
    RB_AUTO(rb_httpd) *httpd = httpd_make(loop, config);

    fit_descriptor_limit(httpd);
    if (wants_tls(httpd))
        RB_TRY(rb_tls_load(httpd, err));
    RB_TRY(rb_listeners_open(httpd, err));
    watch_listeners(httpd, EPOLLIN);
    for (const struct rb_listener *listener = httpd->listeners; listener != NULL; listener = listener->next)
        rb_log(NULL, RB_EV_LISTENING, "address=%s tls=%d", listener->name, listener->tls);
    *ret_httpd = RB_STEAL(httpd);
    return 0;
}

int rb_httpd_reload(struct rb_httpd *httpd, struct rb_error *err)
{
    return wants_tls(httpd) ? rb_tls_load(httpd, err) : 0;
}

unsigned rb_httpd_port(const struct rb_httpd *httpd)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof(address);

    if (httpd->listeners == NULL || getsockname(httpd->listeners->fd, (struct sockaddr *)&address, &size) < 0 ||
        (address.sin6_family != AF_INET && address.sin6_family != AF_INET6))
        return 0;
    return ntohs(address.sin6_port); /* at the same place for IPv4 */
}

const struct rb_httpd_counts *rb_httpd_counts(struct rb_httpd *httpd)
{
    httpd->counts.connections = httpd->conn_count;
    return &httpd->counts;
}

/* What came while the answer before it was on its way, or since we last looked, is a request all the same. */
static bool has_unread_bytes(const struct rb_conn *conn)
{
    char byte;

    return conn->in.used > 0 || recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Connections that wait for a request have had all their answers. */
void rb_httpd_quiesce(struct rb_httpd *httpd)
{
    httpd->quiet = true;
    rb_listeners_close(httpd);
    rb_httpd_end_streams(httpd);
    for (struct rb_link *link = httpd->waiting; link != NULL;) {
        struct rb_conn *conn = RB_LINKED(link, rb_conn, wait);

        link = link->next;
        if (conn->begun)
            continue;
        if (has_unread_bytes(conn)) {
            conn->readable = true;
            rb_conn_queue(conn);
        } else {
            rb_conn_kill(conn);
        }
    }
}

size_t rb_httpd_pending(const struct rb_httpd *httpd)
{
    return httpd->pending_count;
}

static bool is_unfinished(const struct rb_conn *conn)
{
    switch (conn->state) {
    case CONN_HEAD:
        return conn->in.used > 0 || conn->readable;
    case CONN_BODY:
    case CONN_SERVING:
    case CONN_SENDING:
        return !conn->dead;
    default:
        return false;
    }
}

size_t rb_httpd_unfinished(const struct rb_httpd *httpd)
{
    size_t count = 0;

    for (const struct rb_link *link = httpd->conns; link != NULL; link = link->next)
        count += is_unfinished(RB_LINKED(link, rb_conn, all));
    return count;
}

void rb_httpd_free(struct rb_httpd *httpd)
{
    if (httpd == NULL)
        return;
    httpd->stopping = true;
    rb_httpd_quiesce(httpd);
    while (httpd->pending != NULL)
        rb_exchange_reply_error(RB_LINKED(httpd->pending, rb_exchange, pending), 503, "the server stops",
                                &(struct rb_header){"Retry-After", "1"});
    while (httpd->conns != NULL) {
        struct rb_conn *conn = RB_LINKED(httpd->conns, rb_conn, all);

        conn->dead = true;
        rb_conn_run(conn);
    }
    rb_watch_free(httpd->watch);
    rb_timer_free(httpd->tick);
    rb_timer_free(httpd->accept);
    rb_task_done(&httpd->run);
    close(httpd->epoll_fd);
    SSL_CTX_free(httpd->tls);
    rb_buffer_done(&httpd->head);
    httpd->magic = 0;
    free(httpd);
}
