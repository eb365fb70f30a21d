/*
 * metrics.c — counters, gauges and histograms by one table.
 *
 * Way:  common
 */
#include "common/metrics.h"

#include "common/clock.h"

void rb_metrics_init(struct rb_metrics *metrics, const struct rb_metric *rows, size_t count)
{
    *metrics = (struct rb_metrics){
        .rows = rows,
        .count = count,
        .values = rb_xalloc(count * sizeof(*metrics->values)),
        .histograms = rb_xalloc(count * sizeof(*metrics->histograms)),
        .series = rb_xalloc(count * sizeof(*metrics->series)),
    };
    for (size_t i = 0; i < count; i++) {
        RB_ASSERT(rows[i].bound_count <= RB_METRIC_BOUNDS_MAX);
        if (rows[i].type == RB_METRIC_HISTOGRAM)
            metrics->histograms[i] = rb_xalloc(sizeof(**metrics->histograms));
    }
}

void rb_metrics_done(struct rb_metrics *metrics)
{
    for (size_t i = 0; i < metrics->count; i++)
        free(metrics->histograms[i]);
    free(metrics->histograms);
    free(metrics->values);
    free(metrics->series);
    *metrics = (struct rb_metrics){0};
}

void rb_metrics_observe(struct rb_metrics *metrics, size_t id, double value, const struct rb_trace *trace)
{
    RB_ASSERT(id < metrics->count && metrics->histograms[id] != NULL);

    const struct rb_metric *row = &metrics->rows[id];
    struct rb_histogram *histogram = metrics->histograms[id];
    size_t bucket = 0;

    while (bucket < row->bound_count && value > row->bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += value;
    if (trace == NULL || !rb_trace_is_sampled(trace))
        return; /* nobody would find it */
    histogram->exemplars[bucket].value = value;
    histogram->exemplars[bucket].unix_ms = rb_clock_unix_ms();
    memcpy(histogram->exemplars[bucket].trace_id, trace->trace_id, sizeof(trace->trace_id));
}

void rb_metrics_on_show(struct rb_metrics *metrics, rb_metrics_fn fn, void *arg)
{
    RB_ASSERT(metrics->hook_count < RB_METRICS_HOOKS_MAX);
    metrics->hooks[metrics->hook_count].fn = fn;
    metrics->hooks[metrics->hook_count++].arg = arg;
}

void rb_metrics_set_series(struct rb_metrics *metrics, size_t id, rb_metrics_series_fn fn, void *arg)
{
    RB_ASSERT(id < metrics->count && metrics->rows[id].at_run_time);
    metrics->series[id].fn = fn;
    metrics->series[id].arg = arg;
}
