/*
 * metrics.h — counters and gauges by one table, shown in Prometheus' text format.
 *
 * Way:  common
 *
 * A program writes its table as X(id, TYPE, name, labels, help), makes an enum from it and the rows that rb_metrics_init
 * takes. Rows of one name stand together. The values live in the program's own struct.
 */
#pragma once

#include "common/base.h"
#include "common/buffer.h"

enum rb_metric_type { RB_METRIC_COUNTER, RB_METRIC_GAUGE };

struct rb_metric {
    enum rb_metric_type type;
    const char *name;   /* with its unit; a counter ends in _total */
    const char *labels; /* "outcome=\"stored\"" or "" */
    const char *help;
};

struct rb_metrics {
    const struct rb_metric *rows; /* borrowed */
    size_t count;
    int64_t *values; /* owned */
};

#define RB_METRIC_ENUM(id, type, name, labels, help) METRIC_##id,
#define RB_METRIC_ROW(id, type, name, labels, help)  [METRIC_##id] = {RB_METRIC_##type, name, labels, help},

/*
 * Begin with all values at zero.
 *
 * Takes:  rows, borrowed for as long as the metrics live.
 * Loop:   loop thread.
 */
void rb_metrics_init(struct rb_metrics *metrics, const struct rb_metric *rows, size_t count);

/*
 * Give back the memory.
 *
 * Loop:   loop thread.
 */
void rb_metrics_done(struct rb_metrics *metrics);

/*
 * Add to a counter or gauge.
 *
 * Loop:   loop thread.
 */
static inline void rb_metrics_add(struct rb_metrics *metrics, size_t id, int64_t amount)
{
    RB_ASSERT(id < metrics->count);
    metrics->values[id] += amount;
}

/*
 * Set a gauge.
 *
 * Loop:   loop thread.
 */
static inline void rb_metrics_set(struct rb_metrics *metrics, size_t id, int64_t value)
{
    RB_ASSERT(id < metrics->count);
    metrics->values[id] = value;
}

/*
 * Write all of them in Prometheus' text format 0.0.4.
 *
 * Loop:   loop thread.
 */
void rb_metrics_print(const struct rb_metrics *metrics, struct rb_buffer *buffer);
