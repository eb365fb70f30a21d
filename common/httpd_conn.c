/*
 * httpd_conn.c — one connection: does what its state asks for, from accept to close.
 *
 * Way:  common
 */
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/httpd_inside.h"

static void enter_waiting(struct rb_conn *conn, enum rb_conn_state state)
{
    conn->state = state;
    if (conn->wait.at == NULL)
        rb_link_append(&conn->httpd->waiting_end, &conn->wait);
    rb_httpd_accept_again(conn->httpd);
}

void rb_conn_enter(struct rb_conn *conn, enum rb_conn_state state)
{
    conn->state = state;
    rb_link_leave(&conn->httpd->waiting_end, &conn->wait);
}

void rb_conn_queue(struct rb_conn *conn)
{
    if (conn->queued.at == NULL)
        rb_link_append(&conn->httpd->queue_end, &conn->queued);
    rb_task_queue(&conn->httpd->run);
}

void rb_conn_kill(struct rb_conn *conn)
{
    conn->dead = true;
    rb_link_leave(&conn->httpd->waiting_end, &conn->wait);
    rb_conn_queue(conn);
}

static SSL *new_tls(struct rb_httpd *httpd, int fd)
{
    SSL *tls = SSL_new(httpd->tls);

    if (tls == NULL || SSL_set_fd(tls, fd) != 1)
        RB_BUG("OpenSSL cannot make a connection");
    SSL_set_accept_state(tls);
    return tls;
}

void rb_conn_open(struct rb_listener *listener, int fd, const struct sockaddr_in6 *peer)
{
    struct rb_httpd *httpd = listener->httpd;
    struct rb_conn *conn = rb_xalloc(sizeof(*conn));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = conn};
    const int on = 1;

    *conn = (struct rb_conn){
        .magic = RB_CONN_MAGIC,
        .httpd = httpd,
        .fd = fd,
        .readable = true,
        .writable = true,
        .file = -1,
        .began_ms = rb_clock_ms(),
        .begun = true,
        .peer = *peer,
    };
    httpd->conn_count++;
    rb_link_add(&httpd->conns, &conn->all);
    if (!rb_peer_enter(conn)) {
        httpd->counts.refused++;
        rb_conn_kill(conn);
        return;
    }
    if (epoll_ctl(httpd->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        rb_conn_kill(conn);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->tls = listener->tls ? new_tls(httpd, fd) : NULL;
    enter_waiting(conn, conn->tls != NULL ? CONN_HANDSHAKE : CONN_HEAD);
    rb_conn_deadline(conn, conn->began_ms + httpd->config.head_timeout_ms);
    rb_conn_queue(conn); /* most have sent something by now */
}

static void conn_free(struct rb_conn *conn)
{
    struct rb_httpd *httpd = conn->httpd;

    RB_ASSERT(conn->state != CONN_SERVING); /* the route would answer nobody */
    rb_exchange_free(conn->exchange);
    rb_peer_leave(conn);
    rb_conn_deadline(conn, 0);
    rb_link_leave(&httpd->waiting_end, &conn->wait);
    rb_link_leave(&httpd->queue_end, &conn->queued);
    rb_link_remove(&conn->all);
    httpd->conn_count--;
    if (conn->file >= 0)
        close(conn->file);
    SSL_free(conn->tls);
    close(conn->fd);
    rb_buffer_done(&conn->in);
    rb_buffer_done(&conn->out);

    struct rb_stream *stream = conn->stream;

    conn->magic = 0;
    free(conn);
    if (stream != NULL)
        rb_stream_gone(stream);
    rb_httpd_accept_again(httpd);
}

static void linger(struct rb_conn *conn)
{
    rb_conn_enter(conn, CONN_LINGERING);
    if (conn->tls != NULL) {
        SSL_shutdown(conn->tls);
        ERR_clear_error();
    }
    shutdown(conn->fd, SHUT_WR);
    rb_conn_deadline(conn, rb_clock_ms() + RB_HTTPD_LINGER_MS);
}

void rb_conn_next(struct rb_conn *conn)
{
    const struct rb_httpd *httpd = conn->httpd;

    if (!conn->keep_alive || httpd->quiet || (conn->eof && conn->in.used == 0)) {
        linger(conn);
        return;
    }
    conn->search = (struct rb_head_search){0};
    conn->begun = false;
    enter_waiting(conn, CONN_HEAD);
    rb_conn_deadline(conn, rb_clock_ms() + httpd->config.idle_timeout_ms);
}

void rb_conn_answered(struct rb_conn *conn, enum rb_poll sent)
{
    struct rb_exchange *exchange = conn->exchange;

    conn->exchange = NULL;
    rb_exchange_free(exchange);
    rb_conn_enter(conn, CONN_SENDING);
    if (sent == RB_POLL_DONE)
        rb_conn_next(conn);
    else if (sent == RB_POLL_WAIT)
        rb_conn_deadline(conn, rb_clock_ms() + conn->httpd->config.idle_timeout_ms);
    else
        conn->dead = true;
    if (!conn->running && (conn->dead || conn->readable || conn->in.used > 0))
        rb_conn_queue(conn);
}

void rb_conn_streams(struct rb_conn *conn, struct rb_stream *stream)
{
    struct rb_exchange *exchange = conn->exchange;

    conn->exchange = NULL;
    rb_exchange_free(exchange);
    conn->stream = stream;
    rb_conn_enter(conn, CONN_STREAMING);
    rb_conn_deadline(conn, 0);
}

static bool shake_hands(struct rb_conn *conn)
{
    ERR_clear_error();

    int result = SSL_do_handshake(conn->tls);

    if (result == 1) {
        conn->state = CONN_HEAD;
        return true;
    }

    int why = SSL_get_error(conn->tls, result);

    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ)
        conn->readable = false;
    else if (why == SSL_ERROR_WANT_WRITE)
        conn->writable = false;
    else
        conn->dead = true;
    return false;
}

static bool send_more(struct rb_conn *conn)
{
    size_t before = conn->out_sent + conn->body_left + conn->file_left;

    switch (rb_conn_flush(conn)) {
    case RB_POLL_DONE:
        rb_conn_next(conn);
        return true;
    case RB_POLL_WAIT:
        if (before != conn->out_sent + conn->body_left + conn->file_left)
            rb_conn_deadline(conn, rb_clock_ms() + conn->httpd->config.idle_timeout_ms);
        return false;
    default:
        conn->dead = true;
        return false;
    }
}

/* One step of what the state asks for. Gives true when there may be more to do. */
static bool step(struct rb_conn *conn)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
        return conn->readable && conn->writable && shake_hands(conn);
    case CONN_HEAD:
    case CONN_BODY:
        if (conn->eof)
            conn->dead = true; /* half a request, or none */
        return !conn->dead && conn->readable && rb_conn_read(conn);
    case CONN_SENDING:
        return conn->writable && send_more(conn);
    case CONN_STREAMING:
        rb_stream_run(conn->stream);
        return false;
    case CONN_LINGERING:
        if (conn->eof)
            conn->dead = true;
        return !conn->dead && conn->readable && rb_conn_read(conn);
    case CONN_SERVING:
        break;
    }
    return false;
}

/* What came with the last request and is a new one goes first; then the state decides. */
void rb_conn_run(struct rb_conn *conn)
{
    RB_ASSERT(conn->magic == RB_CONN_MAGIC);
    conn->running = true;
    for (unsigned turns = 0; !conn->dead; turns++) {
        size_t kept = conn->in.used;
        enum rb_conn_state state = conn->state;

        if (turns > 64) { /* others want something, too */
            rb_conn_queue(conn);
            break;
        }
        if (kept > 0 && rb_conn_wants_input(conn)) {
            rb_conn_read_kept(conn);
            if (conn->in.used != kept || conn->state != state)
                continue;
        }
        if (!step(conn) && (conn->dead || conn->state == state))
            break;
    }
    conn->running = false;
    if (conn->state == CONN_STREAMING)
        rb_buffer_done(&conn->in); /* what follows on this connection is nobody's */
    if (conn->dead)
        conn_free(conn);
}
