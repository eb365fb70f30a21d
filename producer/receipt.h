/*
 * receipt.h — one webhook between its verification and its answer. For receive.c, which has them.
 *
 * Way:  receive -> verify -> notice -> [receipt] -> lookup -> resolve -> publish
 */
#pragma once

#include "common/httpd.h"
#include "producer/notice.h"
#include "producer/receive.h"
#include "producer/replay.h"
#include "producer/senders.h"

#define RB_RECEIVE_MAGIC 0x52435645u

/* A webhook whose signature fits no known key, while the keys are fetched anew. */
struct rb_receive_waiting {
    struct rb_exchange *exchange; /* borrowed until it is answered */
    struct rb_senders *senders;   /* a reference */
    const struct rb_sender *sender;
    struct rb_receive_waiting *next;
};

struct rb_receive {
    uint32_t magic;
    struct rb_receive_config config;
    struct rb_senders *senders; /* a reference: those of now */
    struct rb_replays *replays;
    struct rb_hmac *fingerprint;        /* makes the keys of the replays; nobody outside can know them beforehand */
    struct rb_receive_waiting *waiting; /* owned */
    size_t waiting_count;
    char retry_after[24];
};

/* What a sender is answered, as metrics count it. The order is that of the rows in metrics_table.h. */
enum rb_outcome {
    RB_OUTCOME_ACCEPTED, /* 200: Kafka has the event */
    RB_OUTCOME_REPEATED, /* 200: it came before */
    RB_OUTCOME_STORED,   /* 200: the bytes are safe already */
    RB_OUTCOME_IGNORED,  /* 200: it is not about a finished video */
    RB_OUTCOME_REFUSED,  /* 400 */
    RB_OUTCOME_DENIED,   /* 401 */
    RB_OUTCOME_UNKNOWN,  /* 404 */
    RB_OUTCOME_DEFERRED, /* 503 */
    RB_OUTCOME_COUNT
};

/*
 * Answer and count.
 *
 * Takes:  scheme, of the sender; err, for what is not 200, else NULL.
 * Loop:   loop thread.
 */
void rb_receive_answer(struct rb_receive *receive, struct rb_exchange *exchange, enum rb_scheme scheme,
                       enum rb_outcome outcome, const struct rb_error *err);

/*
 * What an error of a request is answered with.
 *
 * Loop:   pure, any thread.
 */
enum rb_outcome rb_receive_outcome(enum rb_code code);

/*
 * Take a webhook that is verified and understood the rest of the way, up to its answer.
 *
 * Takes:  senders, of which a reference is kept; sender, one of them; verified, borrowed for the call; notice, whose
 *         content is taken.
 * Loop:   loop thread.
 */
void rb_receipt_begin(struct rb_receive *receive, struct rb_exchange *exchange, struct rb_senders *senders,
                      const struct rb_sender *sender, const struct rb_verified *verified, struct rb_notice *notice);
