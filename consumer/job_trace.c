/*
 * job_trace.c — the spans of a job: one for each state, and one around them all.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include "common/clock.h"
#include "consumer/job_internal.h"

void job_trace_begin(struct rb_job *job)
{
    rb_random_hex(16, job->state_id);
}

char *job_traceparent(const struct rb_job *job)
{
    struct rb_trace trace = job->message->trace;
    char *text = rb_xalloc(RB_TRACEPARENT_BYTES);

    memcpy(trace.span_id, job->state_id, sizeof(trace.span_id));
    return rb_trace_text(&trace, text);
}

static enum rb_span_kind kind_of(enum job_state state)
{
    switch (state) {
    case JOB_EMITTING:
        return RB_SPAN_PRODUCER;
    case JOB_PLANNING:
    case JOB_RENEWING:
    case JOB_TRANSFERRING:
    case JOB_ILLUSTRATING:
    case JOB_RECORDING:
        return RB_SPAN_CLIENT; /* somebody else works for us */
    default:
        return RB_SPAN_INTERNAL;
    }
}

static void add_state(const struct rb_job *job, const char *name, enum job_state next)
{
    char lower[24];
    size_t i = 0;

    for (; name[i] != '\0' && i + 1 < sizeof(lower); i++)
        lower[i] = (char)(name[i] + ('a' - 'A') * (name[i] >= 'A' && name[i] <= 'Z'));
    lower[i] = '\0';

    const struct rb_span span = {
        .trace = &job->message->trace,
        .id = job->state_id,
        .parent_id = job->message->trace.span_id,
        .name = lower,
        .kind = kind_of(job->state),
        .from = rb_clock_unix_of(job->state_since_ms),
        .to = rb_clock_unix_ms(),
        .error = next == JOB_RESTING || next == JOB_HALTED ? &job->error : NULL,
    };

    rb_tracer_add(job->env->tracer, &span);
}

static void add_job(const struct rb_job *job)
{
    static const char *const outcomes[] = {"stored", "failed", "later", "dead_letter"};
    const struct rb_message *message = job->message;
    bool well = job->silent || job->outcome == OUTCOME_STORED;
    const struct rb_span span = {
        .trace = &message->trace,
        .id = message->trace.span_id,
        .parent_id = message->trace.parent_id,
        .name = "store video",
        .kind = RB_SPAN_CONSUMER,
        .from = rb_clock_unix_of(job->started_ms),
        .to = rb_clock_unix_ms(),
        .error = well || job->reason.code == RB_E_NONE ? NULL : &job->reason,
        .facts = {{"messaging.system", "kafka", 0},
                  {"messaging.destination.name", message->origin.topic, 0},
                  {"messaging.kafka.offset", NULL, message->origin.offset},
                  {"reelbus.video_id", job->input.video_id[0] != '\0' ? job->input.video_id : NULL, RB_SPAN_NO_NUMBER},
                  {"reelbus.outcome", job->silent ? "silent" : outcomes[job->outcome], 0},
                  {"reelbus.tries", NULL, job->tries.tries},
                  {"reelbus.bytes", NULL, well && !job->silent ? job->row.bytes : RB_SPAN_NO_NUMBER}},
    };

    rb_tracer_add(job->env->tracer, &span);
}

void job_trace_end(const struct rb_job *job, const char *name, enum job_state next)
{
    if (job->env->tracer == NULL)
        return;
    add_state(job, name, next);
    if (next == JOB_DONE)
        add_job(job);
}
