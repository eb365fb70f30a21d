/*
 * httpd.h — an HTTP/1.1 server on the loop: routes, whole requests, answers that may come later.
 *
 * Way:  common
 */
#pragma once

#include <sys/socket.h>

#include "common/buffer.h"
#include "common/loop.h"

#define RB_CLIENT_NAME_BYTES 64

struct rb_httpd;
struct rb_exchange; /* one request and its answer */
struct rb_stream;   /* an answer whose body comes bit by bit */

/*
 * Serve one request whose body is complete. It answers with rb_exchange_reply now, or keeps the exchange and answers
 * later; it must answer, whatever happens: the connection waits.
 */
typedef void (*rb_route_fn)(struct rb_exchange *exchange, void *arg);

struct rb_route {
    const char *method; /* "GET" serves HEAD as well */
    const char *path;   /* ends in '*': everything that begins like this */
    size_t max_body_bytes;
    const char *content_type; /* that a body must have, NULL for any */
    rb_route_fn fn;
    void *arg; /* borrowed */
};

/*
 * Look at every request as soon as its head is there, before its body is read and before a route is looked for: for
 * what concerns all routes, such as limits and CORS. It may call rb_exchange_add_header.
 * Gives: true when it has answered; no route sees the request then.
 */
typedef bool (*rb_httpd_filter_fn)(struct rb_exchange *exchange, void *arg);

/* Hear of every answer, when it goes to the client: for counting. */
typedef void (*rb_httpd_answered_fn)(const struct rb_exchange *exchange, unsigned status, void *arg);

/* May this address have any number of connections? Proxies may, who bring many clients. */
typedef bool (*rb_httpd_exempt_fn)(const struct sockaddr *peer, void *arg);

/* What is zero has a default. Texts and arguments are borrowed for as long as the server lives. */
struct rb_httpd_config {
    const char *listen; /* parted by commas: "127.0.0.1:8080", "[::1]:8080", "*:8080", "unix:/path", "systemd:name" */
    const struct rb_route *routes;
    size_t route_count;
    rb_httpd_filter_fn before; /* NULL for none */
    void *before_arg;
    rb_httpd_answered_fn answered; /* NULL for none */
    void *answered_arg;
    const char *tls_cert; /* files in PEM; with them, all sockets but unix ones and those of "plain:..." use TLS */
    const char *tls_key;
    int64_t unix_mode;          /* of the file of a unix socket */
    int64_t head_timeout_ms;    /* for the head of a request, from accept or from its first byte on */
    int64_t request_timeout_ms; /* for head and body, from the same time on */
    int64_t idle_timeout_ms;    /* for a new request to begin, and for a client to take something of an answer */
    int64_t max_connections;    /* at that many, the one whose request is longest in coming is closed */
    int64_t max_connections_per_address;
    rb_httpd_exempt_fn limit_exempt; /* NULL for nobody */
    void *limit_exempt_arg;
    int64_t max_requests; /* after which a connection is closed; 0 for any number */
};

/* What befell connections since the start. */
struct rb_httpd_counts {
    uint64_t connections; /* open now */
    uint64_t refused;     /* the address had too many */
    uint64_t evicted;     /* closed to make room */
    uint64_t timeouts;
    uint64_t bad; /* requests that were none */
};

struct rb_header {
    const char *name;
    const char *value;
};

/* What is answered. Text is copied; bytes marked static, and the descriptor, are taken over. */
struct rb_reply {
    unsigned status;
    const char *content_type; /* NULL without a body */
    const void *body;
    size_t body_bytes;
    bool body_is_static; /* lives as long as the program: not copied */
    int fd;              /* when > 0, the body is body_bytes of this file from fd_offset on; owned */
    uint64_t fd_offset;
    struct rb_header headers[6]; /* more headers; the first without a name ends them */
};

/*
 * Begin to listen.
 *
 * Takes:  config, borrowed for the call except for the routes.
 * Gives:  ret_httpd, owned by the caller; rb_httpd_free it.
 * Fails:  BAD_OPTION when the address is none, SYSTEM when it cannot be listened to; the message says what to change.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_httpd_new(struct rb_loop *loop, const struct rb_httpd_config *config, struct rb_httpd **ret_httpd,
                               struct rb_error *err);

/*
 * The port that it listens on: what the system chose when port 0 was asked for.
 *
 * Gives:  0 when it does not listen on a port any more.
 * Loop:   loop thread.
 */
unsigned rb_httpd_port(const struct rb_httpd *httpd);

/*
 * Read certificate and key again, for connections that come from now on; those that are open go on.
 *
 * Fails:  BAD_OPTION with the name of the option; what was there stays in use.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_httpd_reload(struct rb_httpd *httpd, struct rb_error *err);

/*
 * What befell connections.
 *
 * Gives:  borrowed from the server, as it is now.
 * Loop:   loop thread.
 */
const struct rb_httpd_counts *rb_httpd_counts(struct rb_httpd *httpd);

/*
 * Accept no more connections; what is in flight goes on, streams end.
 *
 * Loop:   loop thread.
 */
void rb_httpd_quiesce(struct rb_httpd *httpd);

/*
 * How many requests have been taken up and not been answered.
 *
 * Loop:   loop thread.
 */
size_t rb_httpd_pending(const struct rb_httpd *httpd);

/*
 * How many requests have begun to come, or their answers to go, and are not at their end. The server's deadlines hold for
 * all but those that a route has. For a drain: a sender that never tries again has only this one time.
 *
 * Loop:   loop thread.
 */
size_t rb_httpd_unfinished(const struct rb_httpd *httpd);

/*
 * Close everything. Exchanges that wait are answered 503 and must not be used afterwards. NULL is fine.
 *
 * Loop:   loop thread, not from a route.
 */
void rb_httpd_free(struct rb_httpd *httpd);

RB_DEFINE_AUTO(rb_httpd);

/*
 * The server that the request came to.
 *
 * Gives:  borrowed.
 * Loop:   loop thread.
 */
struct rb_httpd *rb_exchange_httpd(const struct rb_exchange *exchange);

/*
 * The method of the request, such as "GET".
 *
 * Gives:  borrowed from the exchange.
 * Loop:   loop thread.
 */
const char *rb_exchange_method(const struct rb_exchange *exchange);

/*
 * The path of the request, without its query.
 *
 * Gives:  borrowed from the exchange.
 * Loop:   loop thread.
 */
const char *rb_exchange_path(const struct rb_exchange *exchange);

/*
 * A header of the request.
 *
 * Gives:  borrowed from the exchange; NULL when it is absent.
 * Loop:   loop thread.
 */
const char *rb_exchange_header(const struct rb_exchange *exchange, const char *name);

/*
 * All values of a header, joined by ", " in the order in which they came, as RFC 9110, 5.3, reads them.
 *
 * Takes:  ret_text, to which they are added.
 * Gives:  false when the header is absent.
 * Loop:   loop thread.
 */
bool rb_exchange_header_list(const struct rb_exchange *exchange, const char *name, struct rb_buffer *ret_text);

/*
 * How often a header came. What a request's safety rests on must come once: others may look at another one of them.
 *
 * Loop:   loop thread.
 */
size_t rb_exchange_header_count(const struct rb_exchange *exchange, const char *name);

/*
 * A parameter of the query, decoded.
 *
 * Gives:  borrowed from the exchange; NULL when it is absent.
 * Loop:   loop thread.
 */
const char *rb_exchange_query(const struct rb_exchange *exchange, const char *name);

/*
 * The body of the request.
 *
 * Gives:  borrowed from the exchange; a NUL stands behind the last byte.
 * Loop:   loop thread.
 */
const char *rb_exchange_body(const struct rb_exchange *exchange, size_t *ret_bytes);

/*
 * Who is connected: the client itself, or the last proxy on its way.
 *
 * Gives:  borrowed from the exchange; of a unix socket the family alone.
 * Loop:   loop thread.
 */
const struct sockaddr *rb_exchange_peer(const struct rb_exchange *exchange);

/*
 * The numeric address of the client: what rb_exchange_set_client said, else of whoever is connected.
 *
 * Takes:  ret_text, at least RB_CLIENT_NAME_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   loop thread.
 */
char *rb_exchange_client(const struct rb_exchange *exchange, char *ret_text);

/*
 * Say who the client is, for one who knows which proxies to believe.
 *
 * Takes:  text, copied, at most RB_CLIENT_NAME_BYTES with its NUL.
 * Loop:   loop thread.
 */
void rb_exchange_set_client(struct rb_exchange *exchange, const char *text);

/*
 * The route that serves the request; before one was looked for, or when there is none, the first with its path.
 *
 * Gives:  one of the config's routes; NULL when no route has this path.
 * Loop:   loop thread.
 */
const struct rb_route *rb_exchange_route(const struct rb_exchange *exchange);

/*
 * When the request began.
 *
 * Gives:  monotonic milliseconds.
 * Loop:   loop thread.
 */
int64_t rb_exchange_began_ms(const struct rb_exchange *exchange);

/*
 * Add a header to whatever answer is given later.
 *
 * Takes:  name and value, copied.
 * Loop:   loop thread.
 */
void rb_exchange_add_header(struct rb_exchange *exchange, const char *name, const char *value);

/*
 * Answer. Exactly once for each exchange, which must not be used afterwards.
 *
 * Takes:  reply, borrowed for the call.
 * Loop:   loop thread.
 */
void rb_exchange_reply(struct rb_exchange *exchange, const struct rb_reply *reply);

/*
 * Answer with JSON text.
 *
 * Takes:  json, borrowed for the call; header, one more header, NULL for none.
 * Loop:   loop thread.
 */
void rb_exchange_reply_json(struct rb_exchange *exchange, unsigned status, const char *json,
                            const struct rb_header *header);

/*
 * Answer with {"error": "..."}.
 *
 * Takes:  message, borrowed for the call; header, one more header, NULL for none.
 * Loop:   loop thread.
 */
void rb_exchange_reply_error(struct rb_exchange *exchange, unsigned status, const char *message,
                             const struct rb_header *header);

/*
 * Answer with a head now and a body bit by bit, such as Server-Sent Events. Counts as the answer of the exchange, which
 * must not be used afterwards. A stream is no pending request: rb_httpd_quiesce ends all of them.
 *
 * That the client has gone is noticed by itself while nothing is written, also when it only closed its half; a client
 * whose network vanished is noticed by TCP keepalive within two minutes. The body is chunked, for HTTP/1.0 it is not; the
 * connection ends with it. After HEAD the stream is gone as soon as the head is sent.
 *
 * Takes:  reply, borrowed for the call: status, content type and headers count, a body does not.
 *         max_queued_bytes, how much may wait for a client that reads slowly.
 *         on_closed, called once when the client has gone or was too slow, or when the server ends: from the loop or from
 *         rb_httpd_free, never from within a call for this stream. The stream is gone then. NULL for none.
 * Gives:  borrowed until rb_stream_end or on_closed.
 * Loop:   loop thread.
 */
struct rb_stream *rb_exchange_stream(struct rb_exchange *exchange, const struct rb_reply *reply,
                                     size_t max_queued_bytes, rb_loop_fn on_closed, void *arg);

/*
 * Send bytes, as soon as the client takes them.
 *
 * Takes:  bytes, copied.
 * Gives:  false when more would wait than may: the stream is being closed, nothing more is sent, on_closed comes.
 * Loop:   loop thread.
 */
bool rb_stream_write(struct rb_stream *stream, const char *bytes, size_t count);

/*
 * End the body behind what waits. The stream must not be used afterwards; on_closed is not called any more.
 *
 * Loop:   loop thread.
 */
void rb_stream_end(struct rb_stream *stream);
