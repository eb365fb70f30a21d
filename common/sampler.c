/*
 * sampler.c — which traces are recorded.
 *
 * Way:  common
 */
#include "common/sampler.h"

#include <stdlib.h>

#define PREFIX    "parentbased_"
#define THRESHOLD ((uint64_t)1 << 63) /* above all ids */

static int read_ratio(const char *text, uint64_t *ret_threshold, struct rb_error *err)
{
    char *end;
    double ratio = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || strspn(text, "0123456789.eE-+") != strlen(text) || !(ratio >= 0 && ratio <= 1))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'traces_sampler_arg' is '%.20s', expected 0 to 1", text);
    *ret_threshold = (uint64_t)(ratio * (double)THRESHOLD);
    return 0;
}

int rb_sampler_read(const char *name, const char *ratio, struct rb_sampler *ret_sampler, struct rb_error *err)
{
    bool by_parent = strncmp(name, PREFIX, strlen(PREFIX)) == 0;
    const char *rest = name + (by_parent ? strlen(PREFIX) : 0);
    struct rb_sampler sampler = {.by_parent = by_parent};

    if (strcmp(rest, "traceidratio") == 0)
        RB_TRY(read_ratio(ratio, &sampler.threshold, err));
    else if (strcmp(rest, "always_on") == 0)
        sampler.threshold = THRESHOLD;
    else if (strcmp(rest, "always_off") != 0)
        return rb_fail(
            err, RB_E_BAD_OPTION, 0,
            "option 'traces_sampler' is '%.40s', expected always_on, always_off or traceidratio, or one of them "
            "behind " PREFIX,
            name);
    *ret_sampler = sampler;
    return 0;
}

/* The last 16 digits of an id are random in all versions of the recommendation. */
static uint64_t number_of(const struct rb_trace *trace)
{
    return strtoull(trace->trace_id + 16, NULL, 16) >> 1;
}

void rb_sampler_decide(const struct rb_sampler *sampler, struct rb_trace *trace)
{
    static const char digits[] = "0123456789abcdef";
    unsigned flags = (unsigned)strtoul(trace->flags, NULL, 16);

    if (sampler->by_parent && trace->parent_id[0] != '\0')
        return;
    flags = number_of(trace) < sampler->threshold ? flags | 1 : flags & ~1u;
    trace->flags[1] = digits[flags & 15];
}
