/*
 * job_room.c — in which store is there room for the video?
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 *
 * Asked twice: before anything is fetched, whether the mark is reached; and once the source has said how many bytes will come,
 * for so many. They are held then, until the outcome is written.
 */
#include "common/clock.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

/* A worker before us may have stored it and died before it said so: then the store has it, which the transfer finds out. */
static bool may_be_stored(const struct rb_job *job)
{
    enum rb_usage_then then = rb_usage_then(job->env->usage);

    return job->row.claim_epoch > 1 && (then == RB_USAGE_SPILL || then == RB_USAGE_KEEP);
}

static bool spills(const struct rb_job *job)
{
    return rb_usage_then(job->env->usage) == RB_USAGE_SPILL;
}

static enum rb_poll give_room(struct rb_job *job, const struct rb_target *target)
{
    job->target = target;
    job->room.step = ROOM_GIVEN;
    return RB_POLL_DONE;
}

/* The fallback store takes nothing either: the video waits, and is not fetched for that. */
static enum rb_poll wait_for_fallback(struct rb_job *job)
{
    job->target = job->env->fallback_store;
    job->error = *rb_circuit_why(job->env->fallback_circuit);
    return RB_POLL_FAILED;
}

static enum rb_poll give_room_in_fallback(struct rb_job *job)
{
    if (!rb_circuit_admits(job->env->fallback_circuit))
        return wait_for_fallback(job);
    return give_room(job, job->env->fallback_store);
}

static enum rb_poll ask(struct rb_job *job, enum job_room_step step, int64_t bytes)
{
    struct rb_usage *usage = job->env->usage;
    const struct rb_usage_ask ask = {job->row.video_id, job->row.claim_epoch, job_wake, job};
    bool spill = spills(job) && (step == ROOM_WEIGHING || !may_be_stored(job));
    int result = step == ROOM_SPILLING ? rb_usage_spill(usage, &ask, &job->room.op, &job->error)
                                       : rb_usage_weigh(usage, &ask, bytes, spill, &job->room.op, &job->error);

    if (result < 0)
        return RB_POLL_FAILED;
    job->room.step = step;
    job->room.bytes = bytes;
    return RB_POLL_WAIT;
}

static enum rb_poll begin(struct rb_job *job)
{
    const struct rb_job_env *env = job->env;

    job->target = env->first_store;
    if (job->row.spilled && env->fallback_store != NULL)
        return give_room_in_fallback(job);
    switch (rb_circuit_route(env->circuit)) {
    case RB_ROUTE_NOWHERE: /* it may still go to the first */
        return wait_for_fallback(job);
    case RB_ROUTE_FALLBACK:
        return ask(job, ROOM_SPILLING, 0);
    case RB_ROUTE_FIRST:
        break;
    }
    if (!rb_usage_is_limited(env->usage))
        return give_room(job, env->first_store);
    return ask(job, ROOM_LOOKING, 0);
}

/* The database has noted it down: it goes there from now on, whatever happens to us. */
static enum rb_poll spill(struct rb_job *job, const char *because)
{
    const struct rb_target *fallback = job->env->fallback_store;

    job_drop_transfer(job);
    job->row.spilled = true;
    job->refusals = (struct rb_refusals){0};
    rb_metrics_add(job->env->metrics, METRIC_SPILLED, 1);
    rb_log(&job->about, RB_EV_JOB_SPILLED, "store=%s bucket=%s because=%s", fallback->store->ops->kind,
           fallback->bucket, because);
    return give_room_in_fallback(job);
}

/* To be put off counts as a try, so that the pauses grow; one that had begun to fetch was counted then. */
static void count_try(struct rb_job *job)
{
    if (job->transfer != NULL || job->error.class != RB_LATER)
        return;
    job->tries.tries++;
    job->tries.last_try_at = rb_clock_unix_ms();
    if (job->tries.first_try_at == RB_NO_LONG)
        job->tries.first_try_at = job->tries.last_try_at;
}

static enum rb_poll refuse(struct rb_job *job, const struct rb_error *refusal)
{
    job->error = *refusal;
    count_try(job);
    return RB_POLL_FAILED;
}

/* Have the oldest videos removed, and ask again then. */
static enum rb_poll make_room(struct rb_job *job, const struct rb_usage_op *op, enum job_room_step step)
{
    const struct rb_usage_ask ask = {job->row.video_id, job->row.claim_epoch, job_wake, job};
    bool of_user = rb_usage_refuse(op, &job->room.refusal) < 0 && job->room.refusal.code == RB_E_QUOTA_USER;

    if (rb_make_room_ask(job->env->make_room, &ask, job->room.bytes, of_user, &job->room.making, &job->error) < 0)
        return RB_POLL_FAILED;
    job->room.behind = step;
    job->room.step = ROOM_MAKING;
    return RB_POLL_WAIT;
}

static enum rb_poll poll_making(struct rb_job *job)
{
    bool made = false;
    enum rb_poll polled = rb_make_room_poll(job->room.making, &made, &job->error);

    if (polled != RB_POLL_DONE)
        return polled;
    rb_make_room_op_free(RB_STEAL(job->room.making));
    job->room.made = true;
    return made ? ask(job, job->room.behind, job->room.bytes) : refuse(job, &job->room.refusal);
}

static enum rb_poll no_room(struct rb_job *job, const struct rb_usage_op *op, enum job_room_step step)
{
    if (step == ROOM_LOOKING && may_be_stored(job)) {
        job->room.step = ROOM_LOOKED;
        return RB_POLL_DONE;
    }
    if (spills(job))
        return spill(job, "quota");
    if (job->env->make_room != NULL && !job->room.made)
        return make_room(job, op, step);
    (void)rb_usage_refuse(op, &job->room.refusal);
    return refuse(job, &job->room.refusal);
}

static enum rb_poll take_verdict(struct rb_job *job, const struct rb_usage_op *op, enum rb_usage_verdict verdict)
{
    enum job_room_step step = job->room.step;

    switch (verdict) {
    case RB_USAGE_FITS:
        break;
    case RB_USAGE_OVER_USER:
    case RB_USAGE_OVER_ALL:
        return no_room(job, op, step);
    case RB_USAGE_LOST:
        rb_fail(&job->error, RB_E_SUPERSEDED, 0, "another worker has claimed the video since");
        return RB_POLL_FAILED;
    }
    if (step == ROOM_SPILLING)
        return spill(job, "outage");
    if (step == ROOM_WEIGHING) {
        rb_transfer_admit(job->transfer);
        return give_room(job, job->target);
    }
    job->room.step = ROOM_LOOKED;
    return RB_POLL_DONE;
}

static enum rb_poll poll_answer(struct rb_job *job)
{
    enum rb_usage_verdict verdict;
    enum rb_poll answered = rb_usage_poll(job->room.op, &verdict, &job->error);
    struct rb_usage_op *op;

    if (answered != RB_POLL_DONE)
        return answered;
    op = RB_STEAL(job->room.op);
    answered = take_verdict(job, op, verdict);
    rb_usage_op_free(op);
    return answered;
}

enum rb_poll job_find_room(struct rb_job *job)
{
    int64_t bytes;

    switch (job->room.step) {
    case ROOM_NEW:
        return begin(job);
    case ROOM_LOOKING:
    case ROOM_SPILLING:
    case ROOM_WEIGHING:
        return poll_answer(job);
    case ROOM_MAKING:
        return poll_making(job);
    case ROOM_LOOKED:
        if (job->transfer != NULL && rb_transfer_wants_room(job->transfer, &bytes))
            return ask(job, ROOM_WEIGHING, RB_MAX(bytes, 0));
        return RB_POLL_DONE;
    case ROOM_GIVEN:
        return RB_POLL_DONE;
    }
    RB_BUG("unknown step");
}
