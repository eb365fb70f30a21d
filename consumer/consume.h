/*
 * consume.h — membership of the consumer group: partitions come and go, records become jobs, offsets are committed.
 *
 * Way:  Kafka -> [consume] -> job
 */
#pragma once

#include "common/kafka.h"
#include "consumer/job.h"

struct rb_consume;

struct rb_consume_config {
    struct rb_kafka_config kafka;
    const char *topic_prefix;
    const char *group;
    const char *instance_id;      /* "" for dynamic membership */
    size_t records_max;           /* worked on at once; then partitions are paused */
    bool (*is_outage)(void *arg); /* is our own side still away? */
    void *outage_arg;
    int64_t commit_interval_ms;
    int64_t at_risk_ms; /* before the end of its URL, a video that is not stored is at risk */
};

/*
 * Join the group.
 *
 * Takes:  config, borrowed for the call; env, copied, with its on_finished left to this file.
 * Gives:  ret_consume, owned by the caller; rb_consume_free it.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_consume_new(const struct rb_consume_config *config, const struct rb_job_env *env,
                                 struct rb_consume **ret_consume, struct rb_error *err);

/*
 * Take no more records, drop those on which nothing has been done yet, and let the others come to their end.
 *
 * Loop:   loop thread.
 */
void rb_consume_drain(struct rb_consume *consume);

/*
 * Begin nothing for now, or again: no records are taken, and those that are here wait before their transfers. We stay a member.
 *
 * Loop:   loop thread, not from a callback of a job.
 */
void rb_consume_hold(struct rb_consume *consume, bool hold);

/*
 * How many records are worked on that do not only wait: what goes on while we hold, and may write rows and send events.
 *
 * Loop:   loop thread.
 */
size_t rb_consume_running(const struct rb_consume *consume);

/*
 * How many records are worked on.
 *
 * Loop:   loop thread.
 */
size_t rb_consume_count(const struct rb_consume *consume);

/*
 * Poke the jobs that may wait for a schema.
 *
 * Loop:   loop thread.
 */
void rb_consume_poke(struct rb_consume *consume);

/*
 * Is a broker connected?
 *
 * Loop:   loop thread.
 */
bool rb_consume_is_up(const struct rb_consume *consume);

/*
 * Drop all jobs, let a transaction that is under way end, leave the group. NULL is fine.
 *
 * Gives:  false when librdkafka does not come back from a call: then only the end of the process ends it.
 * Loop:   loop thread, not from a callback of this file; blocks for at most some seconds.
 */
bool rb_consume_free(struct rb_consume *consume);
