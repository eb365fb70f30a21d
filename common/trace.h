/*
 * trace.h — W3C Trace Context: which trace a request, a record and a log line belong to.
 *
 * Way:  common
 *
 * Source: W3C Recommendation "Trace Context", level 1, section 3.2.
 */
#pragma once

#include "common/base.h"

#define RB_TRACEPARENT_BYTES 56 /* "00-<32 hex>-<16 hex>-<2 hex>" and its NUL */

struct rb_trace {
    char trace_id[33]; /* 32 hexadecimal digits in lower case */
    char span_id[17];  /* 16 of them */
    char flags[3];
    char parent_id[17]; /* of the span that this one goes on from; "" for none */
};

/*
 * Read a traceparent. Versions above 00 are read by their first four fields, as the recommendation asks.
 *
 * Takes:  text, borrowed, may be NULL.
 * Gives:  0 and ret_trace, or -1 when it is absent or not valid.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_trace_parse(const char *text, struct rb_trace *ret_trace);

/*
 * Go on from a trace that came in, or begin a new one: the trace id is kept, the span id is fresh, and that which came in is the
 * parent.
 *
 * Takes:  traceparent, borrowed, NULL or not valid: a new trace begins, sampled.
 * Loop:   any thread.
 */
void rb_trace_continue(const char *traceparent, struct rb_trace *ret_trace);

/*
 * Write a traceparent.
 *
 * Takes:  ret_text, at least RB_TRACEPARENT_BYTES bytes.
 * Gives:  ret_text.
 * Loop:   pure, any thread.
 */
char *rb_trace_text(const struct rb_trace *trace, char *ret_text);

/*
 * Does somebody record this trace?
 *
 * Loop:   pure, any thread.
 */
bool rb_trace_is_sampled(const struct rb_trace *trace);
