/*
 * metrics.c — counters, gauges and histograms in Prometheus' text format.
 *
 * Way:  common
 */
#include "common/metrics.h"

#include <inttypes.h>

void rb_metrics_init(struct rb_metrics *metrics, const struct rb_metric *rows, size_t count)
{
    *metrics = (struct rb_metrics){
        .rows = rows,
        .count = count,
        .values = rb_xalloc(count * sizeof(*metrics->values)),
        .histograms = rb_xalloc(count * sizeof(*metrics->histograms)),
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
    *metrics = (struct rb_metrics){0};
}

void rb_metrics_observe(struct rb_metrics *metrics, size_t id, double value)
{
    RB_ASSERT(id < metrics->count && metrics->histograms[id] != NULL);

    const struct rb_metric *row = &metrics->rows[id];
    struct rb_histogram *histogram = metrics->histograms[id];
    size_t bucket = 0;

    while (bucket < row->bound_count && value > row->bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += value;
}

void rb_metrics_on_print(struct rb_metrics *metrics, rb_metrics_fn fn, void *arg)
{
    RB_ASSERT(metrics->hook_count < RB_METRICS_HOOKS_MAX);
    metrics->hooks[metrics->hook_count].fn = fn;
    metrics->hooks[metrics->hook_count++].arg = arg;
}

static void print_value(const struct rb_metric *row, int64_t value, struct rb_buffer *buffer)
{
    const char *open = row->labels[0] != '\0' ? "{" : "";
    const char *close = row->labels[0] != '\0' ? "}" : "";

    rb_buffer_print(buffer, "%s%s%s%s %" PRId64 "\n", row->name, open, row->labels, close, value);
}

/* Each bucket counts all that is not above its bound; the last one, without a bound, is the count of all. */
static void print_histogram(const struct rb_metric *row, const struct rb_histogram *histogram, struct rb_buffer *buffer)
{
    const char *comma = row->labels[0] != '\0' ? "," : "";
    const char *open = row->labels[0] != '\0' ? "{" : "";
    const char *close = row->labels[0] != '\0' ? "}" : "";
    uint64_t total = 0;

    for (size_t i = 0; i < row->bound_count; i++) {
        total += histogram->counts[i];
        rb_buffer_print(buffer, "%s_bucket{%s%sle=\"%.15g\"} %" PRIu64 "\n", row->name, row->labels, comma,
                        row->bounds[i], total);
    }
    total += histogram->counts[row->bound_count];
    rb_buffer_print(buffer, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", row->name, row->labels, comma, total);
    rb_buffer_print(buffer, "%s_sum%s%s%s %.15g\n", row->name, open, row->labels, close, histogram->sum);
    rb_buffer_print(buffer, "%s_count%s%s%s %" PRIu64 "\n", row->name, open, row->labels, close, total);
}

void rb_metrics_print(const struct rb_metrics *metrics, struct rb_buffer *buffer)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *before = "";

    for (size_t i = 0; i < metrics->hook_count; i++)
        metrics->hooks[i].fn(buffer, metrics->hooks[i].arg);
    for (size_t i = 0; i < metrics->count; i++) {
        const struct rb_metric *row = &metrics->rows[i];

        if (strcmp(row->name, before) != 0)
            rb_buffer_print(buffer, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, types[row->type]);
        if (row->type == RB_METRIC_HISTOGRAM)
            print_histogram(row, metrics->histograms[i], buffer);
        else
            print_value(row, metrics->values[i], buffer);
        before = row->name;
    }
}
