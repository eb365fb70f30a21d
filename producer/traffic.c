/*
 * traffic.c — counts what was answered on each route, by class of status.
 *
 * Way:  gate -> [traffic]
 */
#include "producer/traffic.h"

#include <inttypes.h>

#include "common/metrics_page.h"
#include "producer/metrics_table.h"

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

static void show_row(struct rb_metrics_page *page, const char *path, const uint64_t answers[CLASSES])
{
    for (size_t class = 0; class < CLASSES; class ++) {
        RB_AUTO_TEXT *labels = rb_xprintf("route=\"%s\",status=\"%zuxx\"", path, class + 2);

        rb_metrics_show(page, labels, answers[class]);
    }
}

static void show_traffic(struct rb_metrics_page *page, void *arg)
{
    struct rb_traffic *traffic = RB_CAST(rb_traffic, arg, TRAFFIC_MAGIC);

    for (size_t i = 0; i < traffic->route_count; i++)
        if (traffic->rows[i] == i)
            show_row(page, traffic->routes[i].path, traffic->answers[i]);
    show_row(page, "", traffic->answers[traffic->route_count]);
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
    rb_metrics_set_series(metrics, METRIC_HTTP_REQUESTS, show_traffic, traffic);
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
