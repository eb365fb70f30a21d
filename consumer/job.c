/*
 * job.c — one record's life, from its arrival to its offset.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include "common/failpoint.h"
#include "consumer/job_internal.h"

#include <inttypes.h>

#include "common/clock.h"
#include "consumer/metrics_table.h"
#include "consumer/outcome.h"
#include "consumer/redrive_header.h"

#define STEP_MS_MAX 600000 /* no deadline of a step can be longer, but that of TRANSFERRING */

typedef enum job_state (*job_step_fn)(struct rb_job *job);

#define TO(state) (1u << JOB_##state)
#define STUCK     (TO(RESTING) | TO(HALTED)) /* a step failed: a pause, or the end of the program */

static const struct {
    const char *name;
    unsigned to;
    const char *what;
    job_step_fn step;
} job_rows[] = {
#define ROW(state, to, what) [JOB_##state] = {#state, to, what, job_step_##state},
    JOB_STATES(ROW)
#undef ROW
};

void job_drop_transfer(struct rb_job *job)
{
    int64_t bytes, total;

    rb_progress_leave(&job->progress);
    if (job->transfer != NULL) {
        rb_transfer_progress(job->transfer, &bytes, &total);
        rb_metrics_add(job->env->metrics, METRIC_MOVED, bytes);
        rb_metrics_add(job->env->metrics, METRIC_TRANSFERRING, -1);
    }
    rb_transfer_free(job->transfer);
    job->transfer = NULL;
}

/* What a state holds while it lasts goes when it is left. */
void job_drop_work(struct rb_job *job)
{
    rb_record_op_free(job->op);
    job->op = NULL;
    job_drop_transfer(job);
    rb_usage_op_free(job->room.op);
    rb_make_room_op_free(job->room.making);
    job->room = (struct job_room){0};
    rb_variants_fetch_free(job->variants_fetch);
    job->variants_fetch = NULL;
    rb_renew_free(job->renew);
    job->renew = NULL;
    rb_commit_cancel(&job->receipt);
    job->sent = RB_POLL_WAIT;
}

/* The only writer of job->state. */
static void job_enter(struct rb_job *job, enum job_state next)
{
    int64_t now_ms = rb_clock_ms();

    if ((job_rows[job->state].to & 1u << next) == 0)
        RB_BUG("a job went to a state that it may not go to");
    rb_log(&job->about, RB_EV_JOB_STATE, "from=%s to=%s after_ms=%" PRId64, job_rows[job->state].name,
           job_rows[next].name, now_ms - job->state_since_ms);
    if (next != JOB_TRANSFERRING && next != JOB_ILLUSTRATING)
        rb_slots_leave(job->env->slots, &job->slot);
    rb_slots_leave(job->env->asks, &job->asking);
    job_trace_end(job, job_rows[job->state].name, next);
    job_drop_work(job);
    job->state = next;
    job->state_since_ms = now_ms;
    job_trace_begin(job);
}

static void job_run(void *arg)
{
    struct rb_job *job = RB_CAST(rb_job, arg, JOB_MAGIC);

    for (;;) {
        enum job_state next = job_rows[job->state].step(job);

        if (next == job->state)
            return; /* waiting; someone will poke us */
        job_enter(job, next);
    }
}

/* Wake-ups come from anywhere, also from inside of other jobs: the job runs at the end of the turn. */
void job_wake(void *arg)
{
    rb_job_poke(RB_CAST(rb_job, arg, JOB_MAGIC));
}

void rb_job_poke(struct rb_job *job)
{
    rb_task_queue(&job->run);
}

const char *job_state_text(enum job_state state)
{
    return job_rows[state].name;
}

/* An outcome that cannot be written any more: the record itself is set aside, with the reason. */
static enum job_state job_set_aside(struct rb_job *job)
{
    bool refused = job->outcome == OUTCOME_DEAD_LETTER;

    if (refused && job->bare) { /* not even that is possible: somebody has to look */
        rb_fail(&job->reason, RB_E_KAFKA_FATAL, job->error.detail, "a dead letter is refused: %.180s",
                job->error.message);
        job->env->on_fatal(&job->reason, job->env->fatal_arg);
        return JOB_HALTED;
    }
    job->bare = refused; /* what is too large with the reason beside it is still where it came from */
    job->outcome = OUTCOME_DEAD_LETTER;
    job->reason = refused ? job->reason : job->error;
    job_drop_work(job);
    rb_job_poke(job); /* it may be EMITTING already */
    return JOB_EMITTING;
}

/* What was refused for good, or has used up its budget: the outcome is a failure, to be written down. */
enum job_state job_give_up(struct rb_job *job)
{
    bool of_source = job->error.class == RB_IN_PLACE || job->error.class == RB_LATER || job->error.class == RB_RENEW;
    bool may_mend = of_source && job->error.code != RB_E_DB_DATA;

    if (job->state == JOB_DECODING && job->again.owner_topic != NULL)
        return job_be_silent(job, RB_JOB_UNREADABLE);
    if (!job->claimed || job->state == JOB_EMITTING || (job->state == JOB_RECORDING && job->outcome == OUTCOME_FAILED))
        return job_set_aside(job);
    job->outcome = OUTCOME_FAILED;
    job->reason = job->error;
    if (may_mend && job->source.expires_at != RB_NO_LONG)
        rb_fail(&job->reason, RB_E_EXPIRED, job->error.detail,
                "the URL expired before the video could be fetched; last: %.150s", job->error.message);
    job_drop_work(job);
    rb_job_poke(job); /* it may be RECORDING already */
    return JOB_RECORDING;
}

enum job_state job_be_silent(struct rb_job *job, const char *because)
{
    rb_log(&job->about, RB_EV_JOB_SILENT, "because=%s", because);
    rb_metrics_add(job->env->metrics, METRIC_SILENT, 1);
    job->silent = because;
    return JOB_DONE;
}

/* What it waits for has a deadline in these states, and there it stands in no line. */
static bool must_go_on(const struct rb_job *job)
{
    switch (job->state) {
    case JOB_PLANNING:
    case JOB_ILLUSTRATING:
    case JOB_RECORDING:
        return true;
    case JOB_RENEWING:
        return job->renew != NULL;
    case JOB_TRANSFERRING:
        return job->transfer != NULL;
    case JOB_EMITTING:
        return rb_emit_is_up(job->env->emit);
    default:
        return false;
    }
}

static int64_t progress(void *arg)
{
    struct rb_job *job = RB_CAST(rb_job, arg, JOB_MAGIC);
    int64_t bytes = 0, total;

    if (!must_go_on(job))
        return RB_FRONT_IDLE;
    job->front.more_ms = job->transfer != NULL ? job->env->transfer->timeout_ms : STEP_MS_MAX;
    if (job->transfer != NULL)
        rb_transfer_progress(job->transfer, &bytes, &total);
    return job->state_since_ms + bytes;
}

struct rb_job *rb_job_new(const struct rb_job_env *env, struct rb_message *message, enum rb_event event, void *owner)
{
    struct rb_job *job = rb_xalloc(sizeof(*job));

    *job = (struct rb_job){
        .magic = JOB_MAGIC,
        .env = env,
        .state = JOB_DECODING,
        .state_since_ms = rb_clock_ms(),
        .started_ms = rb_clock_ms(),
        .message = message,
        .event = event,
        .owner = owner,
        .again = {.reopen = rb_redrive_number(message->headers, RB_REDRIVE_ATTEMPT, RB_NO_LONG)},
        .name = message->origin,
        .trouble_at = RB_NO_LONG,
        .tries = {.first_try_at = RB_NO_LONG, .last_try_at = RB_NO_LONG},
        .sent = RB_POLL_WAIT,
        .backoff = {.first_ms = env->retry.first_ms, .max_ms = env->retry.max_ms},
    };
    snprintf(job->about.text, sizeof(job->about.text), "topic=%s partition=%" PRId32 " offset=%" PRId64,
             message->origin.topic, message->origin.partition, message->origin.offset);
    rb_task_init(&job->run, env->loop, job_run, job);
    job->timer = rb_timer_new(env->loop, job_wake, job);
    job->front = (struct rb_front){.name = "job", .progress = progress, .arg = job};
    rb_front_enter(env->loop, &job->front);
    rb_tracer_decide(env->tracer, &message->trace);
    job_trace_begin(job);
    rb_metrics_add(env->metrics, METRIC_JOBS, 1);
    RB_FAIL_HERE(record_taken);
    rb_job_poke(job);
    return job;
}

void rb_job_set_again(struct rb_job *job, const struct rb_job_again *again)
{
    job->again = *again;
    job->name.topic = again->owner_topic;
}

struct rb_job_end rb_job_end(const struct rb_job *job)
{
    if (job->silent != NULL)
        return (struct rb_job_end){.ending = RB_JOB_SILENT, .because = job->silent};
    switch (job->outcome) {
    case OUTCOME_STORED:
        return (struct rb_job_end){.ending = RB_JOB_STORED, .bytes = job->row.bytes};
    case OUTCOME_FAILED:
        return (struct rb_job_end){.ending = RB_JOB_FAILED, .code = job->row.error_code};
    case OUTCOME_LATER:
        return (struct rb_job_end){.ending = RB_JOB_LATER};
    case OUTCOME_DEAD_LETTER:
        return (struct rb_job_end){.ending = RB_JOB_DEAD_LETTER};
    }
    RB_BUG("unknown outcome");
}

void rb_job_free(struct rb_job *job)
{
    if (job == NULL)
        return;
    rb_metrics_add(job->env->metrics, METRIC_JOBS, -1);
    rb_front_leave(&job->front);
    job_drop_work(job);
    rb_delay_leave(job->env->delay, &job->delayed);
    rb_slots_leave(job->env->asks, &job->asking);
    rb_slots_leave(job->env->slots, &job->slot);
    rb_turns_leave(job->env->turns, &job->turn);
    rb_task_done(&job->run);
    rb_timer_free(job->timer);
    rb_plan_free(job->plan);
    free(job->result.url);
    rb_variants_done(&job->variants);
    free(job->source.url);
    rb_row_done(&job->row);
    rb_input_done(&job->input);
    rb_message_free(job->message);
    job->magic = 0;
    free(job);
}

const struct rb_message *rb_job_message(const struct rb_job *job)
{
    return job->message;
}

void *rb_job_owner(const struct rb_job *job)
{
    return job->owner;
}

bool rb_job_is_idle(const struct rb_job *job)
{
    return (TO(DECODING) | TO(DELAYED) | TO(LINING_UP) | TO(QUEUED) | TO(RESTING) | TO(HALTED)) & 1u << job->state;
}

bool rb_job_only_waits(const struct rb_job *job)
{
    if (job->state == JOB_RESTING)
        return job->rest_to == JOB_QUEUED;
    if (job->state == JOB_LINING_UP)
        return job->turn.state != RB_PLACE_IN;
    return (TO(DELAYED) | TO(QUEUED) | TO(HALTED)) & 1u << job->state;
}

const char *rb_job_state_name(const struct rb_job *job)
{
    return job_rows[job->state].name;
}

static int find_state(const char *name)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        if (strcmp(job_rows[i].name, name) == 0)
            return i;
    RB_BUG("no such state");
}

bool rb_job_may_go(const char *from, const char *to)
{
    return (job_rows[find_state(from)].to & 1u << find_state(to)) != 0;
}

void rb_job_print_states(FILE *file)
{
    fputs("| state | while here it... | may go to |\n| --- | --- | --- |\n", file);
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        const char *comma = "";

        fprintf(file, "| %s | %s | ", job_rows[i].name, job_rows[i].what);
        for (int to = 0; to < JOB_STATE_COUNT; to++) {
            if ((job_rows[i].to & 1u << to) == 0)
                continue;
            fprintf(file, "%s%s", comma, job_rows[to].name);
            comma = ", ";
        }
        fputs(" |\n", file);
    }
}
