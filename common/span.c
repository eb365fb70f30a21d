/*
 * span.c — one step of a trace, and how OpenTelemetry wants to see it.
 *
 * Way:  common
 */
#include "common/span.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/json.h"
#include "common/version.h"

#define STATUS_ERROR 2 /* of the protocol */

/* Text that came from outside may be none. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);

    return value != NULL ? value : json_string("(no text)");
}

static void add_fact(json_t *facts, const struct rb_span_fact *fact)
{
    json_t *value = json_object();

    if (fact->text != NULL)
        json_object_set_new(value, "stringValue", text_of(fact->text));
    else
        json_object_set_new(value, "intValue", json_sprintf("%" PRId64, fact->number));
    json_array_append_new(facts, json_pack("{s:s, s:o}", "key", fact->name, "value", value));
}

static json_t *facts_json(const struct rb_span_fact *facts, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count && facts[i].name != NULL; i++)
        if (facts[i].text != NULL || facts[i].number != RB_SPAN_NO_NUMBER)
            add_fact(list, &facts[i]);
    return list;
}

json_t *rb_span_json(const struct rb_span *span)
{
    json_t *object = json_object();
    json_t *facts = facts_json(span->facts, RB_SPAN_FACTS_MAX);

    json_object_set_new(object, "traceId", json_string(span->trace->trace_id));
    json_object_set_new(object, "spanId", json_string(span->id));
    if (span->parent_id[0] != '\0')
        json_object_set_new(object, "parentSpanId", json_string(span->parent_id));
    json_object_set_new(object, "name", json_string(span->name));
    json_object_set_new(object, "kind", json_integer(span->kind));
    json_object_set_new(object, "startTimeUnixNano", json_sprintf("%" PRId64 "000000", span->from));
    json_object_set_new(object, "endTimeUnixNano", json_sprintf("%" PRId64 "000000", RB_MAX(span->to, span->from)));
    if (span->error != NULL) {
        add_fact(facts, &(struct rb_span_fact){"error.type", rb_code_name(span->error->code), 0});
        json_object_set_new(object, "status",
                            json_pack("{s:i, s:o}", "code", STATUS_ERROR, "message", text_of(span->error->message)));
    }
    json_object_set_new(object, "attributes", facts);
    return object;
}

char *rb_span_request(json_t *spans, const char *service, const char *instance)
{
    const struct rb_span_fact resource[] = {
        {"service.name", service, 0}, {"service.version", RB_VERSION, 0}, {"service.instance.id", instance, 0}};
    RB_AUTO_JSON *request = json_pack("{s:[{s:{s:o}, s:[{s:{s:s, s:s}, s:O}]}]}", "resourceSpans", "resource",
                                      "attributes", facts_json(resource, RB_COUNT(resource)), "scopeSpans", "scope",
                                      "name", "reelbus", "version", RB_VERSION, "spans", spans);
    char *text = json_dumps(request, JSON_COMPACT);

    if (text == NULL)
        RB_BUG("jansson does not write spans");
    return text;
}
