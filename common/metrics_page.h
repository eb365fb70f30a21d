/*
 * metrics_page.h — how metrics are shown: to Prometheus, in both of its formats, and to people, as a table.
 *
 * Way:  common
 *
 * Sources: Prometheus' text format 0.0.4; OpenMetrics 1.0.0, which has exemplars and is served to who asks for it.
 */
#pragma once

#include <stdio.h>

#include "common/buffer.h"
#include "common/httpd.h"
#include "common/metrics.h"

enum rb_metrics_format { RB_METRICS_TEXT, RB_METRICS_OPEN };

/*
 * Show one series of a row of COUNTERS.
 *
 * Takes:  labels, as they are to be shown, without the braces; value.
 * Loop:   loop thread, in a rb_metrics_series_fn.
 */
void rb_metrics_show(struct rb_metrics_page *page, const char *labels, uint64_t value);

/*
 * Write all of them.
 *
 * Loop:   loop thread.
 */
void rb_metrics_print(struct rb_metrics *metrics, enum rb_metrics_format format, struct rb_buffer *buffer);

/*
 * In which format does somebody want them?
 *
 * Takes:  accept, the header of the request; NULL for none.
 * Gives:  OPEN when OpenMetrics is asked for and the text format is not preferred to it.
 * Loop:   pure, any thread.
 */
enum rb_metrics_format rb_metrics_wanted(const char *accept);

/*
 * Answer with all of them, in the format that is asked for.
 *
 * Takes:  exchange, answered by this.
 * Loop:   loop thread.
 */
void rb_metrics_serve(struct rb_metrics *metrics, struct rb_exchange *exchange);

/*
 * Print the rows of a program as a table in Markdown.
 *
 * Loop:   any thread.
 */
void rb_metrics_print_table(const struct rb_metric *rows, size_t count, FILE *file);
