/* Counters, gauges and histograms, and how they are shown. */
#include "tests/unit/unit.h"

#include "common/metrics.h"

#define TEST_METRICS(X)                                                                                                \
    X(UP, COUNTER, "a_total", "way=\"up\"", "What a counts")                                                           \
    X(DOWN, COUNTER, "a_total", "way=\"down\"", "")                                                                    \
    X(SIZE, GAUGE, "b_bytes", "", "What b is")                                                                         \
    X(TIME, HISTOGRAM(0.005, 0.1, 2), "c_seconds", "", "What c takes")                                                 \
    X(LEFT, HISTOGRAM(10), "d_bytes", "side=\"left\"", "What d has")                                                   \
    X(RIGHT, HISTOGRAM(10), "d_bytes", "side=\"right\"", "")

enum {
    TEST_METRICS(RB_METRIC_ENUM) /**/
    METRIC_COUNT
};

static const struct rb_metric rows[] = {TEST_METRICS(RB_METRIC_ROW)};

static char *printed(const struct rb_metrics *metrics)
{
    RB_AUTO_BUFFER text = {0};

    rb_metrics_print(metrics, &text);
    return rb_buffer_steal(&text);
}

static void all_types_are_printed_as_prometheus_reads_them(void **state)
{
    struct rb_metrics metrics;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    rb_metrics_add(&metrics, METRIC_DOWN, 3);
    rb_metrics_set(&metrics, METRIC_SIZE, -7);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.25);
    rb_metrics_observe(&metrics, METRIC_RIGHT, 10);
    rb_metrics_observe(&metrics, METRIC_RIGHT, 11);

    RB_AUTO_TEXT *text = printed(&metrics);

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
                        "d_bytes_sum{side=\"right\"} 21\nd_bytes_count{side=\"right\"} 2\n");
    rb_metrics_done(&metrics);
}

static void a_value_on_a_bound_belongs_below_it(void **state)
{
    struct rb_metrics metrics;
    struct rb_histogram *histogram;

    (void)state;
    rb_metrics_init(&metrics, rows, METRIC_COUNT);
    histogram = metrics.histograms[METRIC_TIME];
    rb_metrics_observe(&metrics, METRIC_TIME, 0);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.005);
    rb_metrics_observe(&metrics, METRIC_TIME, 0.0051);
    rb_metrics_observe(&metrics, METRIC_TIME, 2);
    rb_metrics_observe(&metrics, METRIC_TIME, 2.1);
    rb_metrics_observe(&metrics, METRIC_TIME, 1e9);
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
    assert_aborts(rb_metrics_observe(&metrics, METRIC_SIZE, 1));
    assert_aborts(rb_metrics_observe(&metrics, METRIC_COUNT, 1));
    rb_metrics_done(&metrics);
}

UNIT_MAIN(T(all_types_are_printed_as_prometheus_reads_them), T(a_value_on_a_bound_belongs_below_it),
          T(only_a_histogram_observes))
