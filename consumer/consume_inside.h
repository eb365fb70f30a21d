/*
 * consume_inside.h — what the files consume*.c share and nobody else sees.
 *
 * Way:  Kafka -> [consume] -> job
 */
#pragma once

#include "common/events.h"
#include "consumer/consume.h"
#include "consumer/offsets.h"

#define CONSUME_MAGIC  0x434f4e53u
#define CONSUME_TOPICS 3

/* A topic that brings work. */
struct consume_topic {
    char *name; /* owned; with its prefix */
    enum rb_event event;
};

struct partition;

/* A job and the partition that it came from. */
struct work {
    struct rb_job *job;
    struct partition *partition; /* borrowed */
    struct work *next;
    struct work **link; /* what points at this one */
};

struct partition {
    const char *topic; /* borrowed from the consumer's list */
    enum rb_event event;
    int32_t number;
    struct rb_offsets offsets;
    int64_t committed; /* as the broker has confirmed; -1 before the first commit */
    bool paused;
    struct work *works;
    struct partition *next;
};

struct rb_consume {
    uint32_t magic;
    struct rb_job_env env;
    struct rb_kafka *kafka;
    struct consume_topic topics[CONSUME_TOPICS];
    struct partition *partitions;
    struct work *finished; /* to be freed by sweep */
    struct rb_task sweep;
    size_t count; /* records that are worked on or delayed */
    size_t records_max;
    int64_t commit_interval_ms;
    struct rb_timer *commit_timer;
    bool committing; /* a commit is out */
    bool full;       /* enough are worked on */
    bool outage;     /* our own side is away */
    bool (*is_outage)(void *arg);
    void *outage_arg; /* borrowed */
    struct rb_timer *look_timer;
    bool draining;
};

/*
 * The librdkafka handle.
 *
 * Gives:  borrowed.
 * Loop:   loop thread.
 */
rd_kafka_t *consume_handle(const struct rb_consume *consume);

/*
 * Find one of our partitions.
 *
 * Gives:  borrowed; NULL when it is not ours.
 * Loop:   loop thread.
 */
struct partition *consume_find(struct rb_consume *consume, const char *topic, int32_t number);

/*
 * Put a job into a list.
 *
 * Loop:   loop thread.
 */
void consume_work_link(struct work **list, struct work *work);

/*
 * Take a job out of the list that it is in.
 *
 * Loop:   loop thread.
 */
void consume_work_unlink(struct work *work);

/*
 * Free a job and forget it.
 *
 * Loop:   loop thread, not from a callback of the job.
 */
void consume_work_free(struct rb_consume *consume, struct work *work);

/*
 * Drop the jobs of a partition: all, or those that have done nothing yet.
 *
 * Gives:  how many.
 * Loop:   loop thread, not from a callback of a job.
 */
size_t consume_drop_works(struct rb_consume *consume, struct partition *partition, bool idle_only);

/*
 * Give up all partitions. Their unfinished records go to whoever has the partitions next.
 *
 * Loop:   loop thread, not from a callback of a job.
 */
void consume_drop_partitions(struct rb_consume *consume);

/*
 * The group has given us partitions, or wants ours back.
 *
 * Loop:   loop thread, not from a callback of a job; blocks for at most some seconds.
 */
void consume_take_rebalance(struct rb_consume *consume, rd_kafka_event_t *event);

/*
 * Pause the partitions whose records cannot be worked on now, and resume those that were and can.
 *
 * Loop:   loop thread.
 */
void consume_adapt_pause(struct rb_consume *consume);

/*
 * Resume all that are paused: before they are given back. Else whoever gets them again gets them paused.
 *
 * Loop:   loop thread.
 */
void consume_resume_all(struct rb_consume *consume);

/*
 * How many delayed records may be worked on beside the others: a rb_delay_room_fn.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
size_t consume_room(void *arg);

/*
 * A job has met an outage of our own side.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
void consume_on_outage(void *arg);

/*
 * Is it over? The callback of look_timer.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
void consume_on_look(void *arg);

/*
 * Commit what is finished. The callback of commit_timer.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
void consume_on_commit_timer(void *arg);

/*
 * A commit has been answered.
 *
 * Loop:   loop thread.
 */
void consume_take_committed(struct rb_consume *consume, rd_kafka_event_t *event);

/*
 * Commit and wait for the answer, for a while.
 *
 * Loop:   loop thread; blocks for at most some seconds.
 */
void consume_commit_and_wait(struct rb_consume *consume);
