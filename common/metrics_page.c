/*
 * metrics_page.c — how metrics are shown: to Prometheus, in both of its formats, and to people, as a table.
 *
 * Way:  common
 */
#include "common/metrics_page.h"

#include <inttypes.h>

struct rb_metrics_page {
    struct rb_buffer *buffer;
    enum rb_metrics_format format;
    const struct rb_metric *row; /* that is being shown */
};

static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* -- to Prometheus ------------------------------------------------------------------------------------------------- */

/* A bound of a bucket. OpenMetrics wants whole numbers to be seen as floating ones. */
static char *bound_text(const struct rb_metrics_page *page, double bound, char text[static 40])
{
    int length = snprintf(text, 32, "%.15g", bound);

    if (page->format == RB_METRICS_OPEN && strpbrk(text, ".e") == NULL)
        snprintf(text + length, 3, ".0");
    return text;
}

static void show_name(struct rb_metrics_page *page, const char *suffix, const char *labels)
{
    rb_buffer_print(page->buffer, "%s%s", page->row->name, suffix);
    if (labels[0] != '\0')
        rb_buffer_print(page->buffer, "{%s}", labels);
}

static void show_value(struct rb_metrics_page *page, int64_t value)
{
    show_name(page, "", page->row->labels);
    if (page->row->type == RB_METRIC_GAUGE && value == RB_METRIC_NEVER)
        rb_buffer_print(page->buffer, " +Inf\n");
    else
        rb_buffer_print(page->buffer, " %" PRId64 "\n", value);
}

void rb_metrics_show(struct rb_metrics_page *page, const char *labels, uint64_t value)
{
    show_name(page, "", labels);
    rb_buffer_print(page->buffer, " %" PRIu64 "\n", value);
}

/* One bucket counts all that is not above its bound. */
static void show_bucket(struct rb_metrics_page *page, const char *bound, uint64_t count,
                        const struct rb_exemplar *exemplar)
{
    const char *labels = page->row->labels;

    rb_buffer_print(page->buffer, "%s_bucket{%s%sle=\"%s\"} %" PRIu64, page->row->name, labels,
                    labels[0] != '\0' ? "," : "", bound, count);
    if (page->format == RB_METRICS_OPEN && exemplar->trace_id[0] != '\0')
        rb_buffer_print(page->buffer, " # {trace_id=\"%s\"} %.15g %" PRId64 ".%03" PRId64, exemplar->trace_id,
                        exemplar->value, exemplar->unix_ms / 1000, exemplar->unix_ms % 1000);
    rb_buffer_print(page->buffer, "\n");
}

static void show_histogram(struct rb_metrics_page *page, const struct rb_histogram *histogram)
{
    const struct rb_metric *row = page->row;
    uint64_t total = 0;
    char bound[40];

    for (size_t i = 0; i < row->bound_count; i++) {
        total += histogram->counts[i];
        show_bucket(page, bound_text(page, row->bounds[i], bound), total, &histogram->exemplars[i]);
    }
    total += histogram->counts[row->bound_count];
    show_bucket(page, "+Inf", total, &histogram->exemplars[row->bound_count]);
    show_name(page, "_sum", row->labels);
    rb_buffer_print(page->buffer, " %.15g\n", histogram->sum);
    show_name(page, "_count", row->labels);
    rb_buffer_print(page->buffer, " %" PRIu64 "\n", total);
}

/* In OpenMetrics a counter's family is named without the _total of its samples. */
static void show_head(struct rb_metrics_page *page)
{
    const struct rb_metric *row = page->row;
    bool shorter = page->format == RB_METRICS_OPEN && row->type == RB_METRIC_COUNTER;
    int length = (int)(strlen(row->name) - (shorter ? strlen("_total") : 0));

    rb_buffer_print(page->buffer, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, row->name, row->help, length, row->name,
                    type_names[row->type]);
}

void rb_metrics_print(struct rb_metrics *metrics, enum rb_metrics_format format, struct rb_buffer *buffer)
{
    struct rb_metrics_page page = {.buffer = buffer, .format = format};
    const char *before = "";

    for (size_t i = 0; i < metrics->hook_count; i++)
        metrics->hooks[i].fn(metrics, metrics->hooks[i].arg);
    for (size_t i = 0; i < metrics->count; i++) {
        page.row = &metrics->rows[i];
        if (strcmp(page.row->name, before) != 0)
            show_head(&page);
        if (page.row->at_run_time && metrics->series[i].fn != NULL)
            metrics->series[i].fn(&page, metrics->series[i].arg);
        else if (page.row->type == RB_METRIC_HISTOGRAM)
            show_histogram(&page, metrics->histograms[i]);
        else if (!page.row->at_run_time)
            show_value(&page, metrics->values[i]);
        before = page.row->name;
    }
    if (format == RB_METRICS_OPEN)
        rb_buffer_print(buffer, "# EOF\n");
}

/* -- to whom in which format --------------------------------------------------------------------------------------- */

/* How much one element of an Accept header wants a type, in thousandths; -1 when it is about another one. */
static int quality_of(const char *element, size_t length, const char *type)
{
    size_t type_length = strlen(type);
    int quality = 1000;

    if (length < type_length || strncasecmp(element, type, type_length) != 0)
        return -1;
    if (length > type_length && strchr("; \t", element[type_length]) == NULL)
        return -1;
    for (size_t i = type_length; i + 2 < length; i++)
        if (strchr("; \t", element[i]) != NULL && strncasecmp(element + i + 1, "q=", 2) == 0)
            quality = (int)(strtod(element + i + 3, NULL) * 1000);
    return quality;
}

static int best_quality(const char *accept, const char *type)
{
    int best = 0;

    while (*accept != '\0') {
        size_t length = strcspn(accept, ",");
        size_t blanks = strspn(accept, " \t");

        if (blanks < length)
            best = RB_MAX(best, quality_of(accept + blanks, length - blanks, type));
        accept += length + (accept[length] == ',' ? 1 : 0);
    }
    return best;
}

enum rb_metrics_format rb_metrics_wanted(const char *accept)
{
    int open = accept != NULL ? best_quality(accept, "application/openmetrics-text") : 0;

    return open > 0 && open >= best_quality(accept, "text/plain") ? RB_METRICS_OPEN : RB_METRICS_TEXT;
}

void rb_metrics_serve(struct rb_metrics *metrics, struct rb_exchange *exchange)
{
    RB_AUTO_BUFFER accept = {0};
    RB_AUTO_BUFFER text = {0};
    enum rb_metrics_format format = RB_METRICS_TEXT;

    if (rb_exchange_header_list(exchange, "Accept", &accept))
        format = rb_metrics_wanted(accept.bytes);
    rb_metrics_print(metrics, format, &text);

    const struct rb_reply reply = {
        .status = 200,
        .content_type = format == RB_METRICS_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                  : "text/plain; version=0.0.4; charset=utf-8",
        .body = text.bytes,
        .body_bytes = text.used,
        .headers = {{"Vary", "Accept"}},
    };

    rb_exchange_reply(exchange, &reply);
}

/* -- to people ----------------------------------------------------------------------------------------------------- */

#define LABELS_MAX 4

/* One label of a family, and the values that it has in all of its rows. */
struct label {
    const char *name; /* borrowed from a row, as its length says */
    size_t length;
    struct rb_buffer values;
};

static void add_value(struct label *label, const char *value, size_t length)
{
    RB_AUTO_TEXT *quoted = rb_xprintf("`%.*s`", (int)length, value);

    if (label->values.used > 0 && strstr(label->values.bytes, quoted) != NULL)
        return;
    rb_buffer_print(&label->values, "%s%s", label->values.used > 0 ? ", " : "", quoted);
}

/* The labels of one row: name="value", parted by commas. */
static void add_labels(struct label labels[static LABELS_MAX], const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "=");
        const char *value = text + length + 2;
        size_t value_length = strcspn(value, "\""), i = 0;

        while (i < LABELS_MAX && labels[i].name != NULL &&
               (labels[i].length != length || strncmp(labels[i].name, text, length) != 0))
            i++;
        RB_ASSERT(i < LABELS_MAX && text[length] == '=');
        labels[i].name = text;
        labels[i].length = length;
        add_value(&labels[i], value, value_length);
        text = value + value_length + 1;
        text += *text == ',' ? 1 : 0;
    }
}

/* The labels of all rows of one name. */
static void print_labels(const struct rb_metric *rows, size_t count, FILE *file)
{
    struct label labels[LABELS_MAX] = {0};

    if (rows->at_run_time) {
        fputs(rows->labels, file);
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_labels(labels, rows[i].labels);
    for (size_t i = 0; i < LABELS_MAX && labels[i].name != NULL; i++) {
        fprintf(file, "%s`%.*s`: %s", i > 0 ? "; " : "", (int)labels[i].length, labels[i].name, labels[i].values.bytes);
        rb_buffer_done(&labels[i].values);
    }
}

void rb_metrics_print_table(const struct rb_metric *rows, size_t count, FILE *file)
{
    fputs("| metric | type | labels | what it says |\n| --- | --- | --- | --- |\n", file);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && strcmp(rows[next].name, rows[i].name) == 0;)
            next++;
        fprintf(file, "| `%s` | %s | ", rows[i].name, type_names[rows[i].type]);
        print_labels(rows + i, next - i, file);
        fprintf(file, " | %s |\n", rows[i].help);
    }
}
