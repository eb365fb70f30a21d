/*
 * traffic.c — counts what was answered on each route, by class of status.
 *
 * Way:  gate -> [traffic]
 */
#include "producer/traffic.h"

#include <inttypes.h>

#define TRAFFIC_MAGIC 0x54524146u
#define CLASSES       4 /* 2xx to 5xx */

struct rb_traffic {
    uint32_t magic;
    const struct rb_route *routes; /* borrowed */
    size_t route_count;
    size_t *rows;                 /* owned; for each route, the first one with its path */
    uint64_t (*answers)[CLASSES]; /* owned; for each route that is such a row, and one for what has no route */
};

static size_t row_of(const struct rb_route *routes, size_t index)
{
    size_t row = 0;

    while (strcmp(routes[row].path, routes[index].path) != 0)
        row++;
    return row;
}

static void print_row(const char *path, const uint64_t answers[CLASSES], struct rb_buffer *buffer)
{
    for (size_t class = 0; class < CLASSES; class ++)
        rb_buffer_print(buffer, "reelbus_http_requests_total{route=\"%s\",status=\"%zuxx\"} %" PRIu64 "\n", path,
                        class + 2, answers[class]);
}

static void print_traffic(struct rb_buffer *buffer, void *arg)
{
    struct rb_traffic *traffic = RB_CAST(rb_traffic, arg, TRAFFIC_MAGIC);

    rb_buffer_print(buffer, "# HELP reelbus_http_requests_total HTTP requests that were answered, by route and status\n"
                            "# TYPE reelbus_http_requests_total counter\n");
    for (size_t i = 0; i < traffic->route_count; i++)
        if (traffic->rows[i] == i)
            print_row(traffic->routes[i].path, traffic->answers[i], buffer);
    print_row("", traffic->answers[traffic->route_count], buffer);
}

struct rb_traffic *rb_traffic_new(const struct rb_route *routes, size_t route_count, struct rb_metrics *metrics)
{
    struct rb_traffic *traffic = rb_xalloc(sizeof(*traffic));

    *traffic = (struct rb_traffic){
        .magic = TRAFFIC_MAGIC,
        .routes = routes,
        .route_count = route_count,
        .rows = rb_xalloc((route_count + 1) * sizeof(*traffic->rows)),
        .answers = rb_xalloc((route_count + 1) * sizeof(*traffic->answers)),
    };
    for (size_t i = 0; i < route_count; i++)
        traffic->rows[i] = row_of(routes, i);
    rb_metrics_on_print(metrics, print_traffic, traffic);
    return traffic;
}

void rb_traffic_free(struct rb_traffic *traffic)
{
    if (traffic == NULL)
        return;
    traffic->magic = 0;
    free(traffic->answers);
    free(traffic->rows);
    free(traffic);
}

void rb_traffic_answered(const struct rb_exchange *exchange, unsigned status, void *arg)
{
    struct rb_traffic *traffic = RB_CAST(rb_traffic, arg, TRAFFIC_MAGIC);
    const struct rb_route *route = rb_exchange_route(exchange);
    size_t index = route != NULL ? traffic->rows[route - traffic->routes] : traffic->route_count;

    if (status >= 200 && status < 600)
        traffic->answers[index][status / 100 - 2]++;
}
