/*
 * httpd_exchange.c — what a route reads of a request, and how it answers.
 *
 * Way:  common
 */
#include "common/address.h"
#include "common/httpd_inside.h"
#include "common/json.h"

unsigned rb_exchange_new(struct rb_conn *conn, const char *bytes, size_t count)
{
    struct rb_exchange *exchange = rb_xalloc(sizeof(*exchange) + count + 1);

    exchange->magic = RB_EXCHANGE_MAGIC;
    exchange->httpd = conn->httpd;
    exchange->conn = conn;
    exchange->began_ms = conn->began_ms;
    memcpy(exchange->bytes, bytes, count);

    unsigned status = rb_head_parse(exchange->bytes, count, &exchange->head);

    if (status == 0 && !rb_head_decode((char *)(uintptr_t)exchange->head.target, false))
        status = 400;
    if (status != 0) {
        exchange->magic = 0;
        free(exchange);
        return status;
    }
    exchange->body_left = exchange->head.body_bytes;
    conn->exchange = exchange;
    conn->keep_alive = exchange->head.keep_alive &&
                       (conn->httpd->config.max_requests <= 0 || conn->requests + 1 < conn->httpd->config.max_requests);
    return 0;
}

static void pending_remove(struct rb_exchange *exchange)
{
    if (exchange->pending.at == NULL)
        return;
    rb_link_remove(&exchange->pending);
    exchange->httpd->pending_count--;
}

void rb_exchange_free(struct rb_exchange *exchange)
{
    if (exchange == NULL)
        return;
    pending_remove(exchange);
    for (size_t i = 0; i < exchange->added_count; i++) {
        free((char *)(uintptr_t)exchange->added[i].name);
        free((char *)(uintptr_t)exchange->added[i].value);
    }
    free(exchange->added);
    free(exchange->query);
    rb_buffer_done(&exchange->body);
    exchange->magic = 0;
    free(exchange);
}

/* After an answer that comes before the whole request, what is left of the request is no new one. */
static bool is_all_read(const struct rb_exchange *exchange)
{
    return exchange->conn->state == CONN_SERVING || exchange->dropped_bytes > 0 ||
           (exchange->body_left == 0 && !exchange->head.chunked);
}

void rb_exchange_reply(struct rb_exchange *exchange, const struct rb_reply *reply)
{
    struct rb_conn *conn = exchange->conn;
    struct rb_httpd *httpd = exchange->httpd;
    bool only_head = strcmp(exchange->head.method, "HEAD") == 0 || reply->status == 204 || reply->status == 304;

    RB_ASSERT(exchange->magic == RB_EXCHANGE_MAGIC && conn->exchange == exchange);
    if (httpd->config.answered != NULL)
        httpd->config.answered(exchange, reply->status, httpd->config.answered_arg);
    conn->keep_alive = conn->keep_alive && is_all_read(exchange) && !httpd->quiet;
    rb_answer_head(conn, exchange, reply, (int64_t)reply->body_bytes);
    if (reply->fd > 0) {
        conn->file = reply->fd;
        conn->file_at = (off_t)reply->fd_offset;
        conn->file_left = only_head ? 0 : reply->body_bytes;
        rb_conn_answered(conn, rb_conn_send(conn, &httpd->head, "", 0, true));
    } else {
        rb_conn_answered(conn, rb_conn_send(conn, &httpd->head, reply->body, only_head ? 0 : reply->body_bytes,
                                            reply->body_is_static));
    }
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

struct rb_httpd *rb_exchange_httpd(const struct rb_exchange *exchange)
{
    return exchange->httpd;
}

const char *rb_exchange_method(const struct rb_exchange *exchange)
{
    return exchange->head.method;
}

const char *rb_exchange_path(const struct rb_exchange *exchange)
{
    return exchange->head.target;
}

const char *rb_exchange_header(const struct rb_exchange *exchange, const char *name)
{
    return rb_head_value(&exchange->head, name);
}

size_t rb_exchange_header_count(const struct rb_exchange *exchange, const char *name)
{
    const struct rb_head *head = &exchange->head;
    size_t count = 0;

    for (size_t i = 0; i < head->count; i++)
        count += strcasecmp(head->bytes + head->lines[i].name, name) == 0;
    return count;
}

bool rb_exchange_header_list(const struct rb_exchange *exchange, const char *name, struct rb_buffer *ret_text)
{
    const struct rb_head *head = &exchange->head;
    bool found = false;

    for (size_t i = 0; i < head->count; i++) {
        if (strcasecmp(head->bytes + head->lines[i].name, name) != 0)
            continue;
        rb_buffer_print(ret_text, "%s%s", found ? ", " : "", head->bytes + head->lines[i].value);
        found = true;
    }
    return found;
}

/* "a=1&b=%20" to "a NUL 1 NUL b NUL space NUL NUL". What cannot be decoded is left out. */
static char *decode_query(const char *query)
{
    RB_AUTO_TEXT *copy = rb_xstrdup(query);
    RB_AUTO_BUFFER decoded = {0};
    char *rest = copy, *pair;

    while ((pair = strsep(&rest, "&")) != NULL) {
        char *value = strchr(pair, '=');

        if (value != NULL)
            *value++ = '\0';
        else
            value = pair + strlen(pair);
        if (*pair == '\0' || !rb_head_decode(pair, true) || !rb_head_decode(value, true))
            continue;
        rb_buffer_add(&decoded, pair, strlen(pair) + 1);
        rb_buffer_add(&decoded, value, strlen(value) + 1);
    }
    return rb_buffer_steal(&decoded); /* ends in a NUL more */
}

const char *rb_exchange_query(const struct rb_exchange *exchange, const char *name)
{
    struct rb_exchange *cache = (struct rb_exchange *)(uintptr_t)exchange;

    if (exchange->head.query == NULL)
        return NULL;
    if (exchange->query == NULL)
        cache->query = decode_query(exchange->head.query);
    for (const char *at = exchange->query; *at != '\0';) {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *rb_exchange_body(const struct rb_exchange *exchange, size_t *ret_bytes)
{
    *ret_bytes = exchange->body.used;
    return exchange->body.bytes != NULL ? exchange->body.bytes : "";
}

const struct sockaddr *rb_exchange_peer(const struct rb_exchange *exchange)
{
    return (const struct sockaddr *)&exchange->conn->peer;
}

char *rb_exchange_client(const struct rb_exchange *exchange, char *ret_text)
{
    struct rb_address address;

    _Static_assert(RB_CLIENT_NAME_BYTES >= RB_ADDRESS_TEXT_BYTES, "an address is a name");
    if (exchange->client[0] != '\0')
        memcpy(ret_text, exchange->client, RB_CLIENT_NAME_BYTES);
    else if (rb_address_of(rb_exchange_peer(exchange), &address))
        rb_address_text(&address, ret_text);
    else
        snprintf(ret_text, RB_CLIENT_NAME_BYTES, "unix");
    return ret_text;
}

void rb_exchange_set_client(struct rb_exchange *exchange, const char *text)
{
    snprintf(exchange->client, sizeof(exchange->client), "%s", text);
}

int64_t rb_exchange_began_ms(const struct rb_exchange *exchange)
{
    return exchange->began_ms;
}
