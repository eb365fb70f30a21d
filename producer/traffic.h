/*
 * traffic.h — counts what was answered on each route, by class of status.
 *
 * Way:  gate -> [traffic]
 *
 * As many series as there are routes, whatever clients ask for: all paths that no route has are one.
 */
#pragma once

#include "common/httpd.h"
#include "common/metrics.h"

struct rb_traffic;

/*
 * Make one.
 *
 * Takes:  routes, those of the HTTP server, borrowed for as long as it lives.
 *         metrics, which show it from now on.
 * Gives:  owned by the caller; rb_traffic_free it after the HTTP server and the last print.
 * Loop:   loop thread.
 */
struct rb_traffic *rb_traffic_new(const struct rb_route *routes, size_t route_count, struct rb_metrics *metrics);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_traffic_free(struct rb_traffic *traffic);

/*
 * Count one answer: the server's `answered`.
 *
 * Takes:  arg, a struct rb_traffic.
 * Loop:   loop thread.
 */
void rb_traffic_answered(const struct rb_exchange *exchange, unsigned status, void *arg);
