/*
 * poll_ask.h — one question about one video: from the request to the provider to what is left behind in the row.
 *
 * Way:  poll_sources -> poll_lease -> [poll_ask] -> adapter -> poll_plan -> publish
 *
 * The row learns of an answer only after Kafka has the event: what is lost in between is asked for again.
 */
#pragma once

#include "common/http.h"
#include "common/metrics.h"
#include "common/tracer.h"
#include "producer/heard.h"
#include "producer/poll_lease.h"
#include "producer/publish.h"

struct rb_poll_ask;

/* What all questions share. All borrowed for as long as there are questions. */
struct rb_poll_env {
    struct rb_loop *loop;
    struct rb_http *http;
    struct rb_publish *publish;
    struct rb_poll_lease *lease;
    struct rb_heard *heard;
    struct rb_metrics *metrics;
    struct rb_tracer *tracer; /* NULL: nothing is traced */
    struct rb_poll_policy policy;
    int64_t publish_timeout_ms;
    struct rb_poll_ask *first; /* those under way, in no order */
    size_t count;
};

/* What the one who asks wants to know. */
struct rb_poll_listener {
    /*
     * The provider has answered, or has not.
     *
     * Takes:  err, NULL when the answer was understood; begun_ms, when the question was sent; retry_after_ms, what the
     *         provider asked for, 0 when it said nothing.
     * Gives:  how long the provider is not to be asked now, when that is because of this answer; else 0.
     */
    int64_t (*on_answer)(const struct rb_error *err, int64_t begun_ms, int64_t retry_after_ms, void *arg);
    void (*on_end)(void *arg); /* nothing is left to do */
    void *arg;                 /* borrowed until on_end */
};

/*
 * Ask. The question frees itself after on_end.
 *
 * Takes:  provider, borrowed until on_end; row, taken over; lease_until_ms, monotonic: afterwards nothing is published.
 * Loop:   loop thread; may call back before it returns, when there is nothing that could be asked.
 */
void rb_poll_ask(struct rb_poll_env *env, const struct rb_provider *provider, struct rb_poll_row *row,
                 int64_t lease_until_ms, const struct rb_poll_listener *listener);

/*
 * Give up requests that are under way, and give their videos back. What Kafka is about to have goes on.
 *
 * Loop:   loop thread, outside of callbacks of questions.
 */
void rb_poll_ask_stop_all(struct rb_poll_env *env);
