/*
 * trace.c — W3C Trace Context.
 *
 * Way:  common
 */
#include "common/trace.h"

#include <stdio.h>

#include "common/random.h"

/* Lower-case hexadecimal digits, as many as asked for, not all of them zero unless that is allowed. */
static int read_hex(const char *text, size_t digits, bool zero_allowed, char *ret_text)
{
    bool zero = true;

    for (size_t i = 0; i < digits; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return -1;
        zero = zero && c == '0';
    }
    if (zero && !zero_allowed)
        return -1;
    memcpy(ret_text, text, digits);
    ret_text[digits] = '\0';
    return 0;
}

int rb_trace_parse(const char *text, struct rb_trace *ret_trace)
{
    struct rb_trace trace = {0};
    char version[3];
    size_t length = text != NULL ? strlen(text) : 0;

    if (length < RB_TRACEPARENT_BYTES - 1 || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return -1;
    RB_TRY(read_hex(text, 2, true, version));
    RB_TRY(read_hex(text + 3, 32, false, trace.trace_id));
    RB_TRY(read_hex(text + 36, 16, false, trace.span_id));
    RB_TRY(read_hex(text + 53, 2, true, trace.flags));
    if (strcmp(version, "ff") == 0)
        return -1;
    if (length > RB_TRACEPARENT_BYTES - 1 && (strcmp(version, "00") == 0 || text[55] != '-'))
        return -1;
    memcpy(trace.flags, rb_trace_is_sampled(&trace) ? "01" : "00", sizeof(trace.flags)); /* others mean nothing to us */
    *ret_trace = trace;
    return 0;
}

void rb_trace_continue(const char *traceparent, struct rb_trace *ret_trace)
{
    if (rb_trace_parse(traceparent, ret_trace) < 0) {
        *ret_trace = (struct rb_trace){.flags = "01"};
        rb_random_hex(32, ret_trace->trace_id);
    }
    memcpy(ret_trace->parent_id, ret_trace->span_id, sizeof(ret_trace->parent_id));
    rb_random_hex(16, ret_trace->span_id);
}

char *rb_trace_text(const struct rb_trace *trace, char *ret_text)
{
    snprintf(ret_text, RB_TRACEPARENT_BYTES, "00-%s-%s-%s", trace->trace_id, trace->span_id, trace->flags);
    return ret_text;
}

bool rb_trace_is_sampled(const struct rb_trace *trace)
{
    return strchr("13579bdf", trace->flags[1]) != NULL && trace->flags[0] != '\0' && trace->flags[1] != '\0';
}
