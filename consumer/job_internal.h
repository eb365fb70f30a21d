/*
 * job_internal.h — what job.c and job_steps.c share: the table of states and the job itself.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#pragma once

#include "common/backoff.h"
#include "common/log.h"
#include "consumer/job.h"

#define JOB_MAGIC 0x4a4f4221u

/* clang-format off: one row, one line */
#define JOB_STATES(X)                                                                                                  \
    /* state        may go to                                              while here it...                        */  \
    X(DECODING, TO(LINING_UP) | TO(EMITTING) | TO(DONE) | STUCK, "reads the record; may wait for its schema")          \
    X(LINING_UP, TO(PLANNING), "waits until no other record about this video is worked on")                            \
    X(PLANNING, TO(QUEUED) | TO(RECORDING) | TO(EMITTING) | TO(DONE) | STUCK,                                          \
      "claims the video in Postgres and decides what to fetch")                                                        \
    X(QUEUED, TO(TRANSFERRING), "waits for a free transfer, earliest expiry first")                                    \
    X(TRANSFERRING, TO(RECORDING) | STUCK, "downloads into a queue and stores out of it")                              \
    X(RECORDING, TO(EMITTING) | TO(DONE) | STUCK, "writes the outcome to Postgres")                                    \
    X(EMITTING, TO(DONE) | STUCK, "announces the outcome, or sets the record aside, on Kafka")                         \
    X(RESTING, TO(DECODING) | TO(PLANNING) | TO(RECORDING) | TO(EMITTING), "waits for the next try")                   \
    X(DONE, 0, "lets its offset be committed")                                                                         \
    X(HALTED, 0, "keeps its offset; the record will come again")
/* clang-format on */

enum job_state {
#define ROW(state, to, what) JOB_##state,
    JOB_STATES(ROW)
#undef ROW
        JOB_STATE_COUNT
};

enum job_outcome { OUTCOME_STORED, OUTCOME_FAILED, OUTCOME_DEAD_LETTER };

/* A record on its way to Kafka. It outlives the job when that is freed meanwhile. */
struct job_send {
    uint32_t magic;
    struct rb_job *job; /* borrowed; NULL when the job is gone */
};

struct rb_job {
    uint32_t magic;
    const struct rb_job_env *env; /* borrowed */
    enum job_state state;
    int64_t state_since_ms;
    int64_t started_ms;
    struct rb_log_about about;
    struct rb_task run;

    struct rb_message *message;
    enum rb_event event;
    void *owner; /* borrowed */
    struct rb_input input;

    struct rb_place turn;
    struct rb_place slot;
    struct rb_record_op *op;
    struct rb_row row; /* as claimed, later as settled */
    bool claimed;
    struct rb_plan *plan;
    struct rb_transfer *transfer;
    struct rb_progress_entry progress;
    struct rb_transfer_result result;
    struct rb_record_tries tries;

    enum job_outcome outcome;
    struct rb_error reason; /* why the outcome is a failure or a dead letter */
    struct rb_error error;  /* what went wrong in the current step */

    struct job_send *send;
    enum rb_poll sent; /* the answer to send; with FAILED, error says why */

    struct rb_timer *timer;
    struct rb_backoff backoff;
    enum job_state rest_to;
    int64_t rest_noted_ms; /* when the row was last told of a try that failed */
};

/* One step of each state: what it does, and where to go next; its own state means that it waits. */
#define ROW(state, to, what) enum job_state job_step_##state(struct rb_job *job);
JOB_STATES(ROW)
#undef ROW

/*
 * Free what a state holds only while it lasts.
 *
 * Loop:   loop thread.
 */
void job_drop_work(struct rb_job *job);

/*
 * A step failed with job->error: pause, give up or stop?
 *
 * Gives:  the state to go to.
 * Loop:   loop thread.
 */
enum job_state job_after_error(struct rb_job *job);

/*
 * There is nothing to do for this record.
 *
 * Gives:  the state to go to.
 * Loop:   loop thread.
 */
enum job_state job_be_silent(struct rb_job *job, const char *because);

/*
 * The callback of all that a job waits for.
 *
 * Takes:  arg, a struct rb_job.
 * Loop:   loop thread; the job runs at the end of the turn.
 */
void job_wake(void *arg);
