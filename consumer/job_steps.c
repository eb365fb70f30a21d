/*
 * job_steps.c — what a job does in each of its states.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include <inttypes.h>

#include "common/clock.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"
#include "consumer/outcome.h"

#define SEND_MAGIC 0x4a534e44u

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
    if (job->input.status == RB_INPUT_PENDING)
        return job_be_silent(job, "not_finished_yet");
    job->tries.tries = job->input.tries;
    job->tries.first_try_at = job->input.first_try_at;
    job->renewals = job->input.renewals;
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

static struct rb_record_ask job_ask(struct rb_job *job)
{
    return (struct rb_record_ask){
        .origin = &job->message->origin,
        .tries = &job->tries,
        .progress = job->claimed && job->state != JOB_PLANNING ? INT64_MAX : job->tries.tries + job->renewals,
        .keep_url = job->input.event == RB_EVENT_VIDEO_STORE_RETRY || job->source.fresh,
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

static enum job_state job_superseded(struct rb_job *job)
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
        return job_after_error(job);
    case RB_POLL_DONE:
        break;
    }
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

enum job_state job_step_QUEUED(struct rb_job *job)
{
    if (job->slot.state == RB_SLOT_OUT) {
        job->slot.user = job->row.user_id != NULL ? job->row.user_id : "";
        job->slot.host = job->plan->url.host;
        job->slot.rank = job->plan->deadline_unix_ms;
        job->slot.on_turn = job_wake;
        job->slot.arg = job;
        rb_slots_enter(job->env->slots, &job->slot);
    }
    return job->slot.state == RB_SLOT_IN ? JOB_TRANSFERRING : JOB_QUEUED;
}

static void start_transfer(struct rb_job *job)
{
    job->tries.tries++;
    job->tries.last_try_at = rb_clock_unix_ms();
    if (job->tries.first_try_at == RB_NO_LONG)
        job->tries.first_try_at = job->tries.last_try_at;
    rb_metrics_add(job->env->metrics, METRIC_TRIES, 1);
    rb_metrics_add(job->env->metrics, METRIC_TRANSFERRING, 1);
    free(job->result.url);
    job->result.url = NULL;
    job->transfer =
        rb_transfer_new(job->env->transfer, job->target, job->plan, job->room.step == ROOM_GIVEN, job_wake, job);
    rb_progress_enter(job->env->progress, &job->progress, job->row.video_id, job->transfer);
}

/* What the end of a transfer says about the first store. */
static void tell_circuit(struct rb_job *job, const struct rb_error *err)
{
    if (job->target != job->env->first_store)
        return;
    if (err == NULL)
        rb_circuit_good(job->env->circuit);
    else
        rb_circuit_bad(job->env->circuit, err);
}

static enum rb_poll poll_transfer(struct rb_job *job)
{
    enum rb_poll room = job_find_room(job);

    if (room != RB_POLL_DONE && job->transfer == NULL)
        return room;
    if (room == RB_POLL_FAILED)
        return room;
    if (job->transfer == NULL)
        start_transfer(job);

    enum rb_poll polled = rb_transfer_poll(job->transfer, &job->result, &job->error);

    if (polled == RB_POLL_WAIT && job->room.step == ROOM_LOOKED && job_find_room(job) == RB_POLL_FAILED)
        return RB_POLL_FAILED;
    return polled;
}

enum job_state job_step_TRANSFERRING(struct rb_job *job)
{
    switch (poll_transfer(job)) {
    case RB_POLL_WAIT:
        return JOB_TRANSFERRING;
    case RB_POLL_FAILED:
        tell_circuit(job, &job->error);
        job_learn(job, &job->error);
        return job_after_error(job);
    case RB_POLL_DONE:
        tell_circuit(job, NULL);
        job_learn(job, NULL);
        rb_backoff_reset(&job->backoff);
        rb_metrics_add(job->env->metrics, METRIC_RESUMES, job->result.resumes);
        job->outcome = OUTCOME_STORED;
        return JOB_RECORDING;
    }
    RB_BUG("unknown poll answer");
}

static int send_stored(struct rb_job *job)
{
    const struct rb_record_ask ask = job_ask(job);
    struct rb_store *store = job->target->store;
    const struct rb_object place = {job->target->bucket, job->result.key, job->result.content_type};
    RB_AUTO_TEXT *url = job->result.url != NULL ? rb_xstrdup(job->result.url) : store->ops->url(store, &place);
    const struct rb_record_object object = {
        .store = store->ops->kind,
        .bucket = job->target->bucket,
        .key = job->result.key,
        .url = url,
        .bytes = job->result.bytes,
        .sha256 = job->result.sha256,
        .content_type = job->result.content_type,
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
        return job_after_error(job);
    case RB_POLL_DONE:
        break;
    }
    if (answer.verdict == RB_VERDICT_MINE || answer.verdict == RB_VERDICT_ANNOUNCE) {
        rb_row_done(&job->row);
        job->row = answer.row;
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
    struct job_send *send = RB_CAST(job_send, arg, SEND_MAGIC);
    struct rb_job *job = send->job;

    send->magic = 0;
    free(send);
    if (job == NULL)
        return;
    job->send = NULL;
    job->sent = err == NULL ? RB_POLL_DONE : RB_POLL_FAILED;
    if (err != NULL)
        job->error = *err;
    else
        note_announced(job, delivery);
    rb_job_poke(job);
}

static int send_outcome(struct rb_job *job)
{
    struct job_send *send = rb_xalloc(sizeof(*send));
    const struct rb_origin origin = job_origin(job);
    const struct rb_emit_case about = {&job->row, job->message, &origin};
    int result;

    *send = (struct job_send){.magic = SEND_MAGIC, .job = job};
    if (job->outcome == OUTCOME_DEAD_LETTER)
        result = rb_emit_dead_letter(job->env->emit, job->message, &job->reason, on_delivered, send, &job->error);
    else if (job->outcome == OUTCOME_LATER)
        result = job_send_later(job, on_delivered, send);
    else
        result = rb_emit_outcome(job->env->emit, &about, on_delivered, send, &job->error);
    if (result < 0)
        free(send);
    else
        job->send = send;
    return result;
}

static void log_end(struct rb_job *job)
{
    char quoted[RB_LOG_QUOTE_BYTES];

    switch (job->outcome) {
    case OUTCOME_STORED:
        rb_metrics_add(job->env->metrics, METRIC_STORED, 1);
        rb_metrics_add(job->env->metrics, METRIC_BYTES, job->row.bytes);
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
    if (job->send == NULL && job->sent == RB_POLL_WAIT && send_outcome(job) < 0)
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
    return JOB_DONE;
}

enum job_state job_step_HALTED(struct rb_job *job)
{
    (void)job;
    return JOB_HALTED;
}
