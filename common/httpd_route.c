/*
 * httpd_route.c — which route serves a request, and what its head alone can be refused for.
 *
 * Way:  common
 */
#include "common/httpd_inside.h"

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

    for (size_t i = 0; i < httpd->config.route_count; i++) {
        const char *method = httpd->config.routes[i].method;

        if (path_fits(&httpd->config.routes[i], exchange->path))
            rb_buffer_print(&allow, "%s%s%s", allow.used > 0 ? ", " : "", method,
                            strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }
    rb_exchange_reply_error(exchange, 405, "this method is not allowed here",
                            &(struct rb_header){"Allow", allow.bytes});
}

static void find_route(struct rb_exchange *exchange)
{
    const struct rb_httpd *httpd = exchange->httpd;
    bool path_known = false;

    for (size_t i = 0; i < httpd->config.route_count; i++) {
        if (!path_fits(&httpd->config.routes[i], exchange->path))
            continue;
        path_known = true;
        if (method_fits(&httpd->config.routes[i], exchange->method)) {
            exchange->route = &httpd->config.routes[i];
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

void rb_exchange_refuse_size(struct rb_exchange *exchange)
{
    char message[80];

    snprintf(message, sizeof(message), "the body is over %zu bytes", exchange->route->max_body_bytes);
    rb_exchange_reply_error(exchange, 413, message, NULL);
}

void rb_exchange_check_head(struct rb_exchange *exchange)
{
    const struct rb_httpd_config *config = &exchange->httpd->config;
    const char *length = rb_exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);

    if (config->before != NULL && config->before(exchange, config->before_arg))
        return;
    find_route(exchange);
    if (exchange->answer != NULL)
        return;
    if (length != NULL && strtoull(length, NULL, 10) > exchange->route->max_body_bytes)
        rb_exchange_refuse_size(exchange);
    else if (!content_type_fits(exchange))
        rb_exchange_reply_error(exchange, 415, "the content type must be application/json", NULL);
}
