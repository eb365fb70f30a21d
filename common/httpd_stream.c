/*
 * httpd_stream.c — answers whose body comes bit by bit.
 *
 * Way:  common
 *
 * An idle stream is two small structs and a socket: it has no buffer until something is written, and none again when that
 * is sent. The connection's own epoll entry tells when the client goes.
 */
#include <netinet/tcp.h>

#include "common/clock.h"
#include "common/httpd_inside.h"

#define STALLED_MS       60000 /* a client that takes nothing of what waits for so long is gone */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_GAP_S  20
#define KEEPALIVE_COUNT  3

struct rb_stream {
    uint32_t magic;
    struct rb_conn *conn; /* borrowed: it owns this */
    size_t max_queued_bytes;
    rb_loop_fn on_closed; /* NULL when nobody wants to know any more */
    void *arg;            /* borrowed */
    bool chunked;
    bool no_body; /* the answer to HEAD */
    bool ended;   /* the body ends behind what waits */
};

static void set_keepalive(int fd)
{
    const int on = 1, idle_s = KEEPALIVE_IDLE_S, gap_s = KEEPALIVE_GAP_S, tries = KEEPALIVE_COUNT;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap_s, sizeof(gap_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}

static size_t stream_waiting(const struct rb_stream *stream)
{
    return stream->conn->out.used - stream->conn->out_sent;
}

/* Send what waits. What follows from that is done from the loop: a stream never goes within a call for it. */
static void stream_flush(struct rb_stream *stream)
{
    struct rb_conn *conn = stream->conn;
    size_t before = stream_waiting(stream);

    switch (conn->writable ? rb_conn_flush(conn) : RB_POLL_WAIT) {
    case RB_POLL_DONE:
        rb_conn_deadline(conn, 0);
        if (stream->ended)
            rb_conn_queue(conn);
        break;
    case RB_POLL_WAIT:
        if (conn->deadline_ms == 0 || stream_waiting(stream) < before)
            rb_conn_deadline(conn, rb_clock_ms() + STALLED_MS);
        break;
    case RB_POLL_FAILED:
        rb_conn_kill(conn);
        break;
    }
}

void rb_stream_run(struct rb_stream *stream)
{
    struct rb_conn *conn = stream->conn;

    if (conn->hung_up) {
        rb_conn_kill(conn);
        return;
    }
    stream_flush(stream);
    if (!conn->dead && stream->ended && stream_waiting(stream) == 0) {
        conn->stream = NULL;
        rb_conn_next(conn);
        rb_stream_gone(stream);
    }
}

/* Forget what is sent, so that a client that is always a little behind does not make the buffer grow. */
static void stream_compact(struct rb_conn *conn)
{
    if (conn->out_sent == 0 || conn->out_sent < conn->out.used / 2)
        return;
    conn->out.used -= conn->out_sent;
    memmove(conn->out.bytes, conn->out.bytes + conn->out_sent, conn->out.used);
    conn->out_sent = 0;
}

static void stream_finish(struct rb_stream *stream)
{
    if (stream->ended)
        return;
    stream->ended = true;
    if (stream->chunked && !stream->no_body)
        rb_buffer_add(&stream->conn->out, "0\r\n\r\n", 5);
    stream_flush(stream);
}

struct rb_stream *rb_exchange_stream(struct rb_exchange *exchange, const struct rb_reply *reply,
                                     size_t max_queued_bytes, rb_loop_fn on_closed, void *arg)
{
    struct rb_conn *conn = exchange->conn;
    struct rb_httpd *httpd = exchange->httpd;
    struct rb_stream *stream = rb_xalloc(sizeof(*stream));

    RB_ASSERT(exchange->magic == RB_EXCHANGE_MAGIC && conn->exchange == exchange);
    *stream = (struct rb_stream){
        .magic = RB_STREAM_MAGIC,
        .conn = conn,
        .max_queued_bytes = max_queued_bytes,
        .on_closed = on_closed,
        .arg = arg,
        .chunked = !exchange->head.http_1_0,
        .no_body = strcmp(exchange->head.method, "HEAD") == 0,
    };
    if (httpd->config.answered != NULL)
        httpd->config.answered(exchange, reply->status, httpd->config.answered_arg);
    conn->keep_alive = false;
    rb_answer_head(conn, exchange, reply, -1);
    set_keepalive(conn->fd);
    rb_conn_streams(conn, stream);
    rb_buffer_add(&conn->out, httpd->head.bytes, httpd->head.used);
    if (stream->no_body || httpd->quiet)
        stream_finish(stream);
    else
        stream_flush(stream);
    if (conn->hung_up)
        rb_conn_kill(conn);
    return stream;
}

bool rb_stream_write(struct rb_stream *stream, const char *bytes, size_t count)
{
    struct rb_conn *conn = stream->conn;
    char size[24];

    RB_ASSERT(stream->magic == RB_STREAM_MAGIC);
    if (conn->dead)
        return false;
    if (stream->ended || count == 0)
        return true; /* the server ends; on_closed is on its way */
    if (stream_waiting(stream) + count > stream->max_queued_bytes) {
        rb_conn_kill(conn);
        return false;
    }
    stream_compact(conn);
    if (stream->chunked)
        rb_buffer_add(&conn->out, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", count));
    rb_buffer_add(&conn->out, bytes, count);
    if (stream->chunked)
        rb_buffer_add(&conn->out, "\r\n", 2);
    stream_flush(stream);
    return true;
}

void rb_stream_end(struct rb_stream *stream)
{
    RB_ASSERT(stream->magic == RB_STREAM_MAGIC);
    stream->on_closed = NULL;
    stream_finish(stream);
}

/* Ending a stream only queues its connection, so that the list stays as it is. */
void rb_httpd_end_streams(struct rb_httpd *httpd)
{
    for (struct rb_link *link = httpd->conns; link != NULL; link = link->next) {
        struct rb_conn *conn = RB_LINKED(link, rb_conn, all);

        if (conn->stream != NULL)
            stream_finish(conn->stream);
    }
}

void rb_stream_gone(struct rb_stream *stream)
{
    rb_loop_fn on_closed = stream->on_closed;
    void *arg = stream->arg;

    stream->magic = 0;
    free(stream);
    if (on_closed != NULL)
        on_closed(arg);
}
