/*
 * httpd.c — libmicrohttpd on the loop.
 *
 * Way:  common
 *
 * The daemon runs in its external mode: its epoll descriptor is watched by our loop, and MHD_run does what is ready.
 * A request that is not answered at once has its connection suspended until rb_exchange_reply.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/httpd_inside.h"
#include "common/log.h"

#define CONNECTION_MEMORY (size_t)(32 << 10) /* headers and a read buffer; a larger head gets 431 */
#define UNREAD_BODY_MAX_BYTES                                                                                          \
    (size_t)(1 << 20) /* a refused body is read and dropped up to here, so that the answer arrives */

static void httpd_run(void *arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC);
    MHD_UNSIGNED_LONG_LONG wait_ms;

    MHD_run(httpd->daemon);
    if (MHD_get_timeout(httpd->daemon, &wait_ms) != MHD_YES)
        rb_timer_stop(httpd->timer);
    else if (wait_ms == 0)
        rb_task_queue(&httpd->run);
    else
        rb_timer_start(httpd->timer, (int64_t)RB_MIN(wait_ms, 60000));
}

void rb_httpd_wake(struct rb_httpd *httpd)
{
    rb_task_queue(&httpd->run);
}

static void on_ready(int status, int events, void *arg)
{
    (void)status;
    (void)events;
    httpd_run(arg);
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

void rb_exchange_answer(struct rb_exchange *exchange, unsigned status, struct MHD_Response *answer)
{
    RB_ASSERT(exchange->magic == RB_EXCHANGE_MAGIC && exchange->answer == NULL);
    exchange->answer = answer;
    exchange->answer_status = status;
    pending_remove(exchange);
    if (exchange->suspended) {
        exchange->suspended = false;
        MHD_resume_connection(exchange->connection);
        rb_httpd_wake(exchange->httpd);
    }
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
        .magic = RB_EXCHANGE_MAGIC,
        .httpd = httpd,
        .connection = connection,
        .method = method,
        .path = rb_xstrdup(url),
        .began_ms = rb_clock_ms(),
    };
    *ret_exchange = exchange;
    if (httpd->stopping)
        rb_exchange_reply_error(exchange, 503, "the server stops", &(struct rb_header){"Retry-After", "1"});
    else
        rb_exchange_check_head(exchange);
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
        rb_exchange_refuse_size(exchange);
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
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC);

    (void)version;
    if (*exchange_arg == NULL)
        return begin_exchange(httpd, connection, url, method, exchange_arg);

    struct rb_exchange *exchange = RB_CAST(rb_exchange, *exchange_arg, RB_EXCHANGE_MAGIC);

    if (*upload_bytes > 0)
        return take_body(exchange, upload, upload_bytes);
    return serve(exchange);
}

static void exchange_free(struct rb_exchange *exchange)
{
    pending_remove(exchange);
    if (exchange->stream != NULL)
        rb_stream_gone(exchange->stream);
    if (exchange->answer != NULL)
        MHD_destroy_response(exchange->answer);
    for (size_t i = 0; i < exchange->added_count; i++) {
        free((char *)(uintptr_t)exchange->added[i].name);
        free((char *)(uintptr_t)exchange->added[i].value);
    }
    free(exchange->added);
    rb_buffer_done(&exchange->body);
    free(exchange->path);
    exchange->magic = 0;
    free(exchange);
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
    RB_ASSERT(exchange->magic == RB_EXCHANGE_MAGIC);
    exchange_free(exchange);
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

/* Each connection is a descriptor, and shells and service managers give few unless asked. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int rb_httpd_new(struct rb_loop *loop, const struct rb_httpd_config *config, struct rb_httpd **ret_httpd,
                 struct rb_error *err)
{
    int fd = -1;

    raise_descriptor_limit();
    RB_TRY(rb_httpd_open_socket(config->listen, &fd, err));

    struct rb_httpd *httpd = rb_xalloc(sizeof(*httpd));

    *httpd = (struct rb_httpd){
        .magic = RB_HTTPD_MAGIC,
        .loop = loop,
        .config = *config,
        .gone_fd = -1,
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

unsigned rb_httpd_port(const struct rb_httpd *httpd)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info != NULL ? info->port : 0;
}

void rb_httpd_quiesce(struct rb_httpd *httpd)
{
    int fd = httpd->quiet ? -1 : MHD_quiesce_daemon(httpd->daemon);

    httpd->quiet = true;
    if (fd >= 0)
        close(fd);
    rb_httpd_end_streams(httpd);
    rb_httpd_wake(httpd);
}

size_t rb_httpd_pending(const struct rb_httpd *httpd)
{
    return httpd->pending_count;
}

void rb_httpd_free(struct rb_httpd *httpd)
{
    if (httpd == NULL)
        return;
    httpd->quiet = httpd->stopping = true;
    rb_httpd_end_streams(httpd);
    while (httpd->pending != NULL)
        rb_exchange_reply_error(httpd->pending, 503, "the server stops", &(struct rb_header){"Retry-After", "1"});
    MHD_run(httpd->daemon); /* sends what was answered last, as far as that goes without waiting */
    rb_watch_free(httpd->watch);
    rb_timer_free(httpd->timer);
    MHD_stop_daemon(httpd->daemon);
    rb_watch_free(httpd->gone_watch);
    if (httpd->gone_fd >= 0)
        close(httpd->gone_fd);
    rb_task_done(&httpd->run);
    httpd->magic = 0;
    free(httpd);
}
