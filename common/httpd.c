/*
 * httpd.c — libmicrohttpd on the loop.
 *
 * Way:  common
 *
 * The daemon runs in its external mode: its epoll descriptor is watched by our loop, and MHD_run does what is ready.
 * A request that is not answered at once has its connection suspended until rb_exchange_reply.
 */
#include "common/httpd.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

#define HTTPD_MAGIC       0x48545044u
#define EXCHANGE_MAGIC    0x45584348u
#define CONNECTION_MEMORY (size_t)(32 << 10) /* headers and a read buffer; a larger head gets 431 */
#define UNREAD_BODY_MAX_BYTES                                                                                          \
    (size_t)(1 << 20) /* a refused body is read and dropped up to here, so that the answer arrives */

struct rb_httpd {
    uint32_t magic;
    struct rb_loop *loop;          /* borrowed */
    const struct rb_route *routes; /* borrowed */
    size_t route_count;
    struct MHD_Daemon *daemon;
    struct rb_watch *watch;
    struct rb_timer *timer;
    struct rb_task run;
    struct rb_exchange *pending; /* taken up by a route and not answered */
    size_t pending_count;
    bool quiet; /* accepts no more connections */
};

struct rb_exchange {
    uint32_t magic;
    struct rb_httpd *httpd; /* borrowed */
    struct MHD_Connection *connection;
    const struct rb_route *route; /* NULL when none fits; an answer is there then */
    char *path;                   /* owned */
    struct rb_buffer body;
    size_t dropped_bytes; /* of a body that is too large */
    int64_t began_ms;
    bool served;                 /* the route has or had it */
    bool suspended;              /* waits for rb_exchange_reply */
    struct rb_exchange *next;    /* in the list of those that wait for their answer */
    struct rb_exchange **link;   /* what points at this one there; NULL when it is not in the list */
    struct MHD_Response *answer; /* owned until it is queued */
    unsigned answer_status;
};

static void httpd_run(void *arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, HTTPD_MAGIC);
    MHD_UNSIGNED_LONG_LONG wait_ms;

    MHD_run(httpd->daemon);
    if (MHD_get_timeout(httpd->daemon, &wait_ms) != MHD_YES)
        rb_timer_stop(httpd->timer);
    else if (wait_ms == 0)
        rb_task_queue(&httpd->run);
    else
        rb_timer_start(httpd->timer, (int64_t)RB_MIN(wait_ms, 60000));
}

static void on_ready(int status, int events, void *arg)
{
    (void)status;
    (void)events;
    httpd_run(arg);
}

static struct MHD_Response *make_response(const struct rb_reply *reply)
{
    enum MHD_ResponseMemoryMode mode = reply->body_is_static ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY;
    struct MHD_Response *answer =
        reply->fd > 0 ? MHD_create_response_from_fd_at_offset64(reply->body_bytes, reply->fd, reply->fd_offset)
                      : MHD_create_response_from_buffer(reply->body_bytes, (void *)(uintptr_t)reply->body, mode);

    if (answer == NULL)
        RB_BUG("libmicrohttpd cannot make a response");
    if (reply->content_type != NULL)
        MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < RB_COUNT(reply->headers) && reply->headers[i].name != NULL; i++)
        MHD_add_response_header(answer, reply->headers[i].name, reply->headers[i].value);
    return answer;
}

static void pending_add(struct rb_exchange *exchange)
{
    struct rb_httpd *httpd = exchange->httpd;

    exchange->next = httpd->pending;
    exchange->link = &httpd->pending;
    if (exchange->next != NULL)
        exchange->next->link = &exchange->next;
    httpd->pending = exchange;
    httpd->pending_count++;
}

static void pending_remove(struct rb_exchange *exchange)
{
    if (exchange->link == NULL)
        return;
    *exchange->link = exchange->next;
    if (exchange->next != NULL)
        exchange->next->link = exchange->link;
    exchange->link = NULL;
    exchange->httpd->pending_count--;
}

void rb_exchange_reply(struct rb_exchange *exchange, const struct rb_reply *reply)
{
    RB_ASSERT(exchange->magic == EXCHANGE_MAGIC && exchange->answer == NULL);
    exchange->answer = make_response(reply);
    exchange->answer_status = reply->status;
    pending_remove(exchange);
    if (exchange->suspended) {
        exchange->suspended = false;
        MHD_resume_connection(exchange->connection);
        rb_task_queue(&exchange->httpd->run);
    }
}

void rb_exchange_reply_json(struct rb_exchange *exchange, unsigned status, const char *json,
                            const struct rb_header *header)
{
    struct rb_reply reply = {
        .status = status,
        .content_type = "application/json",
        .body = json,
        .body_bytes = strlen(json),
        .headers = {{"Cache-Control", "no-store"}},
    };

    if (header != NULL)
        reply.headers[1] = *header;
    rb_exchange_reply(exchange, &reply);
}

void rb_exchange_reply_error(struct rb_exchange *exchange, unsigned status, const char *message,
                             const struct rb_header *header)
{
    RB_AUTO_JSON *object = json_pack("{s:s}", "error", message);
    RB_AUTO_TEXT *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;

    rb_exchange_reply_json(exchange, status, text != NULL ? text : "{\"error\":\"\"}", header);
}

static bool path_fits(const struct rb_route *route, const char *path)
{
    size_t length = strlen(route->path);

    if (length > 0 && route->path[length - 1] == '*')
        return strncmp(route->path, path, length - 1) == 0;
    return strcmp(route->path, path) == 0;
}

static bool method_fits(const struct rb_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void refuse_method(struct rb_exchange *exchange)
{
    const struct rb_httpd *httpd = exchange->httpd;
    RB_AUTO_BUFFER allow = {0};

    for (size_t i = 0; i < httpd->route_count; i++) {
        const char *method = httpd->routes[i].method;

        if (path_fits(&httpd->routes[i], exchange->path))
            rb_buffer_print(&allow, "%s%s%s", allow.used > 0 ? ", " : "", method,
                            strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }
    rb_exchange_reply_error(exchange, 405, "this method is not allowed here",
                            &(struct rb_header){"Allow", allow.bytes});
}

static void find_route(struct rb_exchange *exchange, const char *method)
{
    const struct rb_httpd *httpd = exchange->httpd;
    bool path_known = false;

    for (size_t i = 0; i < httpd->route_count; i++) {
        if (!path_fits(&httpd->routes[i], exchange->path))
            continue;
        path_known = true;
        if (method_fits(&httpd->routes[i], method)) {
            exchange->route = &httpd->routes[i];
            return;
        }
    }
    if (path_known)
        refuse_method(exchange);
    else
        rb_exchange_reply_error(exchange, 404, "there is nothing at this path", NULL);
}

/* The media type alone counts, not its parameters (RFC 9110, 8.3.1). */
static bool content_type_fits(const struct rb_exchange *exchange)
{
    const char *wanted = exchange->route->content_type;
    const char *given = rb_exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE);

    if (wanted == NULL)
        return true;
    if (given == NULL || strncasecmp(given, wanted, strlen(wanted)) != 0)
        return false;
    return strchr("; \t", given[strlen(wanted)]) != NULL;
}

static void refuse_size(struct rb_exchange *exchange)
{
    char message[80];

    snprintf(message, sizeof(message), "the body is over %zu bytes", exchange->route->max_body_bytes);
    rb_exchange_reply_error(exchange, 413, message, NULL);
}

/* What can be refused by looking at the head of the request is, before its body is read. */
static void check_head(struct rb_exchange *exchange, const char *method)
{
    const char *length = rb_exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);

    find_route(exchange, method);
    if (exchange->answer != NULL)
        return;
    if (length != NULL && strtoull(length, NULL, 10) > exchange->route->max_body_bytes)
        refuse_size(exchange);
    else if (!content_type_fits(exchange))
        rb_exchange_reply_error(exchange, 415, "the content type must be application/json", NULL);
}

static enum MHD_Result queue_answer(struct rb_exchange *exchange)
{
    enum MHD_Result result = MHD_queue_response(exchange->connection, exchange->answer_status, exchange->answer);

    MHD_destroy_response(exchange->answer);
    exchange->answer = NULL;
    return result;
}

static enum MHD_Result begin_exchange(struct rb_httpd *httpd, struct MHD_Connection *connection, const char *url,
                                      const char *method, void **ret_exchange)
{
    struct rb_exchange *exchange = rb_xalloc(sizeof(*exchange));

    *exchange = (struct rb_exchange){
        .magic = EXCHANGE_MAGIC,
        .httpd = httpd,
        .connection = connection,
        .path = rb_xstrdup(url),
        .began_ms = rb_clock_ms(),
    };
    *ret_exchange = exchange;
    check_head(exchange, method);
    return exchange->answer != NULL ? queue_answer(exchange) : MHD_YES;
}

/* A chunked body tells its size only by coming. One that is too large is dropped, up to a bound. */
static enum MHD_Result take_body(struct rb_exchange *exchange, const char *bytes, size_t *count)
{
    size_t room = exchange->route->max_body_bytes - exchange->body.used;

    if (*count > room || exchange->dropped_bytes > 0)
        exchange->dropped_bytes += *count;
    else
        rb_buffer_add(&exchange->body, bytes, *count);
    *count = 0;
    return exchange->dropped_bytes > UNREAD_BODY_MAX_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result serve(struct rb_exchange *exchange)
{
    if (exchange->dropped_bytes > 0) {
        refuse_size(exchange);
    } else if (!exchange->served && exchange->answer == NULL) {
        exchange->served = true;
        pending_add(exchange);
        exchange->route->fn(exchange, exchange->route->arg);
    }
    if (exchange->answer != NULL)
        return queue_answer(exchange);
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

/* libmicrohttpd calls this when the head is there, for each piece of the body, when all is there, and after resume. */
static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *upload, size_t *upload_bytes, void **exchange_arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, HTTPD_MAGIC);

    (void)version;
    if (*exchange_arg == NULL)
        return begin_exchange(httpd, connection, url, method, exchange_arg);

    struct rb_exchange *exchange = RB_CAST(rb_exchange, *exchange_arg, EXCHANGE_MAGIC);

    if (*upload_bytes > 0)
        return take_body(exchange, upload, upload_bytes);
    return serve(exchange);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **exchange_arg,
                         enum MHD_RequestTerminationCode why)
{
    struct rb_exchange *exchange = *exchange_arg;

    (void)arg;
    (void)connection;
    (void)why;
    if (exchange == NULL)
        return;
    RB_ASSERT(exchange->magic == EXCHANGE_MAGIC);
    if (exchange->answer != NULL)
        MHD_destroy_response(exchange->answer);
    rb_buffer_done(&exchange->body);
    free(exchange->path);
    exchange->magic = 0;
    free(exchange);
    *exchange_arg = NULL;
}

RB_PRINTF(2, 0) static void on_trouble(void *arg, const char *format, va_list args)
{
    char text[256], quoted[RB_LOG_QUOTE_BYTES];

    (void)arg;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    rb_log(NULL, RB_EV_HTTP_TROUBLE, "text=%s", rb_log_quote(text, quoted));
}

/* "host:port", "[v6]:port" or "*:port" to a listening socket. */
static int open_socket(const char *listen_text, int *ret_fd, struct rb_error *err)
{
    RB_AUTO_TEXT *host = rb_xstrdup(listen_text);
    char *colon = strrchr(host, ':');
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;

    if (colon == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot listen on '%s': expected 'host:port'", listen_text);
    *colon = '\0';

    char *name = host;
    size_t length = strlen(name);

    if (length > 1 && name[0] == '[' && name[length - 1] == ']') {
        name[length - 1] = '\0';
        name++;
    }

    int trouble = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, colon + 1, &hints, &found);

    if (trouble != 0)
        return rb_fail(err, RB_E_BAD_OPTION, trouble, "cannot listen on '%s': %s", listen_text, gai_strerror(trouble));

    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
        rb_fail(err, RB_E_SYSTEM, errno, "cannot listen on '%s': %s; choose another address with --listen", listen_text,
                strerror(errno));
        if (fd >= 0)
            close(fd);
        freeaddrinfo(found);
        return -1;
    }
    freeaddrinfo(found);
    *ret_fd = fd;
    return 0;
}

int rb_httpd_new(struct rb_loop *loop, const struct rb_httpd_config *config, struct rb_httpd **ret_httpd,
                 struct rb_error *err)
{
    int fd = -1;

    RB_TRY(open_socket(config->listen, &fd, err));

    struct rb_httpd *httpd = rb_xalloc(sizeof(*httpd));

    *httpd = (struct rb_httpd){
        .magic = HTTPD_MAGIC,
        .loop = loop,
        .routes = config->routes,
        .route_count = config->route_count,
    };
    httpd->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_access, httpd,
                         MHD_OPTION_EXTERNAL_LOGGER, on_trouble, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(config->idle_timeout_ms / 1000),
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->max_connections, MHD_OPTION_END);
    if (httpd->daemon == NULL) {
        close(fd);
        free(httpd);
        return rb_fail(err, RB_E_BAD_OPTION, 0, "libmicrohttpd does not start on '%s'", config->listen);
    }
    httpd->timer = rb_timer_new(loop, httpd_run, httpd);
    rb_task_init(&httpd->run, loop, httpd_run, httpd);
    httpd->watch =
        rb_watch_new(loop, MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, on_ready, httpd);
    rb_watch_events(httpd->watch, UV_READABLE);
    rb_log(NULL, RB_EV_LISTENING, "address=%s", config->listen);
    *ret_httpd = httpd;
    return 0;
}

void rb_httpd_quiesce(struct rb_httpd *httpd)
{
    int fd = httpd->quiet ? -1 : MHD_quiesce_daemon(httpd->daemon);

    httpd->quiet = true;
    if (fd >= 0)
        close(fd);
    rb_task_queue(&httpd->run);
}

size_t rb_httpd_pending(const struct rb_httpd *httpd)
{
    return httpd->pending_count;
}

void rb_httpd_free(struct rb_httpd *httpd)
{
    if (httpd == NULL)
        return;
    while (httpd->pending != NULL)
        rb_exchange_reply_error(httpd->pending, 503, "the server stops", &(struct rb_header){"Retry-After", "1"});
    MHD_run(httpd->daemon); /* sends what was answered last, as far as that goes without waiting */
    rb_watch_free(httpd->watch);
    rb_timer_free(httpd->timer);
    MHD_stop_daemon(httpd->daemon);
    rb_task_done(&httpd->run);
    httpd->magic = 0;
    free(httpd);
}

const char *rb_exchange_path(const struct rb_exchange *exchange)
{
    return exchange->path;
}

const char *rb_exchange_header(const struct rb_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *rb_exchange_query(const struct rb_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *rb_exchange_body(const struct rb_exchange *exchange, size_t *ret_bytes)
{
    *ret_bytes = exchange->body.used;
    return exchange->body.bytes != NULL ? exchange->body.bytes : "";
}

char *rb_exchange_client(const struct rb_exchange *exchange, char *ret_text)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (info == NULL ||
        getnameinfo(info->client_addr, sizeof(struct sockaddr_in6), ret_text, 64, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(ret_text, 64, "unknown");
    return ret_text;
}

int64_t rb_exchange_began_ms(const struct rb_exchange *exchange)
{
    return exchange->began_ms;
}
