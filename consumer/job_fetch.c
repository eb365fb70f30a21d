/*
 * job_fetch.c — what a job does while the bytes come: wait for a free transfer, and transfer.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include "common/clock.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

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
