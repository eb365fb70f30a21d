/* Spans, as OpenTelemetry reads them. */
#include "tests/unit/unit.h"

#include "common/json.h"
#include "common/sampler.h"
#include "common/span.h"

static const struct rb_trace trace = {"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "01", ""};

static char *text_of(const struct rb_span *span)
{
    RB_AUTO_JSON *object = rb_span_json(span);

    return json_dumps(object, JSON_COMPACT);
}

static void a_span_has_its_ids_times_and_facts(void **state)
{
    const struct rb_span span = {
        .trace = &trace,
        .id = "00f067aa0ba902b7",
        .parent_id = "b7ad6b7169203331",
        .name = "planning",
        .kind = RB_SPAN_CLIENT,
        .from = 1795372200123,
        .to = 1795372200125,
        .facts = {{"a", "text", 0}, {"none", NULL, RB_SPAN_NO_NUMBER}, {"b", NULL, -7}},
    };
    RB_AUTO_TEXT *text = text_of(&span);

    (void)state;
    assert_string_equal(text,
                        "{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"00f067aa0ba902b7\","
                        "\"parentSpanId\":\"b7ad6b7169203331\",\"name\":\"planning\",\"kind\":3,"
                        "\"startTimeUnixNano\":\"1795372200123000000\",\"endTimeUnixNano\":\"1795372200125000000\","
                        "\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"text\"}},"
                        "{\"key\":\"b\",\"value\":{\"intValue\":\"-7\"}}]}");
}

static void an_error_is_its_status(void **state)
{
    struct rb_error err = {0};
    struct rb_span span = {.trace = &trace, .id = "00f067aa0ba902b7", .parent_id = "", .name = "x", .from = 5, .to = 4};

    (void)state;
    rb_fail(&err, RB_E_SOURCE_GONE, 404, "no \xff text");
    span.error = &err;

    RB_AUTO_TEXT *text = text_of(&span);

    assert_null(strstr(text, "parentSpanId"));
    assert_non_null(strstr(text, "\"endTimeUnixNano\":\"5000000\"")); /* a clock that went back */
    assert_non_null(strstr(text, "\"status\":{\"code\":2,\"message\":\"(no text)\"}"));
    assert_non_null(strstr(text, "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"source_gone\"}}"));
}

static void a_request_says_whose_spans_they_are(void **state)
{
    const struct rb_span span = {.trace = &trace, .id = "00f067aa0ba902b7", .parent_id = "", .name = "x"};
    RB_AUTO_JSON *spans = json_array();

    (void)state;
    json_array_append_new(spans, rb_span_json(&span));

    RB_AUTO_TEXT *text = rb_span_request(spans, "a-program", "an-instance");
    RB_AUTO_JSON *request = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *name = NULL, *value = NULL, *span_id = NULL;

    assert_int_equal(json_unpack(request, "{s:[{s:{s:[{s:s, s:{s:s}}]}, s:[{s:[{s:s}]}]}]}", "resourceSpans",
                                 "resource", "attributes", "key", &name, "value", "stringValue", &value, "scopeSpans",
                                 "spans", "spanId", &span_id),
                     0);
    assert_string_equal(name, "service.name");
    assert_string_equal(value, "a-program");
    assert_string_equal(span_id, "00f067aa0ba902b7");
    assert_int_equal(json_array_size(spans), 1);
}

static bool is_taken(const char *name, const char *ratio, struct rb_trace of)
{
    struct rb_sampler sampler;

    assert_works(rb_sampler_read(name, ratio, &sampler, &err));
    rb_sampler_decide(&sampler, &of);
    assert_int_equal(of.flags[0], '0');
    return rb_trace_is_sampled(&of);
}

static void a_sampler_heeds_the_parent_the_id_or_neither(void **state)
{
    const struct rb_trace low = {"ffffffffffffffff3000000000000000", "00f067aa0ba902b7", "01", ""};
    const struct rb_trace high = {"0000000000000000fffffffffffffffe", "00f067aa0ba902b7", "01", ""};
    const struct rb_trace no = {"0000000000000000fffffffffffffffe", "00f067aa0ba902b7", "02", "b7ad6b7169203331"};
    struct rb_trace yes = no;

    (void)state;
    yes.flags[1] = '3';
    for (const char *const *name =
             (const char *const[]){"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio", NULL};
         *name != NULL; name++) {
        assert_true(is_taken(*name, "0.5", yes));
        assert_false(is_taken(*name, "0.5", no));
    }
    assert_true(is_taken("parentbased_always_on", "", low) && is_taken("always_on", "nonsense", no));
    assert_false(is_taken("parentbased_always_off", "", low) || is_taken("always_off", "", yes));
    assert_true(is_taken("traceidratio", "0.2", low) && is_taken("traceidratio", "1", high));
    assert_false(is_taken("traceidratio", "0.18", low) || is_taken("traceidratio", "0.9", high));
    assert_false(is_taken("traceidratio", "0", low) || is_taken("parentbased_traceidratio", "0.9", high));
}

static void a_sampler_that_is_none_is_refused(void **state)
{
    static const char *const names[] = {"", "on", "parentbased_", "always_on ", "jaeger_remote"};
    static const char *const ratios[] = {"", "1.1", "-0.1", "half", "0.5x", "nan", "inf", "0x1", " 1"};
    struct rb_sampler sampler;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(names); i++)
        assert_fails(rb_sampler_read(names[i], "1", &sampler, &err), BAD_OPTION);
    for (size_t i = 0; i < RB_COUNT(ratios); i++)
        assert_fails(rb_sampler_read("traceidratio", ratios[i], &sampler, &err), BAD_OPTION);
}

UNIT_MAIN(T(a_span_has_its_ids_times_and_facts), T(an_error_is_its_status), T(a_request_says_whose_spans_they_are),
          T(a_sampler_heeds_the_parent_the_id_or_neither), T(a_sampler_that_is_none_is_refused))
