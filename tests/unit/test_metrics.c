/* Counters, gauges and histograms, and how they are shown. */
#include "tests/unit/unit.h"

#include "common/metrics_page.h"

#define TEST_METRICS(X)                                                                                                \
    X(UP, COUNTER, "a_total", "way=\"up\"", "What a counts")                                                           \
    X(DOWN, COUNTER, "a_total", "way=\"down\"", "")                                                                    \
    X(SIZE, GAUGE, "b_bytes", "", "What b is")                                                                         \
    X(TIME, HISTOGRAM(0.005, 0.1, 2), "c_seconds", "", "What c takes")                                                 \
    X(LEFT, HISTOGRAM(10), "d_bytes", "side=\"left\"", "What d has")                                                   \
    X(RIGHT, HISTOGRAM(10), "d_bytes", "side=\"right\"", "")                                                           \
    X(LATE, COUNTERS, "e_total", "`path`: those that are served", "What e counts")

enum {
    TEST_METRICS(RB_METRIC_ENUM) /**/
    METRIC_COUNT
};

static const struct rb_metric rows[] = {TEST_METRICS(RB_METRIC_ROW)};

static const struct rb_trace sampled = {"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "01", ""};
static const struct rb_trace unsampled = {"1af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00", ""};

static char *printed(struct rb_metrics *metrics, enum rb_metrics_format format)
{
    RB_AUTO_BUFFER text = {0};

    rb_metrics_print(metrics, format, &text);
    return rb_buffer_steal(&text);
}

static void all_types_are_printed_as_prometheus_reads_them(void **state)
{
    struct rb_metrics metrics;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    rb_metrics_add(&metrics, METRIC_DOWN, 3);
    rb_metrics_set(&metrics, METRIC_SIZE, -7);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.25, NULL);
    rb_metrics_observe(&metrics, METRIC_RIGHT, 10, NULL);
    rb_metrics_observe(&metrics, METRIC_RIGHT, 11, NULL);

    RB_AUTO_TEXT *text = printed(&metrics, RB_METRICS_TEXT);

    assert_string_equal(text,
                        "# HELP a_total What a counts\n# TYPE a_total counter\na_total{way=\"up\"} 0\n"
                        "a_total{way=\"down\"} 3\n"
                        "# HELP b_bytes What b is\n# TYPE b_bytes gauge\nb_bytes -7\n"
                        "# HELP c_seconds What c takes\n# TYPE c_seconds histogram\n"
                        "c_seconds_bucket{le=\"0.005\"} 0\nc_seconds_bucket{le=\"0.1\"} 0\n"
                        "c_seconds_bucket{le=\"2\"} 1\nc_seconds_bucket{le=\"+Inf\"} 1\n"
                        "c_seconds_sum 0.25\nc_seconds_count 1\n"
                        "# HELP d_bytes What d has\n# TYPE d_bytes histogram\n"
                        "d_bytes_bucket{side=\"left\",le=\"10\"} 0\nd_bytes_bucket{side=\"left\",le=\"+Inf\"} 0\n"
                        "d_bytes_sum{side=\"left\"} 0\nd_bytes_count{side=\"left\"} 0\n"
                        "d_bytes_bucket{side=\"right\",le=\"10\"} 1\nd_bytes_bucket{side=\"right\",le=\"+Inf\"} 2\n"
                        "d_bytes_sum{side=\"right\"} 21\nd_bytes_count{side=\"right\"} 2\n"
                        "# HELP e_total What e counts\n# TYPE e_total counter\n");
    rb_metrics_done(&metrics);
}

static void a_value_on_a_bound_belongs_below_it(void **state)
{
    struct rb_metrics metrics;
    struct rb_histogram *histogram;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    histogram = metrics.histograms[METRIC_TIME];
    rb_metrics_observe(&metrics, METRIC_TIME, 0, NULL);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.005, NULL);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.0051, NULL);
    rb_metrics_observe(&metrics, METRIC_TIME, 2, NULL);
    rb_metrics_observe(&metrics, METRIC_TIME, 2.1, NULL);
    rb_metrics_observe(&metrics, METRIC_TIME, 1e9, NULL);
    assert_int_equal(histogram->counts[0], 2);
    assert_int_equal(histogram->counts[1], 1);
    assert_int_equal(histogram->counts[2], 1);
    assert_int_equal(histogram->counts[3], 2);
    rb_metrics_done(&metrics);
}

static void only_a_histogram_observes(void **state)
{
    struct rb_metrics metrics;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    assert_aborts(rb_metrics_observe(&metrics, METRIC_SIZE, 1, NULL));
    assert_aborts(rb_metrics_observe(&metrics, METRIC_COUNT, 1, NULL));
    rb_metrics_done(&metrics);
}

static void show_late(struct rb_metrics_page *page, void *arg)
{
    rb_metrics_show(page, "path=\"/\"", *(uint64_t *)arg);
}

static void set_size(struct rb_metrics *metrics, void *arg)
{
    (void)arg;
    rb_metrics_set(metrics, METRIC_SIZE, RB_METRIC_NEVER);
}

static void what_is_known_late_is_asked_for_when_it_is_shown(void **state)
{
    struct rb_metrics metrics;
    uint64_t late = 7;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    rb_metrics_set_series(&metrics, METRIC_LATE, show_late, &late);
    rb_metrics_on_show(&metrics, set_size, NULL);

    RB_AUTO_TEXT *text = printed(&metrics, RB_METRICS_TEXT);

    assert_non_null(strstr(text, "# TYPE e_total counter\ne_total{path=\"/\"} 7\n"));
    assert_non_null(strstr(text, "\nb_bytes +Inf\n"));
    assert_aborts(rb_metrics_set_series(&metrics, METRIC_UP, show_late, &late));
    rb_metrics_done(&metrics);
}

static void openmetrics_names_families_without_total_and_ends(void **state)
{
    struct rb_metrics metrics;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);

    RB_AUTO_TEXT *text = printed(&metrics, RB_METRICS_OPEN);

    assert_non_null(strstr(text, "# HELP a What a counts\n# TYPE a counter\na_total{way=\"up\"} 0\n"));
    assert_non_null(strstr(text, "c_seconds_bucket{le=\"2.0\"} 0\n"));
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    rb_metrics_done(&metrics);
}

static void a_bucket_shows_the_last_trace_that_somebody_records(void **state)
{
    struct rb_metrics metrics;
    const char *wanted = "c_seconds_bucket{le=\"0.1\"} 3 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.02 1";

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.01, &sampled);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.02, &sampled);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.03, &unsampled);

    RB_AUTO_TEXT *open = printed(&metrics, RB_METRICS_OPEN);
    RB_AUTO_TEXT *plain = printed(&metrics, RB_METRICS_TEXT);

    assert_non_null(strstr(open, wanted));
    assert_null(strstr(open, "le=\"0.005\"} 0 #"));
    assert_null(strstr(plain, "trace_id"));
    rb_metrics_done(&metrics);
}

static void the_format_is_the_one_that_is_wanted_most(void **state)
{
    static const struct {
        const char *accept;
        enum rb_metrics_format wanted;
    } cases[] = {
        {NULL, RB_METRICS_TEXT},
        {"", RB_METRICS_TEXT},
        {"*/*", RB_METRICS_TEXT},
        {"text/plain", RB_METRICS_TEXT},
        {"application/openmetrics-text", RB_METRICS_OPEN},
        {"Application/OpenMetrics-Text; version=1.0.0", RB_METRICS_OPEN},
        {"application/openmetrics-texts", RB_METRICS_TEXT},
        {"application/openmetrics-text;q=0", RB_METRICS_TEXT},
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", RB_METRICS_OPEN},
        {"text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.5", RB_METRICS_TEXT},
        {", ,application/openmetrics-text ;q=1", RB_METRICS_OPEN},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(cases); i++)
        assert_int_equal(rb_metrics_wanted(cases[i].accept), cases[i].wanted);
}

static void the_table_has_a_line_for_each_name_with_all_its_labels(void **state)
{
    char text[2048] = "";
    FILE *file = fmemopen(text, sizeof(text), "w");

    (void)state;
    assert_non_null(file);
    rb_metrics_print_table(rows, METRIC_COUNT, file);
    fclose(file);
    assert_non_null(strstr(text, "| `a_total` | counter | `way`: `up`, `down` | What a counts |\n"));
    assert_non_null(strstr(text, "| `b_bytes` | gauge |  | What b is |\n"));
    assert_non_null(strstr(text, "| `d_bytes` | histogram | `side`: `left`, `right` | What d has |\n"));
    assert_non_null(strstr(text, "| `e_total` | counter | `path`: those that are served | What e counts |\n"));
}

UNIT_MAIN(T(all_types_are_printed_as_prometheus_reads_them), T(a_value_on_a_bound_belongs_below_it),
          T(only_a_histogram_observes), T(what_is_known_late_is_asked_for_when_it_is_shown),
          T(openmetrics_names_families_without_total_and_ends), T(a_bucket_shows_the_last_trace_that_somebody_records),
          T(the_format_is_the_one_that_is_wanted_most), T(the_table_has_a_line_for_each_name_with_all_its_labels))
