/*
 * tracer.h — sends traces to a collector, by OTLP over HTTP, in JSON.
 *
 * Way:  common
 *
 * Traces are a courtesy: nothing waits for them. Spans go in batches, one request at a time; a collector that is away is tried
 * again for a while, and what is more than can be kept meanwhile is dropped and counted.
 */
#pragma once

#include "common/loop.h"
#include "common/metrics.h"
#include "common/span.h"

struct rb_tracer;

/* All borrowed, metrics for as long as the tracer lives, the rest for the call. */
struct rb_tracer_config {
    const char *url;     /* of the collector, to which /v1/traces is added; "" for none */
    const char *headers; /* "name=value,name=value", for each request */
    const char *service; /* the program's name */
    const char *sampler; /* which traces are recorded, and its argument: as in sampler.h */
    const char *sampler_arg;
    struct rb_metrics *metrics;
    size_t sent; /* rows of it that count spans */
    size_t dropped;
};

/*
 * Make one.
 *
 * Gives:  ret_tracer, owned by the caller; rb_tracer_free it. NULL without a collector: then nothing is traced.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_tracer_new(struct rb_loop *loop, const struct rb_tracer_config *config,
                                struct rb_tracer **ret_tracer, struct rb_error *err);

/*
 * A trace has begun here, or goes on here: decide whether it is recorded.
 *
 * Takes:  tracer, NULL for none: then nothing is decided here.
 * Loop:   loop thread.
 */
void rb_tracer_decide(const struct rb_tracer *tracer, struct rb_trace *trace);

/*
 * A span has ended. Only those of sampled traces are kept.
 *
 * Takes:  tracer, NULL for none; span, borrowed for the call.
 * Loop:   loop thread.
 */
void rb_tracer_add(struct rb_tracer *tracer, const struct rb_span *span);

/*
 * A part of a span ends now.
 *
 * Takes:  tracer, NULL for none; trace, of the span, borrowed for the call, as all below; from_ms, when the part began,
 *         monotonic; err, NULL when it ended well.
 * Loop:   loop thread.
 */
void rb_tracer_add_part(struct rb_tracer *tracer, const struct rb_trace *trace, const char *name,
                        enum rb_span_kind kind, int64_t from_ms, const struct rb_error *err);

/*
 * The program ends: send what is there without waiting for more.
 *
 * Takes:  tracer, NULL for none.
 * Gives:  whether there is nothing left to wait for; a collector that does not answer is not waited for.
 * Loop:   loop thread, outside of libcurl callbacks; call it again now and then.
 */
bool rb_tracer_drain(struct rb_tracer *tracer);

/*
 * Free it, and what it has not sent. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_tracer_free(struct rb_tracer *tracer);
