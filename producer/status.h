/*
 * status.h — health and counters.
 *
 * Way:  [status]
 */
#pragma once

#include "common/httpd.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "producer/publish.h"

struct rb_status;

/* All of it borrowed for as long as the status lives. */
struct rb_status_config {
    struct rb_pg *pg;
    struct rb_publish *publish;
    struct rb_metrics *metrics;
};

/*
 * Make one.
 *
 * Gives:  owned by the caller; rb_status_free it after the HTTP server and the database.
 * Loop:   loop thread.
 */
struct rb_status *rb_status_new(const struct rb_status_config *config);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_status_free(struct rb_status *status);

/*
 * GET /healthz: the process is alive. Takes: arg, a struct rb_status, as all routes below.
 *
 * Gives:  200.
 * Loop:   loop thread.
 */
void rb_status_health(struct rb_exchange *exchange, void *arg);

/*
 * GET /readyz: webhooks can be taken. The database is named when it is away but does not make it unready.
 *
 * Gives:  200 or 503, with {"ready": bool, "reasons": [...]}.
 * Loop:   loop thread.
 */
void rb_status_ready(struct rb_exchange *exchange, void *arg);

/*
 * GET /metrics, in Prometheus' text format.
 *
 * Gives:  200.
 * Loop:   loop thread.
 */
void rb_status_metrics(struct rb_exchange *exchange, void *arg);
