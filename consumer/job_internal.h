/*
 * job_internal.h — what the files of a job share: the table of states and the job itself.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#pragma once

#include "common/backoff.h"
#include "common/log.h"
#include "common/watchdog.h"
#include "consumer/job.h"
#include "consumer/outcome.h"
#include "consumer/renew.h"

#define JOB_MAGIC 0x4a4f4221u

/* clang-format off: one row, one line */
#define JOB_STATES(X)                                                                                                  \
    /* state        may go to                                              while here it...                        */  \
    X(DECODING, TO(DELAYED) | TO(LINING_UP) | TO(EMITTING) | TO(DONE) | STUCK,                                         \
      "reads the record; may wait for its schema")                                                                     \
    X(DELAYED, TO(LINING_UP), "waits until its time has come, and there is room: a record of the topic of retries")    \
    X(LINING_UP, TO(PLANNING), "waits until no other record about this video is worked on")                            \
    X(PLANNING, TO(RENEWING) | TO(QUEUED) | TO(RECORDING) | TO(EMITTING) | TO(DONE) | STUCK,                           \
      "claims the video in Postgres and decides what to fetch")                                                        \
    X(RENEWING, TO(PLANNING) | TO(RECORDING) | TO(EMITTING) | STUCK, "asks the provider for a fresh URL")              \
    X(QUEUED, TO(TRANSFERRING), "waits for a free transfer: fair among users, then the earliest expiry first")         \
    X(TRANSFERRING, TO(RENEWING) | TO(ILLUSTRATING) | TO(RECORDING) | TO(EMITTING) | STUCK,                            \
      "downloads into a queue and stores out of it")                                                                   \
    X(ILLUSTRATING, TO(RECORDING), "stores thumbnail and spritesheet, if they are wanted and can be had")              \
    X(RECORDING, TO(EMITTING) | TO(DONE) | STUCK, "writes the outcome to Postgres")                                    \
    X(EMITTING, TO(DONE) | STUCK, "announces the outcome, puts the video off, or sets the record aside, on Kafka")     \
    X(RESTING, TO(DECODING) | TO(PLANNING) | TO(QUEUED) | TO(RECORDING) | TO(EMITTING), "waits for the next try")      \
    X(DONE, 0, "lets its offset be committed")                                                                         \
    X(HALTED, 0, "keeps its offset; the record will come again")
/* clang-format on */

enum job_state {
#define ROW(state, to, what) JOB_##state,
    JOB_STATES(ROW)
#undef ROW
        JOB_STATE_COUNT
};

enum job_outcome { OUTCOME_STORED, OUTCOME_FAILED, OUTCOME_LATER, OUTCOME_DEAD_LETTER };

/* What is fetched, and how long it is worth trying. */
struct job_source {
    char *url; /* owned; NULL when the provider has to be asked */
    int64_t since;
    int64_t expires_at; /* RB_NO_LONG when nobody said */
    bool fresh;         /* the provider gave it in place of the row's */
    struct rb_budget budget;
};

/* When the video is tried again, with OUTCOME_LATER. */
struct job_later {
    int64_t not_before;
    int64_t pause_ms;
    bool ask_first; /* the provider, for a fresh URL */
};

/* Is there room for the video, and in which store? Anew at each transfer. */
enum job_room_step {
    ROOM_NEW,      /* nobody has asked yet */
    ROOM_LOOKING,  /* asks whether the mark is reached, before anything is fetched */
    ROOM_SPILLING, /* has it noted down that the video goes to the fallback store */
    ROOM_LOOKED,   /* not reached; the transfer may begin, and says how many bytes there are */
    ROOM_WEIGHING, /* asks for room for so many */
    ROOM_MAKING,   /* there was none: has the oldest videos removed */
    ROOM_GIVEN,    /* the transfer may go on */
};

struct job_room {
    enum job_room_step step;
    struct rb_usage_op *op;
    struct rb_make_room_op *making;
    enum job_room_step behind; /* what is asked again once room was made */
    struct rb_error refusal;   /* in case that none can be made */
    int64_t bytes;             /* that were asked for last, 0 while nobody knows */
    bool made;                 /* once is enough: others may take it away again and again */
};

struct rb_job {
    uint32_t magic;
    const struct rb_job_env *env; /* borrowed */
    enum job_state state;
    int64_t state_since_ms;
    int64_t started_ms;
    char state_id[17]; /* of the state's span */
    struct rb_log_about about;
    struct rb_task run;
    struct rb_front front;

    struct rb_message *message;
    enum rb_event event;
    void *owner; /* borrowed */
    struct rb_job_again again;
    struct rb_origin name; /* of the record, as the row has it */
    struct rb_input input;

    struct rb_delayed delayed;
    struct rb_place turn;
    struct rb_slot slot;
    struct rb_record_op *op;
    struct rb_row row; /* as claimed, later as settled */
    bool claimed;
    bool row_alone; /* the application's row refuses to be changed: what is written next does without */
    struct job_source source;
    int64_t trouble_at;    /* since when it fails by its source; RB_NO_LONG: it has not yet */
    struct rb_slot asking; /* the right to ask a provider */
    struct rb_renew *renew;
    bool asked;            /* the provider, by this job */
    bool asking_is_vain;   /* it has nothing better */
    int64_t renewals;      /* by this job and those before */
    struct rb_error cause; /* why it was asked; code NONE when the URL is known to be dead */
    struct rb_plan *plan;
    const struct rb_target *target; /* where the bytes go or went; borrowed from env */
    struct job_room room;
    struct rb_transfer *transfer;
    struct rb_refusals refusals; /* by the store it goes to */
    struct rb_progress_entry progress;
    struct rb_transfer_result result;
    struct rb_variants_fetch *variants_fetch;
    struct rb_variants variants; /* that are stored */
    struct rb_record_tries tries;

    enum job_outcome outcome;
    const char *silent; /* static text: why there is no outcome; NULL: there is one */
    bool bare;          /* the dead letter goes without the record's bytes */
    struct job_later later;
    struct rb_error reason; /* why the outcome is not that it is stored */
    struct rb_error error;  /* what went wrong in the current step */

    int64_t recorded_ms; /* when its row was written; 0: it was not */

    struct rb_receipt receipt; /* of what is on its way to Kafka */
    enum rb_poll sent;         /* what became of it; with FAILED, error says why */

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
 * A statement of rb_record failed with job->error. When it is the application's row that refuses to be changed, claim and
 * failure do without it, so that the video is worked on, and its failure announced, all the same.
 *
 * Gives:  the state to go to; the same when the statement is to be sent again.
 * Loop:   loop thread.
 */
enum job_state job_after_refusal(struct rb_job *job);

/*
 * There is nothing to do for this record.
 *
 * Gives:  the state to go to.
 * Loop:   loop thread.
 */
enum job_state job_be_silent(struct rb_job *job, const char *because);

/*
 * A step failed with job->error: what else than to try again?
 *
 * Gives:  the state to go to.
 * Loop:   loop thread.
 */
enum job_state job_give_up(struct rb_job *job);

/*
 * Who asks the database, and what for.
 *
 * Gives:  borrowed from the job.
 * Loop:   loop thread.
 */
struct rb_record_ask job_ask(struct rb_job *job);

/*
 * Another worker has claimed the video since.
 *
 * Gives:  the state to go to.
 * Loop:   loop thread.
 */
enum job_state job_superseded(struct rb_job *job);

/*
 * The name of the state, for logs.
 *
 * Gives:  static text.
 * Loop:   loop thread.
 */
const char *job_state_text(enum job_state state);

/*
 * Decide what to fetch, once the video is claimed.
 *
 * Loop:   loop thread.
 */
void job_pick_source(struct rb_job *job);

/*
 * Is the provider to be asked for a fresh URL before anything is fetched?
 *
 * Loop:   loop thread.
 */
bool job_must_ask(const struct rb_job *job);

/*
 * The provider that can be asked about the video.
 *
 * Gives:  borrowed from the list of now; NULL when there is none.
 * Loop:   loop thread.
 */
const struct rb_provider *job_provider(const struct rb_job *job);

/*
 * Can the provider still be asked for a fresh URL?
 *
 * Loop:   loop thread.
 */
bool job_may_ask(const struct rb_job *job);

/*
 * The source, or the provider, has failed the video: from the first time on runs the clock of what nobody knows.
 *
 * Loop:   loop thread.
 */
void job_note_trouble(struct rb_job *job);

/*
 * How long it is asked.
 *
 * Loop:   loop thread.
 */
struct rb_budget job_asking_budget(const struct rb_job *job);

/*
 * Ask the provider for a fresh URL, because of job->error.
 *
 * Gives:  the state to go to.
 * Loop:   loop thread.
 */
enum job_state job_ask_provider(struct rb_job *job);

/*
 * Count what the end of a try means.
 *
 * Takes:  err, NULL when it ended well.
 * Loop:   loop thread.
 */
void job_count_try(struct rb_job *job, const struct rb_error *err);

/*
 * Count the stages of the way, each when it is over: the first transfer begins; the row says stored; the outcome is
 * announced.
 *
 * Loop:   loop thread.
 */
void job_count_started(const struct rb_job *job);

/*
 * As job_count_started.
 *
 * Loop:   loop thread.
 */
void job_count_recorded(struct rb_job *job);

/*
 * As job_count_started; a video that was given up is counted by why.
 *
 * Loop:   loop thread.
 */
void job_count_announced(struct rb_job *job);

/*
 * A state begins, and has a span of its own.
 *
 * Loop:   loop thread.
 */
void job_trace_begin(struct rb_job *job);

/*
 * The state is left for another one: its span ends, and with DONE that of the job.
 *
 * Takes:  name, of the state that is left.
 * Loop:   loop thread.
 */
void job_trace_end(const struct rb_job *job, const char *name, enum job_state next);

/*
 * What requests to the store are to say about the trace they belong to.
 *
 * Gives:  owned by the caller.
 * Loop:   loop thread.
 */
char *job_traceparent(const struct rb_job *job);

/*
 * What the end of a transfer says about how long URLs live.
 *
 * Takes:  err, NULL when it ended well.
 * Loop:   loop thread.
 */
void job_learn(struct rb_job *job, const struct rb_error *err);

/*
 * Find room for the video: before its transfer begins, and again once it knows how many bytes there are. May drop a transfer
 * that would go to a store without room, so that it begins anew to the fallback store.
 *
 * Gives:  DONE when the transfer may begin, or go on.
 * Fails:  QUOTA_*, SUPERSEDED; DB_*; STORE_* when it would go to the fallback store, which takes nothing now.
 * Loop:   loop thread.
 */
enum rb_poll job_find_room(struct rb_job *job);

/*
 * Stop the transfer. Fine when there is none.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void job_drop_transfer(struct rb_job *job);

/*
 * Put the video on the topic of retries, as job->later says. The call comes to job->receipt.
 *
 * Fails:  as rb_emit_retry.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int job_send_later(struct rb_job *job);

/*
 * The first record about this video, from before any retry.
 *
 * Gives:  borrowed from the job.
 * Loop:   loop thread.
 */
struct rb_origin job_origin(const struct rb_job *job);

/*
 * The callback of all that a job waits for.
 *
 * Takes:  arg, a struct rb_job.
 * Loop:   loop thread; the job runs at the end of the turn.
 */
void job_wake(void *arg);
