/*
 * topic_table.h — the topics: who reads and writes each, and how long it keeps what.
 *
 * Way:  consumer setup -> setup_topics -> [topic_table]
 */
#pragma once

#include "common/events.h"

enum rb_topic_use {
    RB_TOPIC_INPUT,   /* records wait here for a consumer; replayed from here */
    RB_TOPIC_RETRY,   /* records wait here for their time */
    RB_TOPIC_FACTS,   /* the newest of each video says all: whoever comes late learns of all videos */
    RB_TOPIC_OUTCOME, /* each event counts, for a while */
};

#define RB_TOPICS(X)                                                                                                   \
    /* name                     use      written by */                                                                 \
    X("video.webhook.received", INPUT, "producer")                                                                     \
    X("video.poll.result", INPUT, "producer")                                                                          \
    X("video.stored", FACTS, "consumer")                                                                               \
    X("video.store_failed", OUTCOME, "consumer")                                                                       \
    X("video.deleted", FACTS, "consumer")                                                                              \
    X("video.store.retry", RETRY, "consumer")                                                                          \
    X(RB_DEAD_LETTER_TOPIC, OUTCOME, "consumer")

struct rb_topic {
    const char *name; /* without prefix */
    enum rb_topic_use use;
    const char *writer;
};

static const struct rb_topic rb_topics[] = {
#define ROW(name, use, writer) {name, RB_TOPIC_##use, writer},
    RB_TOPICS(ROW)
#undef ROW
};
