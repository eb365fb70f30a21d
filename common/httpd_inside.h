/*
 * httpd_inside.h — what the files httpd_*.c share and nobody else sees.
 *
 * Way:  common
 */
#pragma once

#include <microhttpd.h>

#include "common/buffer.h"
#include "common/httpd.h"

#define RB_HTTPD_MAGIC    0x48545044u
#define RB_EXCHANGE_MAGIC 0x45584348u
#define RB_STREAM_MAGIC   0x5354524du

struct rb_httpd {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    struct rb_httpd_config config;
    struct MHD_Daemon *daemon;
    struct rb_watch *watch;
    struct rb_timer *timer;
    struct rb_task run;
    struct rb_exchange *pending; /* taken up by a route and not answered */
    size_t pending_count;
    struct rb_stream *streams;
    int gone_fd;                 /* an epoll that tells which streams' clients have gone; -1 before the first stream */
    struct rb_watch *gone_watch; /* NULL then */
    bool quiet;                  /* accepts no more connections */
    bool stopping;               /* and no more requests */
};

struct rb_exchange {
    uint32_t magic;
    struct rb_httpd *httpd; /* borrowed */
    struct MHD_Connection *connection;
    const struct rb_route *route; /* NULL when none fits; an answer is there then */
    const char *method;           /* borrowed from the connection */
    char *path;                   /* owned */
    struct rb_buffer body;
    size_t dropped_bytes; /* of a body that is too large */
    int64_t began_ms;
    bool served;               /* the route has or had it */
    bool suspended;            /* waits for rb_exchange_reply */
    struct rb_exchange *next;  /* in the list of those that wait for their answer */
    struct rb_exchange **link; /* what points at this one there; NULL when it is not in the list */
    struct rb_header *added;   /* owned with its texts: headers of whatever answer is given */
    size_t added_count;
    struct MHD_Response *answer; /* owned until it is queued */
    unsigned answer_status;
    struct rb_stream *stream; /* owned; NULL when the answer is none */
};

/*
 * Let libmicrohttpd look again at its connections, at the end of this turn.
 *
 * Loop:   loop thread.
 */
void rb_httpd_wake(struct rb_httpd *httpd);

/*
 * Give the headers of a reply, and those that were added to the exchange, to its answer.
 *
 * Loop:   loop thread.
 */
void rb_exchange_set_headers(struct rb_exchange *exchange, const struct rb_reply *reply, struct MHD_Response *answer);

/*
 * Take this as the answer, and go on with the connection if it waits.
 *
 * Takes:  answer, owned by the exchange from now on.
 * Loop:   loop thread.
 */
void rb_exchange_answer(struct rb_exchange *exchange, unsigned status, struct MHD_Response *answer);

/*
 * The exchange goes; so does its stream, and whoever writes to it is told.
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

/*
 * Open the listening socket of "host:port", "[v6]:port" or "*:port".
 *
 * Gives:  ret_fd, owned by the caller.
 * Fails:  BAD_OPTION when the address is none, SYSTEM when it cannot be listened to.
 * Loop:   any thread.
 */
RB_MUST_CHECK int rb_httpd_open_socket(const char *listen_text, int *ret_fd, struct rb_error *err);

/*
 * What can be refused by looking at the head of a request is: the filter, the path, the method, the size, the type.
 *
 * Gives:  the exchange's route, or its answer.
 * Loop:   loop thread.
 */
void rb_exchange_check_head(struct rb_exchange *exchange);

/*
 * Answer 413.
 *
 * Loop:   loop thread.
 */
void rb_exchange_refuse_size(struct rb_exchange *exchange);
