/*
 * dead_letter.h — why a record cannot be worked on, in headers beside its own.
 *
 * Way:  record -> emit -> [dead_letter] -> Kafka
 *
 * In headers of ours, and in those that Kafka Connect and Spring write, so that existing tools can read them.
 */
#pragma once

#include "common/error.h"
#include "consumer/message.h"

/* A record that nobody can work on. All borrowed. */
struct rb_dead_letter {
    const struct rb_message *message;
    const struct rb_error *cause;
    bool bare; /* without its key, bytes and headers: Kafka has refused it with them */
};

/*
 * Make the headers of a dead letter.
 *
 * Takes:  letter; group, of consumers. All borrowed for the call.
 * Gives:  owned by the caller, who hands them to rb_producer_send.
 * Loop:   any thread; reads the clock.
 */
rd_kafka_headers_t *rb_dead_letter_headers(const struct rb_dead_letter *letter, const char *group);
