/*
 * sampler.h — which traces are recorded, by OpenTelemetry's names.
 *
 * Way:  common
 *
 * Source: OpenTelemetry specification, general SDK configuration: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
 */
#pragma once

#include "common/error.h"
#include "common/trace.h"

/* All zero: none is recorded. */
struct rb_sampler {
    bool by_parent;     /* a trace that came in is recorded when whoever sent it records it */
    uint64_t threshold; /* others, when what their id is as a number of 63 bits lies below */
};

/*
 * Read what an operator wants.
 *
 * Takes:  name: always_on, always_off, traceidratio, and each of them behind "parentbased_"; ratio, from 0 to 1, read for
 *         traceidratio only.
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_sampler_read(const char *name, const char *ratio, struct rb_sampler *ret_sampler,
                                  struct rb_error *err);

/*
 * Decide about a trace that has just begun here or gone on here; its flags say so afterwards. The same id is decided upon in the
 * same way everywhere.
 *
 * Loop:   pure, any thread.
 */
void rb_sampler_decide(const struct rb_sampler *sampler, struct rb_trace *trace);
