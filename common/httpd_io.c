/*
 * httpd_io.c — bytes between a connection and its socket, through TLS or not.
 *
 * Way:  common
 */
#include <errno.h>
#include <openssl/err.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/httpd_inside.h"

#define FILE_BLOCK_BYTES 16384     /* one record of TLS */
#define FILE_TURN_BYTES  (1 << 20) /* what one connection may send of a file before others have their turn */

/*
 * TLS cannot go on: note what it waits for. Gives -1 for later, 0 for the end. OpenSSL looks for the reason in the
 * thread's list of errors, where whoever uses OpenSSL may have left something: it must be empty before each call.
 */
static ssize_t tls_trouble(struct rb_conn *conn, int result)
{
    int why = SSL_get_error(conn->tls, result);

    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ) {
        conn->readable = false;
        return -1;
    }
    if (why == SSL_ERROR_WANT_WRITE) {
        conn->writable = false;
        return -1;
    }
    conn->eof = true;
    return 0;
}

ssize_t rb_conn_receive(struct rb_conn *conn, char *room, size_t max_bytes)
{
    if (conn->tls != NULL) {
        ERR_clear_error();

        int result = SSL_read(conn->tls, room, (int)max_bytes);

        return result > 0 ? result : tls_trouble(conn, result);
    }

    ssize_t count = recv(conn->fd, room, max_bytes, 0);

    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        conn->readable = errno == EINTR;
        return -1;
    }
    if (count <= 0)
        conn->eof = true;
    else if ((size_t)count < max_bytes && !conn->hung_up)
        conn->readable = false; /* that was all; the edge tells when there is more */
    return RB_MAX(count, 0);
}

/* Gives the bytes that went, -1 for none now, 0 when the connection is broken. */
static ssize_t send_bytes(struct rb_conn *conn, const char *bytes, size_t count)
{
    if (conn->tls != NULL) {
        ERR_clear_error();

        int result = SSL_write(conn->tls, bytes, (int)RB_MIN(count, (size_t)1 << 20));

        return result > 0 ? result : tls_trouble(conn, result);
    }

    ssize_t sent = send(conn->fd, bytes, count, MSG_NOSIGNAL);

    if (sent < 0 && errno == EAGAIN) {
        conn->writable = false;
        return -1;
    }
    return RB_MAX(sent, 0);
}

static enum rb_poll flush_out(struct rb_conn *conn)
{
    while (conn->out_sent < conn->out.used) {
        ssize_t sent = send_bytes(conn, conn->out.bytes + conn->out_sent, conn->out.used - conn->out_sent);

        if (sent <= 0)
            return sent < 0 ? RB_POLL_WAIT : RB_POLL_FAILED;
        conn->out_sent += (size_t)sent;
    }
    rb_buffer_done(&conn->out);
    conn->out_sent = 0;
    return RB_POLL_DONE;
}

static enum rb_poll flush_body(struct rb_conn *conn)
{
    while (conn->body_left > 0) {
        ssize_t sent = send_bytes(conn, conn->body, conn->body_left);

        if (sent <= 0)
            return sent < 0 ? RB_POLL_WAIT : RB_POLL_FAILED;
        conn->body += sent;
        conn->body_left -= (size_t)sent;
    }
    return RB_POLL_DONE;
}

/* A file that became shorter meanwhile leaves the client without its end: only closing tells it. */
static ssize_t send_file_block(struct rb_conn *conn)
{
    char block[FILE_BLOCK_BYTES];
    ssize_t count;

    if (conn->tls == NULL) {
        count = sendfile(conn->fd, conn->file, &conn->file_at, conn->file_left);
        if (count < 0 && errno == EAGAIN)
            conn->writable = false;
        return count < 0 && errno == EAGAIN ? -1 : RB_MAX(count, 0);
    }
    count = pread(conn->file, block, RB_MIN(conn->file_left, sizeof(block)), conn->file_at);
    if (count <= 0)
        return 0;
    count = send_bytes(conn, block, (size_t)count);
    conn->file_at += RB_MAX(count, 0);
    return count;
}

static enum rb_poll flush_file(struct rb_conn *conn)
{
    size_t turn_bytes = FILE_TURN_BYTES;

    while (conn->file_left > 0) {
        ssize_t sent = send_file_block(conn);

        if (sent <= 0)
            return sent < 0 ? RB_POLL_WAIT : RB_POLL_FAILED;
        conn->file_left -= (size_t)sent;
        if (conn->file_left > 0 && (size_t)sent >= turn_bytes) {
            rb_conn_queue(conn);
            return RB_POLL_WAIT;
        }
        turn_bytes -= (size_t)sent;
    }
    if (conn->file >= 0)
        close(conn->file);
    conn->file = -1;
    return RB_POLL_DONE;
}

enum rb_poll rb_conn_flush(struct rb_conn *conn)
{
    enum rb_poll done = conn->out.used > 0 ? flush_out(conn) : RB_POLL_DONE;

    if (done == RB_POLL_DONE)
        done = flush_body(conn);
    if (done == RB_POLL_DONE)
        done = flush_file(conn);
    return done;
}

/* Head and body in one packet and one call, without a copy, when the socket has room: it nearly always has. */
static size_t send_both(struct rb_conn *conn, const struct rb_buffer *head, const char *body, size_t body_bytes)
{
    struct iovec parts[2] = {{head->bytes, head->used}, {(void *)(uintptr_t)body, body_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body_bytes > 0 ? 2 : 1};
    ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | (conn->file_left > 0 ? MSG_MORE : 0));

    return (size_t)RB_MAX(sent, 0); /* what is wrong with it shows at the next try */
}

enum rb_poll rb_conn_send(struct rb_conn *conn, const struct rb_buffer *head, const char *body, size_t body_bytes,
                          bool body_is_static)
{
    size_t sent = 0;

    if (conn->tls == NULL && conn->out.used == 0)
        sent = send_both(conn, head, body, body_bytes);
    if (sent < head->used)
        rb_buffer_add(&conn->out, head->bytes + sent, head->used - sent);

    size_t body_sent = sent > head->used ? sent - head->used : 0;

    if (body_is_static) {
        conn->body = body + body_sent;
        conn->body_left = body_bytes - body_sent;
    } else if (body_sent < body_bytes) {
        rb_buffer_add(&conn->out, body + body_sent, body_bytes - body_sent);
    }
    return rb_conn_flush(conn);
}
