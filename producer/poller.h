/*
 * poller.h — asks providers about videos that wait, so that none is lost when a webhook is.
 *
 * Way:  [poller] -> poll_sources -> poll_lease -> poll_ask -> adapter -> poll_plan -> publish -> Kafka
 */
#pragma once

#include "producer/poll_ask.h"

struct rb_poller;

enum rb_poll_mode {
    RB_POLL_AUTO, /* webhooks, and polling for what they miss */
    RB_POLL_OFF,  /* webhooks only */
    RB_POLL_ONLY, /* no webhooks are taken */
};

/* Borrowed for the call, but for what stands in rb_poll_env. */
struct rb_poller_config {
    struct rb_pg *pg;
    struct rb_publish *publish;
    struct rb_heard *heard;
    struct rb_metrics *metrics;
    struct rb_tracer *tracer; /* NULL: nothing is traced */
    const struct rb_common_options *options;
    struct rb_providers *providers; /* kept by a reference of its own */
    struct rb_poll_policy policy;
    int64_t publish_timeout_ms;
    int64_t adopt_age_ms;
    const char *adopt_statuses; /* parted by commas */
};

/*
 * What the option `poll` says.
 *
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_poller_mode(const char *text, enum rb_poll_mode *ret_mode, struct rb_error *err);

/*
 * Has any of them an API?
 *
 * Loop:   pure, any thread.
 */
bool rb_poller_has_work(const struct rb_providers *providers);

/*
 * Make a poller. Its first round begins at once: what was missed while nobody ran is due.
 *
 * Gives:  ret_poller, owned by the caller; rb_poller_free it.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_poller_new(struct rb_loop *loop, const struct rb_poller_config *config,
                                struct rb_poller **ret_poller, struct rb_error *err);

/*
 * Other providers from now on, or other keys of theirs. What is under way goes on as it was begun. NULL is fine.
 *
 * Takes:  providers, kept by a reference of its own.
 * Loop:   loop thread.
 */
void rb_poller_reload(struct rb_poller *poller, struct rb_providers *providers);

/*
 * Begin nothing new; give videos back that are being asked for. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_poller_stop(struct rb_poller *poller);

/*
 * How much is still on its way, to Kafka or to the database; 0 for NULL.
 *
 * Loop:   loop thread.
 */
size_t rb_poller_pending(const struct rb_poller *poller);

/*
 * Stop and free it. NULL is fine.
 *
 * Loop:   loop thread; after rb_pg_free and rb_publish_stop.
 */
void rb_poller_free(struct rb_poller *poller);
