/*
 * job_plan.c — what a job does before anything is fetched: read the record, stand in line, claim the video.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include "common/clock.h"
#include "common/failpoint.h"
#include "consumer/job_internal.h"
#include "consumer/outcome.h"

/* Decode into space for the largest event, and take what we need out of it. */
static enum rb_poll job_decode(struct rb_job *job)
{
    union {
        struct rb_video_webhook_received webhook;
        struct rb_video_poll_result poll;
        struct rb_video_store_retry retry;
    } values;
    const struct rb_message *message = job->message;
    enum rb_poll decoded = rb_codec_decode(job->env->codec, job->event, message->value, message->value_bytes,
                                           message->schema_header, message->schema_header_bytes, &values, &job->error);

    if (decoded == RB_POLL_DONE) {
        if (rb_input_take(job->event, &values, &job->input, &job->error) < 0)
            decoded = RB_POLL_FAILED;
        rb_event_clear(job->event, &values);
    }
    return decoded;
}

enum job_state job_step_DECODING(struct rb_job *job)
{
    size_t used = strlen(job->about.text);

    switch (job_decode(job)) {
    case RB_POLL_WAIT:
        return JOB_DECODING;
    case RB_POLL_FAILED:
        return job_after_error(job);
    case RB_POLL_DONE:
        break;
    }
    snprintf(job->about.text + used, sizeof(job->about.text) - used, " video=%s trace=%s", job->input.video_id,
             job->message->trace.trace_id);
    rb_log(&job->about, RB_EV_JOB_STARTED, "");
    RB_FAIL_HERE(record_decoded);
    if (job->input.status == RB_INPUT_PENDING)
        return job_be_silent(job, RB_JOB_PENDING);
    job->tries.tries = job->input.tries;
    job->tries.first_try_at = job->input.first_try_at;
    job->renewals = job->input.renewals;
    if (job->input.event == RB_EVENT_VIDEO_STORE_RETRY)
        job->trouble_at = job->input.first_try_at != RB_NO_LONG ? job->input.first_try_at : job->input.received_at;
    return job->input.not_before != RB_NO_LONG ? JOB_DELAYED : JOB_LINING_UP;
}

enum job_state job_step_LINING_UP(struct rb_job *job)
{
    if (job->turn.state == RB_PLACE_OUT) {
        job->turn.key = job->input.video_id;
        job->turn.on_turn = job_wake;
        job->turn.arg = job;
        rb_turns_enter(job->env->turns, &job->turn);
    }
    return job->turn.state == RB_PLACE_IN ? JOB_PLANNING : JOB_LINING_UP;
}

struct rb_record_ask job_ask(struct rb_job *job)
{
    return (struct rb_record_ask){
        .origin = &job->name,
        .tries = &job->tries,
        .progress = job->claimed && job->state != JOB_PLANNING ? INT64_MAX : job->tries.tries + job->renewals,
        .keep_url = job->input.event == RB_EVENT_VIDEO_STORE_RETRY || job->source.fresh || job->again.keep_url,
        .reopen = job->again.reopen,
        .known = job->again.owner_topic != NULL,
        .alone = job->row_alone,
        .on_done = job_wake,
        .arg = job,
    };
}

/* The database has never heard of it, so there is no row to write: what is announced is all that will be known. */
static enum job_state announce_unknown(struct rb_job *job)
{
    struct rb_row *row = &job->row;

    rb_row_done(row);
    *row = (struct rb_row){
        .state = RB_ROW_FAILED,
        .source_url = rb_xstrdup(job->input.source_url),
        .provider = rb_xstrdup(job->input.provider),
        .provider_video_id = rb_xstrdup(job->input.provider_video_id),
        .received_at = job->input.received_at,
        .first_try_at = RB_NO_LONG,
        .last_try_at = RB_NO_LONG,
        .failed_at = rb_clock_unix_ms(),
        .error_class = rb_xstrdup(rb_outcome_class(RB_E_UNKNOWN_VIDEO)),
        .error_code = rb_xstrdup(rb_code_name(RB_E_UNKNOWN_VIDEO)),
        .error_message = rb_xstrdup(rb_code_what(RB_E_UNKNOWN_VIDEO)),
    };
    memcpy(row->video_id, job->input.video_id, sizeof(row->video_id));
    rb_fail(&job->reason, RB_E_UNKNOWN_VIDEO, 0, "%s", rb_code_what(RB_E_UNKNOWN_VIDEO));
    job->outcome = OUTCOME_FAILED;
    return JOB_EMITTING;
}

/* A record of the topic of retries speaks of a URL that another record has replaced since: that one goes on. */
static bool is_outdated(const struct rb_job *job)
{
    const struct rb_input *input = &job->input;

    return input->event == RB_EVENT_VIDEO_STORE_RETRY && input->url_since == RB_NO_LONG && input->source_url != NULL &&
           job->row.source_url != NULL && strcmp(input->source_url, job->row.source_url) != 0;
}

/* Decide what to fetch, and from where. */
static enum job_state plan_source(struct rb_job *job)
{
    job_pick_source(job);
    if (job_must_ask(job)) {
        job->cause = (struct rb_error){0};
        return JOB_RENEWING;
    }

    const struct rb_plan_source source = {job->source.url, job->source.budget.until};

    rb_plan_free(job->plan);
    job->plan = NULL;
    if (rb_plan_new(&job->row, &source, job->env->policy, &job->plan, &job->error) < 0)
        return job_after_error(job);
    return JOB_QUEUED;
}

/* The video is ours to work on. */
static enum job_state plan_claimed(struct rb_job *job)
{
    char source[RB_URL_SAFE_BYTES];

    rb_log(&job->about, RB_EV_JOB_CLAIMED, "epoch=%" PRId64 " source=%s", job->row.claim_epoch,
           job->row.source_url != NULL ? rb_url_safe(job->row.source_url, source) : "-");
    RB_FAIL_HERE(claim_had);
    rb_backoff_reset(&job->backoff);
    if (job->tries.tries > 0 && job->tries.last_try_at == RB_NO_LONG)
        job->tries.last_try_at = job->row.last_try_at;
    if (is_outdated(job))
        return job_be_silent(job, "another_url_has_come");
    if (job->input.status == RB_INPUT_FAILED) {
        rb_fail(&job->error, RB_E_GENERATION_FAILED, 0, "%.200s",
                job->input.error_message != NULL ? job->input.error_message : "the provider gave no reason");
        return job_after_error(job);
    }
    return plan_source(job);
}

enum job_state job_superseded(struct rb_job *job)
{
    rb_fail(&job->error, RB_E_SUPERSEDED, 0, "another worker has claimed the video since");
    return job_after_error(job);
}

enum job_state job_step_PLANNING(struct rb_job *job)
{
    struct rb_record_answer answer;

    if (job->op == NULL) {
        const struct rb_record_ask ask = job_ask(job);

        if (rb_record_claim(job->env->record, &ask, &job->input, &job->op, &job->error) < 0)
            return job_after_error(job);
    }
    switch (rb_record_poll(job->op, &answer, &job->error)) {
    case RB_POLL_WAIT:
        return JOB_PLANNING;
    case RB_POLL_FAILED:
        return job_after_refusal(job);
    case RB_POLL_DONE:
        break;
    }
    job->row_alone = false;
    rb_row_done(&job->row);
    job->row = answer.row;
    job->claimed = answer.verdict == RB_VERDICT_MINE;
    switch (answer.verdict) {
    case RB_VERDICT_MINE:
        return plan_claimed(job);
    case RB_VERDICT_ANNOUNCE:
        job->outcome = job->row.state == RB_ROW_STORED ? OUTCOME_STORED : OUTCOME_FAILED;
        return JOB_EMITTING;
    case RB_VERDICT_SETTLED:
        return job_be_silent(job, "already_settled");
    case RB_VERDICT_PUT_OFF:
        return job_be_silent(job, "put_off_by_a_newer_record");
    case RB_VERDICT_LOST:
        return job_superseded(job);
    case RB_VERDICT_UNKNOWN:
        return announce_unknown(job);
    }
    RB_BUG("unknown verdict");
}
