/*
 * httpd_exchange.c — what a route reads of a request, and how it answers.
 *
 * Way:  common
 */
#include <netdb.h>

#include "common/httpd_inside.h"
#include "common/json.h"

void rb_exchange_set_headers(struct rb_exchange *exchange, const struct rb_reply *reply, struct MHD_Response *answer)
{
    if (reply->content_type != NULL)
        MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < RB_COUNT(reply->headers) && reply->headers[i].name != NULL; i++)
        MHD_add_response_header(answer, reply->headers[i].name, reply->headers[i].value);
    for (size_t i = 0; i < exchange->added_count; i++)
        MHD_add_response_header(answer, exchange->added[i].name, exchange->added[i].value);
}

static struct MHD_Response *make_response(const struct rb_reply *reply)
{
    enum MHD_ResponseMemoryMode mode = reply->body_is_static ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY;
    struct MHD_Response *answer =
        reply->fd > 0 ? MHD_create_response_from_fd_at_offset64(reply->body_bytes, reply->fd, reply->fd_offset)
                      : MHD_create_response_from_buffer(reply->body_bytes, (void *)(uintptr_t)reply->body, mode);

    if (answer == NULL)
        RB_BUG("libmicrohttpd cannot make a response");
    return answer;
}

void rb_exchange_reply(struct rb_exchange *exchange, const struct rb_reply *reply)
{
    struct MHD_Response *answer = make_response(reply);

    rb_exchange_set_headers(exchange, reply, answer);
    rb_exchange_answer(exchange, reply->status, answer);
}

void rb_exchange_add_header(struct rb_exchange *exchange, const char *name, const char *value)
{
    size_t count = ++exchange->added_count;

    exchange->added = rb_xrealloc(exchange->added, count * sizeof(*exchange->added));
    exchange->added[count - 1] = (struct rb_header){rb_xstrdup(name), rb_xstrdup(value)};
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

const char *rb_exchange_method(const struct rb_exchange *exchange)
{
    return exchange->method;
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
