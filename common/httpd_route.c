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

        if (path_fits(&httpd->config.routes[i], rb_exchange_path(exchange)))
            rb_buffer_print(&allow, "%s%s%s", allow.used > 0 ? ", " : "", method,
                            strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }
    rb_exchange_reply_error(exchange, 405, "this method is not allowed here",
                            &(struct rb_header){"Allow", allow.bytes});
}

const struct rb_route *rb_exchange_route(const struct rb_exchange *exchange)
{
    const struct rb_httpd_config *config = &exchange->httpd->config;

    if (exchange->route != NULL)
        return exchange->route;
    for (size_t i = 0; i < config->route_count; i++)
        if (path_fits(&config->routes[i], rb_exchange_path(exchange)))
            return &config->routes[i];
    return NULL;
}

/* Gives NULL when it has answered. */
static const struct rb_route *find_route(struct rb_exchange *exchange)
{
    const struct rb_httpd *httpd = exchange->httpd;
    bool path_known = false;

    for (size_t i = 0; i < httpd->config.route_count; i++) {
        if (!path_fits(&httpd->config.routes[i], rb_exchange_path(exchange)))
            continue;
        path_known = true;
        if (method_fits(&httpd->config.routes[i], exchange->head.method)) {
            return &httpd->config.routes[i];
        }
    }
    if (path_known)
        refuse_method(exchange);
    else
        rb_exchange_reply_error(exchange, 404, "there is nothing at this path", NULL);
    return NULL;
}

/* The media type alone counts, not its parameters (RFC 9110, 8.3.1). */
static bool content_type_fits(const struct rb_exchange *exchange)
{
    const char *wanted = exchange->route->content_type;
    const char *given = rb_exchange_header(exchange, "Content-Type");

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

    if (exchange->httpd->stopping) {
        rb_exchange_reply_error(exchange, 503, "the server stops", &(struct rb_header){"Retry-After", "1"});
        return;
    }
    if (config->before != NULL && config->before(exchange, config->before_arg))
        return;

    const struct rb_route *route = find_route(exchange);

    if (route == NULL)
        return;
    exchange->route = route;
    if (exchange->head.body_bytes > route->max_body_bytes)
        rb_exchange_refuse_size(exchange);
    else if (!content_type_fits(exchange))
        rb_exchange_reply_error(exchange, 415, "the content type must be application/json", NULL);
}
