/*
 * httpd_read.c — bytes of a connection become requests, one after the other, and go to their routes.
 *
 * Way:  common
 */
#include "common/clock.h"
#include "common/httpd_inside.h"

static void serve(struct rb_conn *conn)
{
    struct rb_httpd *httpd = conn->httpd;
    struct rb_exchange *exchange = conn->exchange;

    if (exchange->dropped_bytes > 0) {
        rb_exchange_refuse_size(exchange);
        return;
    }
    rb_conn_enter(conn, CONN_SERVING);
    rb_conn_deadline(conn, 0);
    rb_link_add(&httpd->pending, &exchange->pending);
    httpd->pending_count++;
    exchange->route->fn(exchange, exchange->route->arg);
}

/* The head of a request is whole: its bytes are at `bytes`. */
static void take_head(struct rb_conn *conn, const char *bytes, size_t count)
{
    unsigned status = rb_exchange_new(conn, bytes, count);

    if (status != 0) {
        rb_conn_refuse(conn, status);
        return;
    }
    conn->requests++;
    conn->state = CONN_BODY; /* and it still is among those that keep us waiting */
    rb_exchange_check_head(conn->exchange);
    if (conn->state != CONN_BODY)
        return;

    struct rb_exchange *exchange = conn->exchange;

    if (!exchange->head.chunked && exchange->body_left == 0) {
        serve(conn);
        return;
    }
    rb_conn_deadline(conn, conn->began_ms + conn->httpd->config.request_timeout_ms);
    if (exchange->head.expects_continue)
        rb_conn_send(conn, &(struct rb_buffer){.bytes = (char[]){"HTTP/1.1 100 Continue\r\n\r\n"}, .used = 25}, "", 0,
                     true);
}

static size_t consume_head(struct rb_conn *conn, const char *bytes, size_t count)
{
    unsigned status = 400;
    size_t length = 0;

    if (!conn->begun) {
        conn->begun = true;
        conn->began_ms = rb_clock_ms();
        rb_conn_deadline(conn, conn->began_ms + conn->httpd->config.head_timeout_ms);
    }
    switch (rb_head_find(bytes, count, &conn->search, &length, &status)) {
    case RB_POLL_WAIT:
        return 0;
    case RB_POLL_DONE:
        take_head(conn, bytes, length);
        return length;
    default:
        rb_conn_refuse(conn, status);
        return count;
    }
}

/* A chunked body tells its size only by coming. One that is too large is dropped, up to a bound. */
static void take_data(struct rb_conn *conn, const char *bytes, size_t count)
{
    struct rb_exchange *exchange = conn->exchange;

    if (count > exchange->route->max_body_bytes - exchange->body.used || exchange->dropped_bytes > 0)
        exchange->dropped_bytes += count;
    else
        rb_buffer_add(&exchange->body, bytes, count);
    if (exchange->dropped_bytes > RB_HTTPD_UNREAD_MAX)
        conn->dead = true;
}

static size_t consume_body(struct rb_conn *conn, const char *bytes, size_t count)
{
    struct rb_exchange *exchange = conn->exchange;
    const char *data = bytes;
    size_t used = 0, data_count = 0;
    enum rb_poll done;

    if (exchange->head.chunked) {
        done = rb_chunks_next(&exchange->chunks, bytes, count, &used, &data, &data_count);
    } else {
        used = data_count = RB_MIN(count, exchange->body_left);
        exchange->body_left -= used;
        done = exchange->body_left == 0 ? RB_POLL_DONE : RB_POLL_WAIT;
    }
    if (done == RB_POLL_FAILED) {
        rb_conn_refuse(conn, 400);
        return count;
    }
    if (data_count > 0)
        take_data(conn, data, data_count);
    if (done == RB_POLL_DONE && !conn->dead)
        serve(conn);
    return used;
}

bool rb_conn_wants_input(const struct rb_conn *conn)
{
    return !conn->dead && (conn->state == CONN_HEAD || conn->state == CONN_BODY);
}

/* Gives how many of the bytes were used. Those that are left wait for more, or for the end of an answer. */
static size_t consume(struct rb_conn *conn, const char *bytes, size_t count)
{
    size_t used = 0;

    while (used < count && rb_conn_wants_input(conn)) {
        size_t step = conn->state == CONN_HEAD ? consume_head(conn, bytes + used, count - used)
                                               : consume_body(conn, bytes + used, count - used);

        if (step == 0)
            break;
        used += step;
    }
    return used;
}

void rb_conn_read_kept(struct rb_conn *conn)
{
    size_t used = consume(conn, conn->in.bytes, conn->in.used);

    if (used == conn->in.used) {
        rb_buffer_done(&conn->in);
    } else {
        memmove(conn->in.bytes, conn->in.bytes + used, conn->in.used - used);
        conn->in.used -= used;
    }
}

bool rb_conn_read(struct rb_conn *conn)
{
    char *scratch = conn->httpd->scratch;
    ssize_t count = rb_conn_receive(conn, scratch, RB_HTTPD_SCRATCH);

    if (count <= 0)
        return conn->eof;
    if (conn->state == CONN_LINGERING) {
        conn->lingered_bytes += (size_t)count;
        conn->dead = conn->lingered_bytes > RB_HTTPD_UNREAD_MAX;
        return true;
    }
    if (conn->in.used > 0) {
        rb_buffer_add(&conn->in, scratch, (size_t)count);
        rb_conn_read_kept(conn);
        return true;
    }

    size_t used = consume(conn, scratch, (size_t)count);

    if (used < (size_t)count)
        rb_buffer_add(&conn->in, scratch + used, (size_t)count - used);
    return true;
}
