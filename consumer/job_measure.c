/*
 * job_measure.c — what a job counts on its way, and what it says about its outlook.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include "common/clock.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

_Static_assert(METRIC_TRIED_FATAL - METRIC_TRIED_OK == RB_FATAL - RB_OK, "the rows of tries are counted by class");

static void observe(const struct rb_job *job, size_t metric, int64_t took_ms)
{
    rb_metrics_observe(job->env->metrics, metric, (double)RB_MAX(took_ms, 0) / 1000, &job->message->trace);
}

void job_count_try(struct rb_job *job, const struct rb_error *err)
{
    rb_metrics_add(job->env->metrics, METRIC_TRIED_OK + (err != NULL ? err->class : RB_OK), 1);
}

void job_count_started(const struct rb_job *job)
{
    if (job->tries.tries == 1 && rb_job_since(job) != RB_NO_LONG)
        observe(job, METRIC_STAGE_STARTED, rb_clock_unix_ms() - rb_job_since(job));
}

/* Not again when the row was written before, by a process that has died since. */
void job_count_recorded(struct rb_job *job)
{
    int64_t now = rb_clock_unix_ms();

    if (job->outcome != OUTCOME_STORED)
        return;
    job->recorded_ms = rb_clock_ms();
    if (job->tries.first_try_at != RB_NO_LONG)
        observe(job, METRIC_STAGE_STORED, now - job->tries.first_try_at);
    if (job->source.expires_at != RB_NO_LONG)
        rb_metrics_observe(job->env->metrics, METRIC_LIFE_LEFT, (double)RB_MAX(job->source.expires_at - now, 0) / 1000,
                           &job->message->trace);
}

/* In the order of the rows of reelbus_failures_total. */
static size_t failure_of(const char *class)
{
    static const char *const classes[] = {"generation_failed", "unknown_video", "policy",
                                          "content",           "quota",         "storage"};
    size_t i = 0;

    while (i < RB_COUNT(classes) && (class == NULL || strcmp(classes[i], class) != 0))
        i++;
    return METRIC_FAILED_GENERATION + i;
}

_Static_assert(METRIC_FAILED_SOURCE - METRIC_FAILED_GENERATION == 6, "the last row is of what has no other");

void job_count_announced(struct rb_job *job)
{
    struct rb_metrics *metrics = job->env->metrics;

    if (job->outcome == OUTCOME_FAILED)
        rb_metrics_add(metrics, failure_of(job->row.error_class), 1);
    if (job->outcome != OUTCOME_STORED)
        return;
    rb_metrics_add(metrics, METRIC_BYTES, job->row.bytes);
    rb_metrics_observe(metrics, METRIC_SIZES, (double)job->row.bytes, &job->message->trace);
    if (job->recorded_ms != 0)
        observe(job, METRIC_STAGE_ANNOUNCED, rb_clock_ms() - job->recorded_ms);
    observe(job, METRIC_WHOLE_WAY, rb_clock_unix_ms() - job->input.received_at);
}

/* The bytes are in the store, or will never be. */
static bool is_over(const struct rb_job *job)
{
    switch (job->state) {
    case JOB_ILLUSTRATING:
    case JOB_DONE:
        return true;
    case JOB_RECORDING:
    case JOB_EMITTING:
        return job->outcome != OUTCOME_LATER;
    case JOB_RESTING:
        return job->rest_to == JOB_RECORDING || (job->rest_to == JOB_EMITTING && job->outcome != OUTCOME_LATER);
    default:
        return false;
    }
}

int64_t rb_job_expires_at(const struct rb_job *job)
{
    if (job->input.video_id[0] == '\0' || job->input.status != RB_INPUT_COMPLETED || is_over(job))
        return RB_NO_LONG;
    return job->source.url != NULL ? job->source.expires_at : job->input.expires_at;
}

int64_t rb_job_since(const struct rb_job *job)
{
    return job->event == RB_EVENT_VIDEO_STORE_RETRY || job->message->timestamp_ms < 0 ? RB_NO_LONG
                                                                                      : job->message->timestamp_ms;
}
