/*
 * redrive_inside.h — what the files redrive*.c share and nobody else sees.
 *
 * Way:  consumer redrive -> [redrive] -> Kafka -> consume
 */
#pragma once

#include "common/codec.h"
#include "common/kafka_txn.h"
#include "common/random.h"
#include "consumer/command.h"
#include "consumer/message.h"
#include "consumer/offsets.h"

#define REDRIVE_MAGIC     0x52445256u
#define REDRIVE_BATCH_MAX 100
#define REDRIVE_BYTES_MAX (4 << 20) /* of one batch; more by one record at most */
#define REDRIVE_TOPICS    3         /* that records are sent to */

/* What is wanted. Texts are borrowed from the options; 0 and "" for all. */
struct redrive_filter {
    const char *const *videos;
    size_t video_count;
    const char *class;
    const char *code;
    int64_t since_ms; /* RB_NO_LONG for none */
    int64_t until_ms;
    bool letters;
    bool rows;
};

/* A record that goes back. */
struct redrive_item {
    struct rb_txn_record send;
    struct rb_message *message; /* owned; the dead letter, NULL for a failure */
    struct rb_buffer value;     /* owned; the event, for a failure */
    char video_id[RB_UUID_TEXT_BYTES];
    json_t *line; /* owned; what is said of it */
};

/* A partition of the topic of dead letters. */
struct redrive_part {
    int32_t number;
    struct rb_offsets offsets;
    int64_t from; /* what was committed; 0 when nothing was */
    int64_t end;  /* behind the last letter, when this began */
};

struct redrive {
    uint32_t magic;
    struct rb_command *command; /* borrowed */
    char *group;
    char *letters; /* the topic, with its prefix, as those below */
    char *topics[REDRIVE_TOPICS + 1];
    struct redrive_filter filter;
    struct rb_codec *codec;
    struct rb_kafka *kafka; /* reads */
    struct rb_txn *txn;     /* NULL with --dry-run */
    struct rb_timer *timer;
    struct redrive_part *parts;
    size_t part_count;
    int64_t page; /* the last one of failures that was sent */
    struct redrive_item *items[REDRIVE_BATCH_MAX];
    size_t item_count;
    size_t item_bytes;
    bool ended; /* the transaction */
    bool fatal; /* nothing goes on, because of error */
    enum rb_txn_end end;
    struct rb_error error;
    int64_t sent;
    int64_t left;
    bool no_room; /* what was sent could not be noted between so many that were not */
    int64_t began_ms;
};

/*
 * The flags.
 *
 * Gives:  borrowed.
 * Loop:   any thread.
 */
const struct rb_command_options *redrive_flags(const struct redrive *redrive);

/*
 * Has --max been reached, counting what is in the batch?
 *
 * Loop:   loop thread.
 */
bool redrive_is_enough(const struct redrive *redrive);

/*
 * Is a failure of this code and class wanted?
 *
 * Loop:   pure, any thread.
 */
bool redrive_wants(const struct redrive *redrive, const char *code, const char *class, int64_t at_ms);

/*
 * Say what became of something.
 *
 * Takes:  line, owned by the callee from now on; because, NULL when it was sent.
 * Loop:   loop thread.
 */
void redrive_say(struct redrive *redrive, json_t *line, const char *because);

/*
 * Put a record into the batch.
 *
 * Takes:  item, owned by the batch from now on.
 * Loop:   loop thread.
 */
void redrive_add(struct redrive *redrive, struct redrive_item *item);

/*
 * Free it. NULL is fine.
 *
 * Loop:   any thread.
 */
void redrive_item_free(struct redrive_item *item);

/*
 * Read how far earlier runs have come.
 *
 * Fails:  KAFKA_AWAY.
 * Loop:   outside of a running loop, as all below.
 */
RB_MUST_CHECK int redrive_open(struct redrive *redrive, struct rb_error *err);

/*
 * Give up what is under way, and free all that redrive_open made.
 *
 * Gives:  false when librdkafka does not come back from a call.
 * Loop:   as above.
 */
bool redrive_close(struct redrive *redrive);

/*
 * Send the batch, in one transaction with what was sent.
 *
 * Takes:  part, that its letters are of, NULL for failures; page, of failures, 0 for letters.
 * Fails:  KAFKA_AWAY, also when nobody knows whether it was sent: the next run does.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int redrive_flush(struct redrive *redrive, struct redrive_part *part, int64_t page, struct rb_error *err);

/*
 * Send dead letters back to where they came from.
 *
 * Fails:  KAFKA_AWAY.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int redrive_letters(struct redrive *redrive, struct rb_error *err);

/*
 * Send the records of failures.
 *
 * Fails:  DB_AWAY, KAFKA_AWAY, REGISTRY_AWAY.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int redrive_rows(struct redrive *redrive, struct rb_error *err);
