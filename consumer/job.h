/*
 * job.h — one record's life, from its arrival to its offset.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#pragma once

#include "common/metrics.h"
#include "common/tracer.h"
#include "consumer/budget.h"
#include "consumer/circuit.h"
#include "consumer/delay.h"
#include "consumer/emit.h"
#include "consumer/history.h"
#include "consumer/lifetime.h"
#include "consumer/lines.h"
#include "consumer/make_room.h"
#include "consumer/message.h"
#include "consumer/progress.h"
#include "consumer/record.h"
#include "consumer/slots.h"
#include "consumer/transfer.h"
#include "consumer/usage.h"
#include "consumer/variants_fetch.h"

struct rb_job;

/* Why a record is silent that may not be the last word about its video. */
#define RB_JOB_PENDING    "not_finished_yet"
#define RB_JOB_UNREADABLE "unreadable"

/* How, and how long, it is tried again. */
struct rb_retry_policy {
    int64_t first_ms;    /* the longest first pause; it doubles ... */
    int64_t max_ms;      /* ... up to this */
    int64_t in_place_ms; /* longer pauses are waited for on the topic of retries */
    struct rb_budget_policy budget;
    int64_t renew_for_ms; /* how long after the first record a provider is asked for fresh URLs */
};

/* What all jobs share. All borrowed for as long as jobs live. */
struct rb_job_env {
    struct rb_loop *loop;
    struct rb_codec *codec;
    struct rb_record *record;
    const struct rb_transfer_config *transfer;
    const struct rb_plan_policy *policy;
    const struct rb_variants_policy *variants;
    const struct rb_target *first_store;
    const struct rb_target *fallback_store; /* NULL: there is none */
    struct rb_usage *usage;
    struct rb_make_room *make_room; /* NULL: no video is removed for another one */
    struct rb_emit *emit;
    struct rb_progress *progress;
    struct rb_history *history;
    struct rb_turns *turns;
    struct rb_delay *delay;
    struct rb_slots *slots;
    struct rb_circuit *circuit;          /* of the first store */
    struct rb_circuit *fallback_circuit; /* NULL: there is none */
    struct rb_lifetimes *lifetimes;
    struct rb_slots *asks; /* of providers at once */
    struct rb_http *ask_http;
    struct rb_metrics *metrics;
    struct rb_tracer *tracer; /* NULL: nothing is traced */
    struct rb_retry_policy retry;

    /* The record is finished: its offset may be committed. The job is to be freed, but not in this call. */
    void (*on_finished)(struct rb_job *job, void *arg);
    void *finished_arg;
    /* Our own side is away: it does no good to take more records. NULL: nobody wants to know. */
    void (*on_outage)(void *arg);
    void *outage_arg;
    /* The program cannot go on. */
    void (*on_fatal)(const struct rb_error *err, void *arg);
    void *fatal_arg;
};

/* A record that is worked on once more. Text borrowed for as long as the job lives. */
struct rb_job_again {
    const char *owner_topic; /* names the record in place of its topic, as of whom an outcome is */
    int64_t reopen;          /* the attempt that is over and is to be followed by another one; RB_NO_LONG: none is */
    bool keep_url;           /* the row's URL is newer than the record's */
};

enum rb_job_ending { RB_JOB_STORED, RB_JOB_FAILED, RB_JOB_LATER, RB_JOB_DEAD_LETTER, RB_JOB_SILENT };

/* What has become of a record. Text borrowed from the job. */
struct rb_job_end {
    enum rb_job_ending ending;
    const char *code;    /* why it failed; NULL for all others */
    const char *because; /* why it is silent; NULL for all others */
    int64_t bytes;       /* stored */
};

/*
 * Begin to work on a record.
 *
 * Takes:  message, owned by the job from now on; event, which event its topic carries; owner, borrowed, whatever the
 *         caller wants to find again.
 * Gives:  owned by the caller; rb_job_free it. It runs from the end of this turn on.
 * Loop:   loop thread.
 */
struct rb_job *rb_job_new(const struct rb_job_env *env, struct rb_message *message, enum rb_event event, void *owner);

/*
 * The record is worked on once more. It leads to no dead letter when it cannot be read.
 *
 * Takes:  again, copied.
 * Loop:   loop thread, in the turn in which the job was made.
 */
void rb_job_set_again(struct rb_job *job, const struct rb_job_again *again);

/*
 * What has become of the record.
 *
 * Loop:   loop thread, once on_finished was called.
 */
struct rb_job_end rb_job_end(const struct rb_job *job);

/*
 * Stop whatever it does and free it. What it had in the store but not in the database is removed. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_job_free(struct rb_job *job);

/*
 * Look again, at the end of this turn: something that it may wait for has changed.
 *
 * Loop:   loop thread.
 */
void rb_job_poke(struct rb_job *job);

/*
 * The record that it works on.
 *
 * Gives:  borrowed from the job.
 * Loop:   loop thread.
 */
const struct rb_message *rb_job_message(const struct rb_job *job);

/*
 * What rb_job_new was given.
 *
 * Gives:  borrowed, as it was.
 * Loop:   loop thread.
 */
void *rb_job_owner(const struct rb_job *job);

/*
 * Would nothing be lost by dropping it now? So it is while it stands in line or rests.
 *
 * Loop:   loop thread.
 */
bool rb_job_is_idle(const struct rb_job *job);

/*
 * Does it begin nothing while transfers are held? A rest may lead to a row that is written, or an event that is sent.
 *
 * Loop:   loop thread.
 */
bool rb_job_only_waits(const struct rb_job *job);

/*
 * When does the URL stop working, of a video that is not stored yet?
 *
 * Gives:  milliseconds since 1970; RB_NO_LONG when nobody knows, or there is nothing to lose any more.
 * Loop:   loop thread.
 */
int64_t rb_job_expires_at(const struct rb_job *job);

/*
 * Since when is its record on Kafka?
 *
 * Gives:  milliseconds since 1970; RB_NO_LONG when Kafka does not tell, and for records of the topic of retries.
 * Loop:   loop thread.
 */
int64_t rb_job_since(const struct rb_job *job);

/*
 * The name of its state.
 *
 * Gives:  static text.
 * Loop:   loop thread.
 */
const char *rb_job_state_name(const struct rb_job *job);

/*
 * May a job go from one state to another? By their names, for tests.
 *
 * Loop:   pure, any thread.
 */
bool rb_job_may_go(const char *from, const char *to);

/*
 * Print the table of states as Markdown.
 *
 * Loop:   any thread.
 */
void rb_job_print_states(FILE *file);
