/*
 * metrics.h — counters, gauges and histograms by one table.
 *
 * Way:  common
 *
 * A program writes its table as X(id, TYPE, name, labels, help), makes an enum from it and the rows that rb_metrics_init
 * takes. Rows of one name stand together. The values live in the program's own struct. TYPE is COUNTER, GAUGE,
 * HISTOGRAM(0.01, 0.1, 1): the upper bounds of its buckets, rising, in the unit that its name ends in; or COUNTERS, when the
 * values of labels are only known at run time: its labels are "name: which values, other: which values" in words.
 *
 * No label has a value that comes from outside (a video, a user, a host): how many series there are is known at the start.
 */
#pragma once

#include "common/base.h"
#include "common/trace.h"

#define RB_METRIC_BOUNDS_MAX 20
#define RB_METRIC_NEVER      INT64_MAX /* a gauge's value that is shown as +Inf */

enum rb_metric_type { RB_METRIC_COUNTER, RB_METRIC_GAUGE, RB_METRIC_HISTOGRAM };

struct rb_metric {
    enum rb_metric_type type;
    const char *name;   /* with its unit; a counter ends in _total */
    const char *labels; /* "outcome=\"stored\"" or "" */
    const char *help;
    const double *bounds; /* of a histogram: rising, each the last value that its bucket takes */
    size_t bound_count;
    bool at_run_time; /* the labels are; somebody shows the series when they are asked for */
};

/* The last value of a bucket that belongs to a trace, so that a person who sees the bucket finds an example. */
struct rb_exemplar {
    char trace_id[33]; /* "" while there is none */
    double value;
    int64_t unix_ms;
};

/* What a histogram has seen. Its buckets do not overlap here; they do when they are shown. */
struct rb_histogram {
    uint64_t counts[RB_METRIC_BOUNDS_MAX + 1]; /* the last is what lies above all bounds */
    struct rb_exemplar exemplars[RB_METRIC_BOUNDS_MAX + 1];
    double sum;
};

struct rb_metrics;
struct rb_metrics_page; /* what is shown, while it is written */

/* Called before the rows are shown: sets what nobody keeps up to date. */
typedef void (*rb_metrics_fn)(struct rb_metrics *metrics, void *arg);

/* Shows the series of a row of COUNTERS, by rb_metrics_show. */
typedef void (*rb_metrics_series_fn)(struct rb_metrics_page *page, void *arg);

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
    struct {
        rb_metrics_series_fn fn;
        void *arg; /* borrowed */
    } * series;    /* owned; one for each row, unused where labels are in the table */
};

#define RB_METRIC_IS_COUNTER  .type = RB_METRIC_COUNTER
#define RB_METRIC_IS_COUNTERS .type = RB_METRIC_COUNTER, .at_run_time = true
#define RB_METRIC_IS_GAUGE    .type = RB_METRIC_GAUGE
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
 * Takes:  value, in the unit of the histogram's name: seconds for durations; trace, borrowed for the call, the one that it
 *         belongs to; NULL for none.
 * Loop:   loop thread.
 */
void rb_metrics_observe(struct rb_metrics *metrics, size_t id, double value, const struct rb_trace *trace);

/*
 * Have fn called each time they are shown.
 *
 * Takes:  arg, borrowed for as long as the metrics are shown.
 * Loop:   loop thread.
 */
void rb_metrics_on_show(struct rb_metrics *metrics, rb_metrics_fn fn, void *arg);

/*
 * Say who shows the series of a row whose labels are known only at run time.
 *
 * Takes:  id, a row of COUNTERS; arg, borrowed for as long as the metrics are shown.
 * Loop:   loop thread.
 */
void rb_metrics_set_series(struct rb_metrics *metrics, size_t id, rb_metrics_series_fn fn, void *arg);
