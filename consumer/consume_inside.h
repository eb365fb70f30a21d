/*
 * consume_inside.h — what the files consume*.c share and nobody else sees.
 *
 * Way:  Kafka -> [consume] -> job
 */
#pragma once

#include "common/events.h"
#include "common/pool.h"
#include "consumer/consume.h"
#include "consumer/offsets.h"

#define CONSUME_MAGIC    0x434f4e53u
#define CONSUME_TOPICS   3

#define CONSUME_AGAIN_MS 500 /* after offsets could not be read */

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
    int64_t committed; /* as far as we know; -1 when nothing is */
    char *map;         /* committed beside it; owned, never NULL */
    int64_t end;       /* of its log, as Kafka said when it was paused; -1 when nobody has asked */
    int64_t begin;     /* likewise, of one that nothing was read of */
    bool changed;      /* since it was last put into a transaction */
    bool paused;
    struct work *works;
    struct partition *next;
};

/* What the group has committed of some partitions. The loop does not touch it while it is read. */
struct consume_fetch {
    struct rb_consume *consume; /* borrowed: whom done is to tell */
    rd_kafka_t *handle;
    rd_kafka_topic_partition_list_t *list; /* owned; NULL when none is read */
    struct rb_offset_map *maps;            /* owned; one for each */
    struct rb_pool_call *call;
    rd_kafka_resp_err_t code;
};

/* Where paused partitions end. The loop does not touch it while that is asked. */
struct consume_lag {
    struct rb_consume *consume; /* borrowed */
    rd_kafka_t *handle;
    struct rb_timer *timer;
    rd_kafka_topic_partition_list_t *list;   /* owned, as the next; NULL when nothing is asked */
    rd_kafka_topic_partition_list_t *begins; /* of those that nothing was read of; may be empty */
    struct rb_pool_call *call;
    rd_kafka_resp_err_t code;
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
    struct rb_commit *commit;                  /* borrowed */
    rd_kafka_consumer_group_metadata_t *group; /* our membership when we got the partitions; NULL without any */
    int64_t assignment;                        /* counts them */
    int64_t in_flight;                         /* the one whose offsets are in the transaction under way; 0: none */
    struct consume_fetch assigning;            /* partitions that we were given, and do not read yet */
    bool abandoned;                            /* they were taken away again while that was asked */
    rd_kafka_topic_partition_list_t *given;    /* and others given; owned; NULL for none */
    struct consume_fetch looking;              /* at what a transaction has come to */
    rd_kafka_topic_partition_list_t *wanted;   /* that is there if it was committed; owned */
    struct rb_timer *again_timer;              /* reading has failed */
    struct rb_timer *revoke_timer;             /* started: partitions are given back when the transaction has ended */
    struct consume_lag lag;
    int64_t at_risk_ms;
    bool closing;
    bool full;   /* enough are worked on */
    bool outage; /* our own side is away */
    bool (*is_outage)(void *arg);
    void *outage_arg; /* borrowed */
    struct rb_timer *look_timer;
    bool draining;
    bool held; /* an operator wants it so */
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
 * One partition of ours, with what was committed of it.
 *
 * Takes:  map, taken over and empty afterwards.
 * Loop:   loop thread.
 */
void consume_add_partition(struct rb_consume *consume, const rd_kafka_topic_partition_t *from,
                           struct rb_offset_map *map);

/*
 * The group has given us partitions, or wants ours back.
 *
 * Loop:   loop thread, not from a callback of a job.
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
 * consume_commit_soon, now and then. The callback of commit_timer.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
void consume_on_commit_timer(void *arg);

/*
 * Have committed what is finished, if there is something new.
 *
 * Loop:   loop thread.
 */
void consume_commit_soon(struct rb_consume *consume);

/*
 * Say whose offsets are committed with what is announced: ours.
 *
 * Loop:   loop thread.
 */
void consume_hook_commit(struct rb_consume *consume);

/*
 * Read what the group has committed, again with consume_fetch_start after a failure.
 *
 * Takes:  fetch, with its list; done, as of rb_pool_start, called with the fetch.
 * Loop:   loop thread.
 */
void consume_fetch_start(struct rb_consume *consume, struct consume_fetch *fetch, rb_loop_fn done);

/*
 * It was read, or not.
 *
 * Gives:  false when it has to be read again; that is in the log.
 * Loop:   loop thread.
 */
bool consume_fetch_take(struct consume_fetch *fetch);

/*
 * Free what was read. Fine when nothing was.
 *
 * Loop:   loop thread, when no call is out.
 */
void consume_fetch_done(struct consume_fetch *fetch);

/*
 * The transaction has ended that partitions were to be given back after.
 *
 * Loop:   loop thread.
 */
void consume_finish_revoke(struct rb_consume *consume);

/*
 * Reading has failed a moment ago. The callback of again_timer.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
void consume_on_again(void *arg);

/*
 * A transaction has taken too long for partitions to be kept. The callback of revoke_timer.
 *
 * Takes:  arg, a struct rb_consume.
 * Loop:   loop thread.
 */
void consume_on_revoke_timer(void *arg);

/*
 * No partition is to be had any more: answer what the group has asked us last.
 *
 * Gives:  false when librdkafka does not come back from a call.
 * Loop:   loop thread, when the loop does not run any more; blocks for at most some seconds.
 */
bool consume_end_assignment(struct rb_consume *consume);

/*
 * Begin to look how far behind we are; it is shown among the metrics.
 *
 * Loop:   loop thread.
 */
void consume_lag_start(struct rb_consume *consume);

/*
 * Look again at what a transaction has come to, after a failure.
 *
 * Loop:   loop thread.
 */
void consume_look_again(struct rb_consume *consume);
