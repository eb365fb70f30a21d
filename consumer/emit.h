/*
 * emit.h — announces outcomes, and sets aside records that cannot be read.
 *
 * Way:  record -> [emit] -> Kafka
 *
 * An outcome's event is made from the row that was written, and its id from the video and the attempt: announced twice,
 * it is the same event.
 */
#pragma once

#include "common/codec.h"
#include "common/events.h"
#include "consumer/commit.h"
#include "consumer/dead_letter.h"
#include "consumer/row.h"

struct rb_emit;

struct rb_emit_config {
    struct rb_commit_config commit; /* with its topics left to this file */
    struct rb_codec *codec;         /* borrowed for as long as the emitter lives, as is the group */
    const char *topic_prefix;
    const char *group; /* named in dead letters */
};

/*
 * Make an emitter, with a transactional producer of its own.
 *
 * Gives:  ret_emit, owned by the caller; rb_emit_free it.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_emit_new(struct rb_loop *loop, const struct rb_emit_config *config, struct rb_emit **ret_emit,
                              struct rb_error *err);

/*
 * Free it. Records that are still on their way are given up, without a call. NULL is fine.
 *
 * Gives:  as rb_txn_free.
 * Loop:   loop thread, not from a callback; blocks for at most some seconds.
 */
bool rb_emit_free(struct rb_emit *emit);

/*
 * What its records go through.
 *
 * Gives:  borrowed from the emitter.
 * Loop:   loop thread.
 */
struct rb_commit *rb_emit_commit(const struct rb_emit *emit);

/* What an outcome is about. All borrowed. */
struct rb_emit_case {
    const struct rb_row *row;
    const struct rb_message *message; /* the record that led to it */
    const struct rb_origin *origin;   /* of the first record about it, which is another one after a retry */
};

/*
 * Announce the outcome of a row: video.stored or video.store_failed by its state.
 *
 * Takes:  about, borrowed for the call; receipt as of rb_commit_send.
 * Fails:  KAFKA_AWAY, REGISTRY_AWAY, BAD_EVENT; its fn is not called then.
 * Loop:   loop thread; the call never comes before this returns.
 */
RB_MUST_CHECK int rb_emit_outcome(struct rb_emit *emit, const struct rb_emit_case *about, struct rb_receipt *receipt,
                                  struct rb_error *err);

/*
 * Announce that a stored video was deleted. Begins a trace of its own.
 *
 * Takes:  event, borrowed for the call; receipt as above.
 * Fails:  as rb_emit_outcome.
 * Loop:   loop thread; the call never comes before this returns.
 */
RB_MUST_CHECK int rb_emit_deleted(struct rb_emit *emit, const struct rb_video_deleted *event,
                                  struct rb_receipt *receipt, struct rb_error *err);

/*
 * Put a video on the topic of retries.
 *
 * Takes:  event, borrowed for the call, with all but its event_id, which is made here; message, the record that is worked
 *         on; receipt as above.
 * Fails:  as rb_emit_outcome.
 * Loop:   loop thread; the call never comes before this returns.
 */
RB_MUST_CHECK int rb_emit_retry(struct rb_emit *emit, struct rb_video_store_retry *event,
                                const struct rb_message *message, struct rb_receipt *receipt, struct rb_error *err);

/*
 * Put a record's own bytes on the dead letter topic, with its headers and the cause: in headers of ours, and in those that
 * Kafka Connect and Spring write, so that existing tools can read them.
 *
 * Takes:  letter, borrowed for the call; the rest as above.
 * Fails:  KAFKA_AWAY; its fn is not called then.
 * Loop:   loop thread; the call never comes before this returns.
 */
RB_MUST_CHECK int rb_emit_dead_letter(struct rb_emit *emit, const struct rb_dead_letter *letter,
                                      struct rb_receipt *receipt, struct rb_error *err);

/*
 * The topic on which the outcome of a row in this state is announced, with its prefix.
 *
 * Gives:  borrowed from the emitter.
 * Loop:   loop thread.
 */
const char *rb_emit_topic(const struct rb_emit *emit, enum rb_row_state state);

/*
 * Is a broker connected?
 *
 * Loop:   loop thread.
 */
bool rb_emit_is_up(const struct rb_emit *emit);
