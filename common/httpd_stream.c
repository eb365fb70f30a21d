/*
 * httpd_stream.c — answers whose body comes bit by bit.
 *
 * Way:  common
 *
 * While nothing waits to be sent, the connection is suspended: libmicrohttpd would ask for bytes again and again. It does
 * not look at a suspended connection, so one epoll for all streams tells whose client has gone; a descriptor may be in two
 * of them. That costs no memory here and, unlike a handle of libuv for each, no second descriptor.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/httpd_inside.h"

#define BLOCK_BYTES      512 /* libmicrohttpd has a buffer of this size for each stream of HTTP/1.0 */
#define GONE_BATCH       64
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_GAP_S  20
#define KEEPALIVE_COUNT  3

struct rb_stream {
    uint32_t magic;
    struct rb_exchange *exchange; /* borrowed: it owns this */
    struct rb_buffer queue;       /* waits for the client; given back when it is empty */
    size_t sent;                  /* of the queue */
    size_t max_queued_bytes;
    rb_loop_fn on_closed; /* NULL when nobody wants to know any more */
    void *arg;            /* borrowed */
    bool suspended;
    bool ended;  /* the body ends when the queue is empty */
    bool broken; /* the connection ends, whatever waits */
    struct rb_stream *next;
    struct rb_stream **link; /* what points at this one */
};

static int stream_fd(const struct rb_stream *stream)
{
    return MHD_get_connection_info(stream->exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void stream_resume(struct rb_stream *stream)
{
    if (!stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(stream->exchange->connection);
    rb_httpd_wake(stream->exchange->httpd);
}

/* A client that reads nothing would keep its connection until the last byte; a socket that is shut down lets it go. */
static void stream_break(struct rb_stream *stream)
{
    stream->broken = true;
    shutdown(stream_fd(stream), SHUT_RDWR);
    stream_resume(stream);
}

/* libmicrohttpd can take bytes. */
static ssize_t on_room(void *arg, uint64_t position, char *room, size_t max_bytes)
{
    struct rb_stream *stream = RB_CAST(rb_stream, arg, RB_STREAM_MAGIC);
    size_t count = RB_MIN(stream->queue.used - stream->sent, max_bytes);

    (void)position;
    if (stream->broken)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (count > 0) {
        memcpy(room, stream->queue.bytes + stream->sent, count);
        stream->sent += count;
        if (stream->sent == stream->queue.used) {
            rb_buffer_done(&stream->queue);
            stream->sent = 0;
        }
        return (ssize_t)count;
    }
    if (stream->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    stream->suspended = true;
    MHD_suspend_connection(stream->exchange->connection);
    return 0;
}

/* Breaking a stream frees nothing yet, so that none of the batch is stale. */
static void on_gone(int status, int events, void *arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC);
    struct epoll_event batch[GONE_BATCH];
    int count = epoll_wait(httpd->gone_fd, batch, GONE_BATCH, 0);

    (void)status;
    (void)events;
    for (int i = 0; i < count; i++)
        stream_break(RB_CAST(rb_stream, batch[i].data.ptr, RB_STREAM_MAGIC));
}

static void set_keepalive(int fd)
{
    const int on = 1, idle_s = KEEPALIVE_IDLE_S, gap_s = KEEPALIVE_GAP_S, tries = KEEPALIVE_COUNT;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap_s, sizeof(gap_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}

static void watch_for_the_end(struct rb_httpd *httpd, struct rb_stream *stream)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = stream};

    if (httpd->gone_fd < 0) {
        httpd->gone_fd = epoll_create1(EPOLL_CLOEXEC);
        if (httpd->gone_fd < 0)
            RB_BUG("no epoll");
        httpd->gone_watch = rb_watch_new(httpd->loop, httpd->gone_fd, on_gone, httpd);
        rb_watch_events(httpd->gone_watch, UV_READABLE);
    }
    if (epoll_ctl(httpd->gone_fd, EPOLL_CTL_ADD, stream_fd(stream), &event) < 0)
        stream_break(stream); /* a limit of the system; better none than one that stays for ever */
    set_keepalive(stream_fd(stream));
}

static void list_add(struct rb_stream **list, struct rb_stream *stream)
{
    stream->next = *list;
    stream->link = list;
    if (stream->next != NULL)
        stream->next->link = &stream->next;
    *list = stream;
}

static void list_remove(struct rb_stream *stream)
{
    *stream->link = stream->next;
    if (stream->next != NULL)
        stream->next->link = stream->link;
}

struct rb_stream *rb_exchange_stream(struct rb_exchange *exchange, const struct rb_reply *reply,
                                     size_t max_queued_bytes, rb_loop_fn on_closed, void *arg)
{
    struct rb_stream *stream = rb_xalloc(sizeof(*stream));
    struct MHD_Response *answer =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_room, stream, NULL);

    if (answer == NULL)
        RB_BUG("libmicrohttpd cannot make a response");
    *stream = (struct rb_stream){
        .magic = RB_STREAM_MAGIC,
        .exchange = exchange,
        .max_queued_bytes = max_queued_bytes,
        .on_closed = on_closed,
        .arg = arg,
        .ended = exchange->httpd->quiet,
    };
    exchange->stream = stream;
    list_add(&exchange->httpd->streams, stream);
    watch_for_the_end(exchange->httpd, stream);
    rb_exchange_set_headers(exchange, reply, answer);
    rb_exchange_answer(exchange, reply->status, answer);
    return stream;
}

/* Forget what is sent, so that a client that is always a little behind does not make the queue grow. */
static void queue_compact(struct rb_stream *stream)
{
    if (stream->sent < stream->queue.used / 2)
        return;
    stream->queue.used -= stream->sent;
    memmove(stream->queue.bytes, stream->queue.bytes + stream->sent, stream->queue.used);
    stream->sent = 0;
}

bool rb_stream_write(struct rb_stream *stream, const char *bytes, size_t count)
{
    RB_ASSERT(stream->magic == RB_STREAM_MAGIC);
    if (stream->broken)
        return false;
    if (stream->ended)
        return true; /* the server ends; on_closed is on its way */
    if (stream->queue.used - stream->sent + count > stream->max_queued_bytes) {
        stream_break(stream);
        return false;
    }
    if (stream->sent > 0)
        queue_compact(stream);
    rb_buffer_add(&stream->queue, bytes, count);
    stream_resume(stream);
    return true;
}

void rb_stream_end(struct rb_stream *stream)
{
    RB_ASSERT(stream->magic == RB_STREAM_MAGIC);
    stream->on_closed = NULL;
    stream->ended = true;
    stream_resume(stream);
}

void rb_httpd_end_streams(struct rb_httpd *httpd)
{
    for (struct rb_stream *stream = httpd->streams; stream != NULL; stream = stream->next) {
        stream->ended = true;
        stream_resume(stream);
    }
}

void rb_stream_gone(struct rb_stream *stream)
{
    rb_loop_fn on_closed = stream->on_closed;
    void *arg = stream->arg;

    epoll_ctl(stream->exchange->httpd->gone_fd, EPOLL_CTL_DEL, stream_fd(stream), NULL);
    list_remove(stream);
    rb_buffer_done(&stream->queue);
    stream->magic = 0;
    free(stream);
    if (on_closed != NULL)
        on_closed(arg);
}
