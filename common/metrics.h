/*
 * metrics.h — counters, gauges and histograms by one table, shown in Prometheus' text format.
 *
 * Way:  common
 *
 * A program writes its table as X(id, TYPE, name, labels, help), makes an enum from it and the rows that rb_metrics_init
 * takes. Rows of one name stand together. The values live in the program's own struct. TYPE is COUNTER, GAUGE, or
 * HISTOGRAM(0.01, 0.1, 1): the upper bounds of its buckets, rising, in the unit that its name ends in.
 */
#pragma once

#include "common/base.h"
#include "common/buffer.h"

#define RB_METRIC_BOUNDS_MAX 20

enum rb_metric_type { RB_METRIC_COUNTER, RB_METRIC_GAUGE, RB_METRIC_HISTOGRAM };

struct rb_metric {
    enum rb_metric_type type;
    const char *name;   /* with its unit; a counter ends in _total */
    const char *labels; /* "outcome=\"stored\"" or "" */
    const char *help;
    const double *bounds; /* of a histogram: rising, each the last value that its bucket takes */
    size_t bound_count;
};

/* What a histogram has seen. Its buckets do not overlap here; they do when they are shown. */
struct rb_histogram {
    uint64_t counts[RB_METRIC_BOUNDS_MAX + 1]; /* the last is what lies above all bounds */
    double sum;
};

/*
 * Called before the rows are printed: sets gauges that nobody keeps up to date, and may print metrics of its own, whose
 * labels are known only at run time.
 */
typedef void (*rb_metrics_fn)(struct rb_buffer *buffer, void *arg);

#define RB_METRICS_HOOKS_MAX 4

struct rb_metrics {
    const struct rb_metric *rows; /* borrowed */
    size_t count;
    int64_t *values;                  /* owned; one for each row, unused for a histogram */
    struct rb_histogram **histograms; /* owned; one for each row, NULL for a counter or gauge */
    struct {
        rb_metrics_fn fn;
        void *arg; /* borrowed */
    } hooks[RB_METRICS_HOOKS_MAX];
    size_t hook_count;
};

#define RB_METRIC_IS_COUNTER .type = RB_METRIC_COUNTER
#define RB_METRIC_IS_GAUGE   .type = RB_METRIC_GAUGE
#define RB_METRIC_IS_HISTOGRAM(...)                                                                                    \
    .type = RB_METRIC_HISTOGRAM, .bounds = (const double[]){__VA_ARGS__},                                              \
    .bound_count = sizeof((const double[]){__VA_ARGS__}) / sizeof(double)

#define RB_METRIC_ENUM(id, type, name, labels, help) METRIC_##id,
#define RB_METRIC_ROW(id, type_, name_, labels_, help_)                                                                \
    [METRIC_##id] = {.name = name_, .labels = labels_, .help = help_, RB_METRIC_IS_##type_},

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
 * Count a value in a histogram. Takes the same short time however much was counted before.
 *
 * Takes:  value, in the unit of the histogram's name: seconds for durations.
 * Loop:   loop thread.
 */
void rb_metrics_observe(struct rb_metrics *metrics, size_t id, double value);

/*
 * Have fn called each time they are printed.
 *
 * Takes:  arg, borrowed for as long as the metrics are printed.
 * Loop:   loop thread.
 */
void rb_metrics_on_print(struct rb_metrics *metrics, rb_metrics_fn fn, void *arg);

/*
 * Write all of them in Prometheus' text format 0.0.4.
 *
 * Loop:   loop thread.
 */
void rb_metrics_print(const struct rb_metrics *metrics, struct rb_buffer *buffer);
