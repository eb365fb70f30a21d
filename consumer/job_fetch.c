/*
 * job_fetch.c — what a job does while the bytes come: wait for a free transfer, and transfer.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include "common/clock.h"
#include "common/failpoint.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

/* Of the store that the bytes go to, or went to the last time. */
static struct rb_circuit *circuit_of(const struct rb_job *job)
{
    bool fallback = job->target != NULL && job->target == job->env->fallback_store;

    return fallback ? job->env->fallback_circuit : job->env->circuit;
}

/* The earliest expiry goes first. But while the store is tried by probes, one that it may refuse by itself goes behind all
 * others: it would prove nothing, again and again. */
static int64_t rank_of(const struct rb_job *job)
{
    bool suspect = job->refusals.count > 0 && rb_circuit_state(circuit_of(job)) != RB_CIRCUIT_CLOSED;

    return RB_MIN(job->plan->deadline_unix_ms, INT64_MAX / 2) + (suspect ? INT64_MAX / 2 : 0);
}

enum job_state job_step_QUEUED(struct rb_job *job)
{
    if (job->slot.state == RB_SLOT_OUT) {
        job->slot.user = job->row.user_id != NULL ? job->row.user_id : "";
        job->slot.host = job->plan->url.host;
        job->slot.rank = rank_of(job);
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
    job_count_started(job);
    free(job->result.url);
    job->result.url = NULL;
    free(job->plan->traceparent);
    job->plan->traceparent = job_traceparent(job);
    job->transfer =
        rb_transfer_new(job->env->transfer, job->target, job->plan, job->room.step == ROOM_GIVEN, job_wake, job);
    rb_progress_enter(job->env->progress, &job->progress, job->row.video_id, job->transfer);
    RB_FAIL_HERE(transfer_begun);
}

/* What the end of a transfer says about its store. One that was not let in says nothing. */
static void tell_circuit(struct rb_job *job, const struct rb_error *err)
{
    struct rb_circuit *circuit = circuit_of(job);

    if (err != NULL) {
        if (job->transfer != NULL || circuit != job->env->fallback_circuit)
            rb_circuit_bad(circuit, err);
        return;
    }
    if (job->result.sent)
        rb_circuit_took(circuit);
    rb_circuit_good(circuit);
}

/* A refusal that the store does not explain is an outage, unless it takes all others. */
static void look_at_refusal(struct rb_job *job)
{
    struct rb_error why = job->error;

    if (job->transfer != NULL && rb_circuit_is_alone(circuit_of(job), &job->refusals, &why))
        rb_fail(&job->error, RB_E_OBJECT_REFUSED, why.detail, "%s", why.message);
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

static bool wants_variants(struct rb_job *job)
{
    const struct rb_provider *provider = job_provider(job);

    rb_variants_done(&job->variants);
    return job->env->variants->wanted != 0 && provider != NULL && rb_adapter_has_variants(provider);
}

enum job_state job_step_TRANSFERRING(struct rb_job *job)
{
    switch (poll_transfer(job)) {
    case RB_POLL_WAIT:
        return JOB_TRANSFERRING;
    case RB_POLL_FAILED:
        look_at_refusal(job);
        tell_circuit(job, &job->error);
        if (job->transfer != NULL)
            job_count_try(job, &job->error);
        job_learn(job, &job->error);
        return job_after_error(job);
    case RB_POLL_DONE:
        tell_circuit(job, NULL);
        job_count_try(job, NULL);
        job_learn(job, NULL);
        rb_backoff_reset(&job->backoff);
        rb_metrics_add(job->env->metrics, METRIC_RESUMES, job->result.resumes);
        job->outcome = OUTCOME_STORED;
        RB_FAIL_HERE(store_done);
        return wants_variants(job) ? JOB_ILLUSTRATING : JOB_RECORDING;
    }
    RB_BUG("unknown poll answer");
}

/* The list of providers may be another one since. */
static void fetch_variants(struct rb_job *job)
{
    const struct rb_variants_spec spec = {
        .policy = job->env->variants,
        .transfer = job->env->transfer,
        .plan = job->env->policy,
        .target = job->target,
        .provider = job_provider(job),
        .row = &job->row,
        .about = &job->about,
        .metrics = job->env->metrics,
        .on_change = job_wake,
        .arg = job,
    };

    if (spec.provider != NULL)
        job->variants_fetch = rb_variants_fetch_new(&spec);
}

/* It keeps the place of its transfer: memory stays what it is. */
enum job_state job_step_ILLUSTRATING(struct rb_job *job)
{
    if (job->variants_fetch == NULL)
        fetch_variants(job);
    if (job->variants_fetch == NULL)
        return JOB_RECORDING;
    return rb_variants_fetch_poll(job->variants_fetch, &job->variants) == RB_POLL_WAIT ? JOB_ILLUSTRATING
                                                                                       : JOB_RECORDING;
}
