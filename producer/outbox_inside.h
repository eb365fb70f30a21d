/*
 * outbox_inside.h — what the files outbox*.c share and nobody else sees.
 *
 * Way:  publish -> [outbox] -> spool -> Kafka
 */
#pragma once

#include "common/backoff.h"
#include "producer/outbox.h"

#define RB_OUTBOX_MAGIC    0x4f555442u
#define RB_OUTBOX_KEY_BITS 65536

struct parcel;

struct rb_outbox {
    uint32_t magic;
    struct rb_producer *producer; /* borrowed; NULL after rb_outbox_stop */
    struct rb_metrics *metrics;   /* borrowed */
    struct rb_spool *spool;       /* NULL when there is none */
    struct rb_timer *retry;
    struct rb_backoff backoff;

    size_t flying; /* records of the chunk that Kafka has not answered */
    size_t sent;   /* records of the chunk that were handed to the producer */
    bool *settled; /* owned; for each of them: it is on Kafka, or refused */
    size_t settled_cap;
    struct rb_spool_record next; /* taken, and to be sent when has_next */
    bool has_next;
    uint64_t keys[RB_OUTBOX_KEY_BITS / 64]; /* a bit for each key on its way, by a hash */
    struct rb_error trouble;                /* why one of them is not settled, if any is */
    bool failed;                            /* one of them is not */
    bool suspect;                           /* Kafka refused a batch: the next chunk goes one by one */
    bool alone;                             /* this chunk does */
    size_t refused;                         /* records of the chunk */
    bool has_chunk;

    struct parcel *held; /* wait until the spool is empty, in their order */
    struct parcel **held_end;
    size_t held_count;
    size_t held_bytes;

    bool filling; /* something went to the spool since it was empty */
    int64_t filling_since_ms;
    uint64_t drained;
};

/* ---- outbox_record.c */

/*
 * A record for Kafka as the bytes that the spool keeps of it.
 *
 * Takes:  record, borrowed for the call; bytes, to which it is added.
 * Fails:  BAD_EVENT when it is too large for the spool.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_outbox_pack(const struct rb_record *record, struct rb_buffer *bytes, struct rb_error *err);

/*
 * A record of the spool as one for Kafka.
 *
 * Gives:  borrowed from spooled, but for its headers, which are for rb_producer_send.
 * Loop:   loop thread.
 */
struct rb_record rb_outbox_unpack(const struct rb_spool_record *spooled);

/* ---- outbox.c */

/*
 * What waited for the spool to be empty need not wait any more: it goes to Kafka.
 *
 * Loop:   loop thread.
 */
void rb_outbox_release(struct rb_outbox *outbox);

/*
 * What waited for the spool to be empty goes into it.
 *
 * Loop:   loop thread.
 */
void rb_outbox_spool_held(struct rb_outbox *outbox);

/* ---- outbox_drain.c */

/*
 * The retry timer's callback: take up what is in the spool.
 *
 * Takes:  arg, a struct rb_outbox.
 * Loop:   loop thread.
 */
void rb_outbox_drain(void *arg);

/*
 * The spool's on_change.
 *
 * Takes:  arg, a struct rb_outbox.
 * Loop:   loop thread.
 */
void rb_outbox_on_spool(void *arg);
