/*
 * job_retry.c — what a job does when a step has failed: rest, ask for a fresh URL, put the video off, wait, or give up.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include <inttypes.h>

#include "common/clock.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

#define NOTE_EVERY_MS 1000

/* -- after an error ------------------------------------------------------------------------------------------------ */

/* What fails is this video, not our own side: by its source, its provider, or a row that refuses what is written into it. */
static bool may_be_put_off(const struct rb_job *job)
{
    return job->state == JOB_TRANSFERRING || job->state == JOB_RENEWING ||
           (job->state == JOB_RECORDING && job->outcome == OUTCOME_STORED && job->error.code == RB_E_DB_DATA);
}

/* Those who look at the video are told when the next try begins; not more often than somebody can read. */
static void job_note_rest(struct rb_job *job, int64_t pause_ms)
{
    const struct rb_record_failure failure = {
        .class = rb_outcome_class(job->error.code),
        .code = rb_code_name(job->error.code),
        .message = job->error.message,
    };
    int64_t now_ms = rb_clock_ms();

    if (!may_be_put_off(job))
        return;
    if (job->rest_noted_ms != 0 && now_ms - job->rest_noted_ms < NOTE_EVERY_MS)
        return;
    job->rest_noted_ms = now_ms;
    rb_record_resting(job->env->record, &job->row, &job->tries, rb_clock_unix_ms() + pause_ms, &failure);
}

/* Where a rest leads to. The store's trouble leaves claim and plan as they are, and what the row says about it. */
static enum job_state after_rest(const struct rb_job *job)
{
    if (job->error.code == RB_E_SUPERSEDED || job->state == JOB_RENEWING)
        return JOB_PLANNING;
    if (job->state == JOB_TRANSFERRING)
        return rb_circuit_threshold(job->error.code) > 0 ? JOB_QUEUED : JOB_PLANNING;
    return job->state;
}

static enum job_state job_rest(struct rb_job *job, bool outage, int64_t pause_ms)
{
    rb_metrics_add(job->env->metrics, outage ? METRIC_WAITS : METRIC_RETRIES, 1);
    rb_log_error(&job->about, outage ? RB_EV_JOB_WAITS : RB_EV_JOB_RESTS, &job->error,
                 "state=%s try=%" PRId64 " retry_ms=%" PRId64, job_state_text(job->state), job->tries.tries, pause_ms);
    job->rest_to = after_rest(job);
    job_note_rest(job, pause_ms);
    rb_timer_start(job->timer, pause_ms);
    if (outage && job->env->on_outage != NULL && job->error.code != RB_E_SUPERSEDED)
        job->env->on_outage(job->env->outage_arg);
    return JOB_RESTING;
}

static enum job_state job_put_off(struct rb_job *job, int64_t pause_ms, bool ask_first)
{
    RB_ASSERT(job->claimed && may_be_put_off(job));
    job->rest_noted_ms = 0;
    job_note_rest(job, pause_ms);
    job->outcome = OUTCOME_LATER;
    job->reason = job->error;
    job->later = (struct job_later){rb_clock_unix_ms() + pause_ms, pause_ms, ask_first};
    rb_backoff_reset(&job->backoff);
    return JOB_EMITTING;
}

static bool is_of_provider(const struct rb_error *err)
{
    return err->code == RB_E_PROVIDER_BUSY || err->code == RB_E_PROVIDER_AWAY || err->code == RB_E_PROVIDER_DENIED ||
           err->code == RB_E_PROVIDER_ANSWER;
}

/* Pauses for the source grow with the tries of it, over all records; those for our own side with each look at it. */
static struct rb_backoff *backoff_of(struct rb_job *job, struct rb_backoff *space)
{
    if (job->error.class == RB_OUTAGE)
        return &job->backoff;
    *space = (struct rb_backoff){
        .first_ms = job->env->retry.first_ms,
        .max_ms = job->env->retry.max_ms,
        .tries = (unsigned)RB_MIN(RB_MAX(job->tries.tries + job->renewals - 1, 0), 1000),
    };
    return space;
}

/* What fails by our own side does not use up the time of the source. */
static void note_trouble(struct rb_job *job)
{
    bool ours = job->error.class == RB_OUTAGE || job->error.class == RB_FATAL;

    if (!ours && may_be_put_off(job))
        job_note_trouble(job);
}

enum job_state job_after_error(struct rb_job *job)
{
    note_trouble(job);

    const struct rb_budget asking = job_asking_budget(job);
    struct rb_backoff space, *backoff = backoff_of(job, &space);
    bool of_provider = is_of_provider(&job->error), of_row = job->error.code == RB_E_DB_DATA;
    const struct rb_situation situation = {
        .budget = of_provider ? &asking : &job->source.budget,
        .asking = of_provider || of_row || !job->claimed || !job_may_ask(job) ? NULL : &asking,
        .asked = job->asked,
        .now = rb_clock_unix_ms(),
        .tried_at = of_provider ? job->input.received_at : job->tries.last_try_at,
        .bound_ms = rb_backoff_bound_ms(backoff),
        .pause_ms = rb_backoff_next_ms(backoff, rb_random()),
        .in_place_ms = job->env->retry.in_place_ms,
    };
    int64_t pause_ms = 0;

    if (of_row && !may_be_put_off(job))
        return job_give_up(job);

    enum rb_next next = rb_outcome_next(&job->error, &situation, &pause_ms);

    switch (next) {
    case RB_NEXT_IN_PLACE:
    case RB_NEXT_WAIT:
        return job_rest(job, next == RB_NEXT_WAIT, pause_ms);
    case RB_NEXT_LATER:
    case RB_NEXT_ASK_LATER:
        return job_put_off(job, pause_ms, next == RB_NEXT_ASK_LATER || of_provider);
    case RB_NEXT_ASK:
        return job_ask_provider(job);
    case RB_NEXT_GIVE_UP:
        return job_give_up(job);
    case RB_NEXT_STOP:
        job->env->on_fatal(&job->error, job->env->fatal_arg);
        return JOB_HALTED;
    }
    RB_BUG("unknown next step");
}

enum job_state job_after_refusal(struct rb_job *job)
{
    bool is_needed = job->state == JOB_RECORDING && job->outcome == OUTCOME_STORED;

    if (job->error.code != RB_E_DB_DATA || is_needed || job->row_alone)
        return job_after_error(job);
    rb_log_error(&job->about, RB_EV_ROW_REFUSES, &job->error, "state=%s", job_state_text(job->state));
    job->row_alone = true;
    rb_record_op_free(job->op);
    job->op = NULL;
    rb_job_poke(job);
    return job->state;
}

/* -- the topic of retries ------------------------------------------------------------------------------------------ */

struct rb_origin job_origin(const struct rb_job *job)
{
    const struct rb_input *input = &job->input;

    return input->origin_topic != NULL
               ? (struct rb_origin){input->origin_topic, input->origin_partition, input->origin_offset}
               : job->message->origin;
}

enum job_state job_step_DELAYED(struct rb_job *job)
{
    if (job->delayed.on_due == NULL) {
        int64_t wait_ms = rb_budget_wait_ms(job->input.not_before, job->message->timestamp_ms, rb_clock_unix_ms());

        job->delayed.on_due = job_wake;
        job->delayed.arg = job;
        rb_delay_enter(job->env->delay, &job->delayed, wait_ms);
    }
    return rb_delay_has(&job->delayed) ? JOB_DELAYED : JOB_LINING_UP;
}

int job_send_later(struct rb_job *job)
{
    const struct rb_origin origin = job_origin(job);
    const struct job_source *source = &job->source;
    bool fresh = source->fresh && !job->later.ask_first;
    struct rb_video_store_retry event;
    int result;

    rb_event_init(RB_EVENT_VIDEO_STORE_RETRY, &event);
    event.video_id = rb_xstrdup(job->row.video_id);
    event.user_id = rb_xstrdup(job->row.user_id);
    event.status = rb_xstrdup("completed");
    event.video_url = job->later.ask_first ? NULL : rb_xstrdup(source->url);
    event.provider = rb_xstrdup(job->row.provider);
    event.provider_video_id = rb_xstrdup(job->row.provider_video_id);
    event.expires_at = job->later.ask_first ? RB_NO_LONG : source->expires_at;
    event.received_at = job->input.received_at;
    event.tries = job->tries.tries;
    event.first_try_at = job->tries.first_try_at;
    event.not_before = job->later.not_before;
    event.last_code = rb_xstrdup(rb_code_name(job->reason.code));
    event.last_message = rb_xstrdup(job->reason.message);
    event.origin_topic = rb_xstrdup(origin.topic);
    event.origin_partition = origin.partition;
    event.origin_offset = origin.offset;
    event.url_since = fresh ? source->since : RB_NO_LONG;
    event.renewals = job->renewals > 0 ? job->renewals : RB_NO_LONG;
    result = rb_emit_retry(job->env->emit, &event, job->message, &job->receipt, &job->error);
    rb_event_clear(RB_EVENT_VIDEO_STORE_RETRY, &event);
    return result;
}
