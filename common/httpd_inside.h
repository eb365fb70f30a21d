/*
 * httpd_inside.h — what the files httpd*.c share and nobody else sees.
 *
 * Way:  common
 *
 * One connection has one state and at most one exchange:
 *
 *   HANDSHAKE  TLS is being agreed on
 *   HEAD       waits for a request, or for the rest of its head
 *   BODY       the head is taken, the body comes
 *   SERVING    a route has the exchange; nothing is read
 *   SENDING    the answer is on its way, the exchange is gone
 *   STREAMING  a stream has the connection
 *   LINGERING  all is said; what the client still sends is dropped, so that the answer arrives
 *
 * All connections and listening sockets hang on one epoll, edge-triggered, which the loop watches. A connection is freed
 * in one place, rb_conn_run; everybody else marks it as dead and queues it.
 */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include "common/buffer.h"
#include "common/httpd.h"
#include "common/httpd_chunks.h"
#include "common/httpd_head.h"

#define RB_HTTPD_MAGIC    0x48545044u
#define RB_LISTENER_MAGIC 0x4c495354u
#define RB_CONN_MAGIC     0x434f4e4eu
#define RB_EXCHANGE_MAGIC 0x45584348u
#define RB_STREAM_MAGIC   0x5354524du

#define RB_HTTPD_SCRATCH  ((size_t)65536)
#define RB_HTTPD_SLOTS    64
#define RB_HTTPD_SLOT_MS  250
#define RB_HTTPD_PEERS    1024
#define RB_HTTPD_UNREAD_MAX                                                                                            \
    ((size_t)(1 << 20)) /* of a refused request are read and dropped, so that the answer arrives */
#define RB_HTTPD_LINGER_MS 5000

enum rb_conn_state { CONN_HANDSHAKE, CONN_HEAD, CONN_BODY, CONN_SERVING, CONN_SENDING, CONN_STREAMING, CONN_LINGERING };

/* A place in a list; what points at it is known, so that it can leave by itself. */
struct rb_link {
    struct rb_link *next, **at; /* at is NULL when it is in no list */
};

struct rb_listener {
    uint32_t magic;
    struct rb_httpd *httpd; /* borrowed */
    int fd;
    bool tls;
    char *unix_path; /* owned; to be removed at the end, NULL for none */
    char *name;      /* owned; as the option has it */
    struct rb_listener *next;
};

/* How many connections one address has. */
struct rb_peer {
    uint64_t key; /* rb_address_key */
    unsigned count;
    struct rb_peer *next;
};

struct rb_httpd {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    struct rb_httpd_config config;
    SSL_CTX *tls; /* NULL without TLS */
    struct rb_listener *listeners;
    int epoll_fd;
    struct rb_watch *watch;
    struct rb_timer *tick;   /* runs while any connection has a deadline */
    struct rb_timer *accept; /* until accepting is tried again */
    struct rb_task run;      /* serves what is queued */
    struct rb_link *conns;
    size_t conn_count;
    struct rb_link *waiting, **waiting_end; /* connections in HANDSHAKE, HEAD or BODY, the longest first */
    struct rb_link *queue, **queue_end;     /* connections to look at */
    struct rb_link *slots[RB_HTTPD_SLOTS];  /* by deadline */
    size_t deadline_count;
    int64_t slot_ms; /* up to when the slots were looked at */
    struct rb_peer *peers[RB_HTTPD_PEERS];
    struct rb_link *pending; /* exchanges that a route has and has not answered */
    size_t pending_count;
    struct rb_httpd_counts counts;
    struct rb_buffer head; /* of the answer that is being made */
    int64_t date_s;        /* the second that date is of */
    char date[40];
    bool full;     /* does not accept at the moment */
    bool starved;  /* the system gave no descriptor when one was asked for last */
    bool quiet;    /* accepts no more connections */
    bool stopping; /* and no more requests */
    char scratch[RB_HTTPD_SCRATCH];
};

struct rb_conn {
    uint32_t magic;
    enum rb_conn_state state;
    struct rb_httpd *httpd; /* borrowed */
    int fd;
    SSL *tls;                /* owned; NULL without TLS */
    bool readable, writable; /* what the descriptor said last */
    bool hung_up;            /* the other side sends no more; what it sent may still have to be read */
    bool eof;                /* and that has been read */
    bool running;            /* rb_conn_run is at work on it */
    bool dead;               /* is to be freed */
    bool counted;            /* among those of its address */
    bool keep_alive;         /* after the answer that is on its way */
    bool begun;              /* the first byte of a head is there */
    unsigned requests;
    int64_t began_ms; /* of the request */
    int64_t deadline_ms;
    size_t lingered_bytes;
    struct rb_head_search search;
    struct rb_buffer in; /* has come and is not used; given back when empty */
    struct rb_buffer out;
    size_t out_sent;
    const char *body; /* behind out: static bytes */
    size_t body_left;
    int file; /* behind those: a file; -1 for none */
    off_t file_at;
    size_t file_left;
    struct rb_exchange *exchange; /* owned; NULL when there is none */
    struct rb_stream *stream;     /* owned; NULL when there is none */
    struct rb_link all, wait, slot, queued;
    struct sockaddr_in6 peer; /* or sockaddr_in; AF_UNIX and nothing else for a unix socket */
};

struct rb_exchange {
    uint32_t magic;
    struct rb_httpd *httpd;       /* borrowed */
    struct rb_conn *conn;         /* borrowed: it owns this */
    const struct rb_route *route; /* NULL when none fits; an answer is given then */
    struct rb_buffer body;
    struct rb_chunks chunks;
    uint64_t body_left;   /* with a length */
    size_t dropped_bytes; /* of a body that is too large */
    int64_t began_ms;
    char *query; /* owned; decoded at first use: name NUL value NUL ... NUL */
    struct rb_link pending;
    struct rb_header *added; /* owned with its texts: headers of whatever answer is given */
    size_t added_count;
    char client[RB_CLIENT_NAME_BYTES]; /* "" until somebody has said who it is */
    struct rb_head head;
    char bytes[]; /* of the head */
};

#define RB_LINKED(link, type, member) ((struct type *)(void *)((char *)(link)-offsetof(struct type, member)))

/*
 * Put a link in front of a list that `head` points at.
 *
 * Loop:   pure.
 */
static inline void rb_link_add(struct rb_link **head, struct rb_link *link)
{
    link->next = *head;
    link->at = head;
    if (link->next != NULL)
        link->next->at = &link->next;
    *head = link;
}

/*
 * Take a link out of the list it is in, if it is in one. The list has no end pointer.
 *
 * Loop:   pure.
 */
static inline void rb_link_remove(struct rb_link *link)
{
    if (link->at == NULL)
        return;
    *link->at = link->next;
    if (link->next != NULL)
        link->next->at = link->at;
    link->at = NULL;
}

/*
 * Put a link at the end of a list that has an end pointer.
 *
 * Loop:   pure.
 */
static inline void rb_link_append(struct rb_link ***end, struct rb_link *link)
{
    link->next = NULL;
    link->at = *end;
    **end = link;
    *end = &link->next;
}

/*
 * Take a link out of a list that has an end pointer, if it is in it.
 *
 * Loop:   pure.
 */
static inline void rb_link_leave(struct rb_link ***end, struct rb_link *link)
{
    if (link->at == NULL)
        return;
    if (*end == &link->next)
        *end = link->at;
    rb_link_remove(link);
}

/* ---- httpd.c */

/*
 * A connection has gone, or could go: if there was no room for more, there is now.
 *
 * Loop:   loop thread.
 */
void rb_httpd_accept_again(struct rb_httpd *httpd);

/* ---- httpd_listen.c */

/*
 * Open all sockets of a list such as "127.0.0.1:80, [::1]:80, *:80, unix:/path, systemd, systemd:NAME".
 *
 * Gives:  the httpd's listeners, not watched yet.
 * Fails:  BAD_OPTION when an address is none, SYSTEM when it cannot be listened to.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_listeners_open(struct rb_httpd *httpd, struct rb_error *err);

/*
 * Close them, and remove the files of those that have one.
 *
 * Loop:   loop thread.
 */
void rb_listeners_close(struct rb_httpd *httpd);

/* ---- httpd_tls.c */

/*
 * Read certificate and key, and take them for all connections from now on.
 *
 * Gives:  the httpd's tls.
 * Fails:  BAD_OPTION with the name of the option that is wrong; what was there stays.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_tls_load(struct rb_httpd *httpd, struct rb_error *err);

/* ---- httpd_io.c */

/*
 * Read what is there, through TLS if there is any.
 *
 * Gives:  bytes read; 0 at the end or when the connection is broken, conn->eof tells; -1 when there is nothing now.
 * Loop:   loop thread.
 */
ssize_t rb_conn_receive(struct rb_conn *conn, char *room, size_t max_bytes);

/*
 * Send what waits in the connection.
 *
 * Gives:  DONE when nothing waits any more; WAIT; FAILED when the connection is broken.
 * Loop:   loop thread.
 */
enum rb_poll rb_conn_flush(struct rb_conn *conn);

/*
 * Send a head and a body behind it; what does not go now waits in the connection.
 *
 * Takes:  body, copied as far as it does not go now, unless it is static.
 * Gives:  as rb_conn_flush.
 * Loop:   loop thread.
 */
enum rb_poll rb_conn_send(struct rb_conn *conn, const struct rb_buffer *head, const char *body, size_t body_bytes,
                          bool body_is_static);

/* ---- httpd_limits.c */

/*
 * Give the connection so much time from now on; 0 for all the time in the world.
 *
 * Loop:   loop thread.
 */
void rb_conn_deadline(struct rb_conn *conn, int64_t until_ms);

/*
 * End the connections whose time is up. The callback of the httpd's tick.
 *
 * Loop:   loop thread.
 */
void rb_httpd_tick(void *arg);

/*
 * Count a connection for its address.
 *
 * Gives:  false when the address has as many as it may.
 * Loop:   loop thread.
 */
bool rb_peer_enter(struct rb_conn *conn);

/*
 * Count it no more.
 *
 * Loop:   loop thread.
 */
void rb_peer_leave(struct rb_conn *conn);

/* ---- httpd_conn.c */

/*
 * Take an accepted socket.
 *
 * Takes:  fd, owned from now on; peer, copied.
 * Loop:   loop thread.
 */
void rb_conn_open(struct rb_listener *listener, int fd, const struct sockaddr_in6 *peer);

/*
 * Do with the connection what can be done now. It may be freed afterwards.
 *
 * Loop:   loop thread.
 */
void rb_conn_run(struct rb_conn *conn);

/*
 * Look at the connection soon.
 *
 * Loop:   loop thread.
 */
void rb_conn_queue(struct rb_conn *conn);

/*
 * End the connection soon, whatever it does.
 *
 * Loop:   loop thread.
 */
void rb_conn_kill(struct rb_conn *conn);

/*
 * The answer of the connection's exchange has been given to rb_conn_send, with this result.
 *
 * Takes:  the exchange is freed.
 * Loop:   loop thread.
 */
void rb_conn_answered(struct rb_conn *conn, enum rb_poll sent);

/*
 * A stream has the connection from now on.
 *
 * Takes:  the exchange is freed; stream, owned.
 * Loop:   loop thread.
 */
void rb_conn_streams(struct rb_conn *conn, struct rb_stream *stream);

/*
 * Wait for the next request, or end, now that all is sent.
 *
 * Loop:   loop thread.
 */
void rb_conn_next(struct rb_conn *conn);

/*
 * Go on to a state in which no request is waited for.
 *
 * Loop:   loop thread.
 */
void rb_conn_enter(struct rb_conn *conn, enum rb_conn_state state);

/* ---- httpd_read.c */

/*
 * Does it wait for a request, or for more of one?
 *
 * Loop:   loop thread.
 */
bool rb_conn_wants_input(const struct rb_conn *conn);

/*
 * Use what came with the last request and is a new one, or a part of it.
 *
 * Loop:   loop thread; routes may be called.
 */
void rb_conn_read_kept(struct rb_conn *conn);

/*
 * Read once and use what came.
 *
 * Gives:  true when something came, be it the end.
 * Loop:   loop thread; routes may be called.
 */
bool rb_conn_read(struct rb_conn *conn);

/* ---- httpd_exchange.c */

/*
 * Make an exchange of a head that is whole.
 *
 * Takes:  bytes, copied.
 * Gives:  the connection's exchange; or 0 and a status to refuse it with.
 * Loop:   loop thread.
 */
unsigned rb_exchange_new(struct rb_conn *conn, const char *bytes, size_t count);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_exchange_free(struct rb_exchange *exchange);

/* ---- httpd_answer.c */

/*
 * Write the head of an answer into httpd->head.
 *
 * Takes:  exchange, NULL when the request was none; body_bytes, -1 when nobody knows how many will come.
 * Loop:   loop thread.
 */
void rb_answer_head(struct rb_conn *conn, const struct rb_exchange *exchange, const struct rb_reply *reply,
                    int64_t body_bytes);

/*
 * Refuse what is no request, and read no more of it.
 *
 * Loop:   loop thread.
 */
void rb_conn_refuse(struct rb_conn *conn, unsigned status);

/* ---- httpd_route.c */

/*
 * What can be refused by looking at the head of a request is: the filter, the path, the method, the size, the type.
 *
 * Gives:  the exchange's route, or its answer; then the exchange is gone.
 * Loop:   loop thread.
 */
void rb_exchange_check_head(struct rb_exchange *exchange);

/*
 * Answer 413.
 *
 * Loop:   loop thread.
 */
void rb_exchange_refuse_size(struct rb_exchange *exchange);

/* ---- httpd_stream.c */

/*
 * The connection of a stream has something to tell: room to send, or that the client has gone.
 *
 * Loop:   loop thread.
 */
void rb_stream_run(struct rb_stream *stream);

/*
 * The connection goes, and its stream with it; whoever writes to it is told.
 *
 * Loop:   loop thread.
 */
void rb_stream_gone(struct rb_stream *stream);

/*
 * End all streams; each is gone when its last bytes are with the client.
 *
 * Loop:   loop thread.
 */
void rb_httpd_end_streams(struct rb_httpd *httpd);
