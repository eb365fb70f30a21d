/*
 * poll_sources.h — the providers that are asked, each at its own pace.
 *
 * Way:  poller -> [poll_sources] -> poll_lease -> poll_ask
 *
 * Nobody is asked while the database or Kafka is away: an answer could go nowhere.
 */
#pragma once

#include "producer/poll_ask.h"

struct rb_poll_source;

struct rb_poll_sources {
    struct rb_poll_env *env; /* borrowed, as pg */
    struct rb_pg *pg;
    struct rb_providers *providers; /* a reference; NULL before the first */
    struct rb_poll_source *first;   /* owned */
    bool stopped;                   /* nothing new is begun */
    bool paused;                    /* and that was said */
};

/*
 * Other providers from now on, or other keys of theirs. What is under way goes on as it was begun.
 *
 * Takes:  providers, kept by a reference of its own.
 * Loop:   loop thread.
 */
void rb_poll_sources_set(struct rb_poll_sources *sources, struct rb_providers *providers);

/*
 * Can anybody be asked now?
 *
 * Fails:  DB_AWAY, KAFKA_AWAY and others of Kafka's.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_poll_sources_check(const struct rb_poll_sources *sources, struct rb_error *err);

/*
 * Say that nobody is asked now, once for each pause. It ends with the next lease that works.
 *
 * Loop:   loop thread.
 */
void rb_poll_sources_pause(struct rb_poll_sources *sources, const struct rb_error *err);

/*
 * The interval of the provider that is asked the most often.
 *
 * Loop:   loop thread.
 */
int64_t rb_poll_sources_interval_ms(const struct rb_poll_sources *sources);

/*
 * Ask about videos that are due, of each provider as many as it may be asked for now.
 *
 * Loop:   loop thread.
 */
void rb_poll_sources_look(struct rb_poll_sources *sources);

/*
 * Free what is in it, when no question is under way and no lease.
 *
 * Loop:   loop thread.
 */
void rb_poll_sources_done(struct rb_poll_sources *sources);
