/*
 * span.h — one step of a trace, and how OpenTelemetry wants to see it.
 *
 * Way:  common
 *
 * Source: OpenTelemetry protocol 1.0, JSON encoding: ids in hexadecimal, times as text, enums as numbers.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "common/trace.h"

#define RB_SPAN_FACTS_MAX 8

/* The numbers are the protocol's. */
enum rb_span_kind {
    RB_SPAN_INTERNAL = 1,
    RB_SPAN_SERVER,
    RB_SPAN_CLIENT,
    RB_SPAN_PRODUCER,
    RB_SPAN_CONSUMER,
};

/* What is known about a span: text, or without it a number. */
struct rb_span_fact {
    const char *name;
    const char *text;
    int64_t number;
};

/* All borrowed. */
struct rb_span {
    const struct rb_trace *trace; /* that it belongs to */
    const char *id;               /* its own: 16 hexadecimal digits */
    const char *parent_id;        /* of the span that it is part of; "" for none */
    const char *name;
    enum rb_span_kind kind;
    int64_t from; /* milliseconds since 1970 */
    int64_t to;
    const struct rb_error *error; /* NULL: it ended well */
    struct rb_span_fact
        facts[RB_SPAN_FACTS_MAX]; /* up to the first without a name; what is neither text nor number is left out */
};

/* A fact that is not known, whose text is NULL. */
#define RB_SPAN_NO_NUMBER INT64_MIN

/*
 * Write a span as the protocol has it.
 *
 * Gives:  owned by the caller.
 * Loop:   pure, any thread.
 */
json_t *rb_span_json(const struct rb_span *span);

/*
 * Put spans into the request that takes them to a collector.
 *
 * Takes:  spans, an array of them, of which a reference is taken; service, the program's name; instance, of this process.
 * Gives:  owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_span_request(json_t *spans, const char *service, const char *instance);
