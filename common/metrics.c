/*
 * metrics.c — counters and gauges in Prometheus' text format.
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
    };
}

void rb_metrics_done(struct rb_metrics *metrics)
{
    free(metrics->values);
    *metrics = (struct rb_metrics){0};
}

void rb_metrics_print(const struct rb_metrics *metrics, struct rb_buffer *buffer)
{
    static const char *const types[] = {"counter", "gauge"};
    const char *before = "";

    for (size_t i = 0; i < metrics->count; i++) {
        const struct rb_metric *row = &metrics->rows[i];
        const char *open = row->labels[0] != '\0' ? "{" : "";
        const char *close = row->labels[0] != '\0' ? "}" : "";

        if (strcmp(row->name, before) != 0)
            rb_buffer_print(buffer, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, types[row->type]);
        rb_buffer_print(buffer, "%s%s%s%s %" PRId64 "\n", row->name, open, row->labels, close, metrics->values[i]);
        before = row->name;
    }
}
