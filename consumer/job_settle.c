/*
 * job_settle.c — what a job does with its outcome: write it down, announce it, and end.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"
#include "consumer/outcome.h"

static int send_stored(struct rb_job *job)
{
    const struct rb_record_ask ask = job_ask(job);
    struct rb_store *store = job->target->store;
    const struct rb_object place = {
        .bucket = job->target->bucket, .key = job->result.key, .content_type = job->result.content_type};
    RB_AUTO_TEXT *url = job->result.url != NULL ? rb_xstrdup(job->result.url) : store->ops->url(store, &place);
    const struct rb_record_object object = {
        .store = store->ops->kind,
        .bucket = job->target->bucket,
        .key = job->result.key,
        .url = url,
        .bytes = job->result.bytes,
        .sha256 = job->result.sha256,
        .content_type = job->result.content_type,
        .variants = &job->variants,
    };

    return rb_record_stored(job->env->record, &ask, &job->row, &object, &job->op, &job->error);
}

static int send_failed(struct rb_job *job)
{
    const struct rb_record_ask ask = job_ask(job);
    const struct rb_record_failure failure = {
        .class = rb_outcome_class(job->reason.code),
        .code = rb_code_name(job->reason.code),
        .message = job->reason.message,
        .kept = job->reason.code == RB_E_QUOTA_KEPT,
    };

    return rb_record_failed(job->env->record, &ask, &job->row, &failure, &job->op, &job->error);
}

enum job_state job_step_RECORDING(struct rb_job *job)
{
    struct rb_record_answer answer;

    if (job->op == NULL && (job->outcome == OUTCOME_STORED ? send_stored(job) : send_failed(job)) < 0)
        return job_after_error(job);
    switch (rb_record_poll(job->op, &answer, &job->error)) {
    case RB_POLL_WAIT:
        return JOB_RECORDING;
    case RB_POLL_FAILED:
        return job_after_refusal(job);
    case RB_POLL_DONE:
        break;
    }
    if (answer.verdict == RB_VERDICT_MINE || answer.verdict == RB_VERDICT_ANNOUNCE) {
        RB_FAIL_HERE(row_written);
        rb_row_done(&job->row);
        job->row = answer.row;
        job_count_recorded(job);
        rb_backoff_reset(&job->backoff);
        return JOB_EMITTING;
    }
    rb_row_done(&answer.row);
    if (answer.verdict == RB_VERDICT_SETTLED)
        return job_be_silent(job, "settled_by_another_worker");
    return job_superseded(job);
}

/* A video that the application does not have has no history either. */
static void note_announced(struct rb_job *job, const struct rb_delivery *delivery)
{
    const struct rb_history_announced announced = {
        .video_id = job->row.video_id,
        .topic = rb_emit_topic(job->env->emit, job->row.state),
        .partition = delivery->partition,
        .offset = delivery->offset,
    };

    if ((job->outcome == OUTCOME_STORED || job->outcome == OUTCOME_FAILED) && job->row.attempt > 0)
        rb_history_add(job->env->history, &announced);
}

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct rb_job *job = RB_CAST(rb_job, arg, JOB_MAGIC);

    if (err == NULL)
        RB_FAIL_HERE(event_acknowledged);
    job->sent = err == NULL ? RB_POLL_DONE : RB_POLL_FAILED;
    if (err != NULL)
        job->error = *err;
    else
        note_announced(job, delivery);
    rb_job_poke(job);
}

static int send_outcome(struct rb_job *job)
{
    const struct rb_origin origin = job_origin(job);
    const struct rb_emit_case about = {&job->row, job->message, &origin};
    const struct rb_dead_letter letter = {job->message, &job->reason, job->bare};

    RB_TRY(RB_FAIL_AS(event_send, KAFKA_AWAY, &job->error));
    job->receipt = (struct rb_receipt){.fn = on_delivered, .arg = job};
    if (job->outcome == OUTCOME_DEAD_LETTER)
        return rb_emit_dead_letter(job->env->emit, &letter, &job->receipt, &job->error);
    if (job->outcome == OUTCOME_LATER)
        return job_send_later(job);
    return rb_emit_outcome(job->env->emit, &about, &job->receipt, &job->error);
}

static void log_end(struct rb_job *job)
{
    char quoted[RB_LOG_QUOTE_BYTES];

    job_count_announced(job);
    switch (job->outcome) {
    case OUTCOME_STORED:
        rb_metrics_add(job->env->metrics, METRIC_STORED, 1);
        rb_log(&job->about, RB_EV_JOB_STORED,
               "key=%s/%s bytes=%" PRId64 " sha256=%s took_ms=%" PRId64 " tries=%" PRId64, job->row.bucket,
               job->row.object_key, job->row.bytes, job->row.sha256, rb_clock_ms() - job->started_ms, job->row.tries);
        break;
    case OUTCOME_FAILED:
        rb_metrics_add(job->env->metrics, METRIC_FAILED, 1);
        rb_log(&job->about, RB_EV_JOB_FAILED, "class=%s code=%s error=%s tries=%" PRId64, job->row.error_class,
               job->row.error_code, rb_log_quote(job->row.error_message, quoted), job->row.tries);
        break;
    case OUTCOME_LATER:
        rb_record_put_off(job->env->record, &job->row, job->tries.tries + job->renewals, job->later.not_before);
        rb_metrics_add(job->env->metrics, METRIC_LATERS, 1);
        rb_log_error(&job->about, RB_EV_JOB_LATER, &job->reason, "tries=%" PRId64 " retry_ms=%" PRId64,
                     job->tries.tries, job->later.pause_ms);
        break;
    case OUTCOME_DEAD_LETTER:
        rb_metrics_add(job->env->metrics, METRIC_DEAD_LETTER, 1);
        rb_log_error(&job->about, RB_EV_JOB_DEAD_LETTER, &job->reason, "");
        break;
    }
}

enum job_state job_step_EMITTING(struct rb_job *job)
{
    if (job->receipt.sending == NULL && job->sent == RB_POLL_WAIT && send_outcome(job) < 0)
        return job_after_error(job);
    switch (job->sent) {
    case RB_POLL_WAIT:
        return JOB_EMITTING;
    case RB_POLL_FAILED:
        return job_after_error(job);
    case RB_POLL_DONE:
        log_end(job);
        return JOB_DONE;
    }
    RB_BUG("unknown poll answer");
}

enum job_state job_step_RESTING(struct rb_job *job)
{
    return rb_timer_is_started(job->timer) ? JOB_RESTING : job->rest_to;
}

enum job_state job_step_DONE(struct rb_job *job)
{
    job->env->on_finished(job, job->env->finished_arg);
    RB_FAIL_HERE(record_finished);
    return JOB_DONE;
}

enum job_state job_step_HALTED(struct rb_job *job)
{
    (void)job;
    return JOB_HALTED;
}
