/*
 * receive.h — takes webhooks; answers 200 only when Kafka has the event.
 *
 * Way:  [receive] -> verify -> notice -> lookup -> resolve -> publish -> Kafka
 */
#pragma once

#include "common/httpd.h"
#include "common/metrics.h"
#include "common/tracer.h"
#include "producer/heard.h"
#include "producer/lookup.h"
#include "producer/publish.h"
#include "producer/resolve.h"
#include "producer/senders.h"

struct rb_receive;

/* All of it borrowed for as long as the receiver lives. */
struct rb_receive_config {
    struct rb_lookup *lookup;
    struct rb_resolve *resolve;
    struct rb_publish *publish;
    struct rb_heard *heard;
    struct rb_metrics *metrics;
    struct rb_tracer *tracer; /* NULL: nothing is traced */
    int64_t retry_after_s;
    bool check_videos; /* ask the database also for videos whose own id came with the webhook */
};

/*
 * Make a receiver. It knows nobody until rb_receive_set_senders.
 *
 * Gives:  owned by the caller; rb_receive_free it after the HTTP server.
 * Loop:   loop thread.
 */
struct rb_receive *rb_receive_new(const struct rb_receive_config *config);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_receive_free(struct rb_receive *receive);

/*
 * From now on, these are the senders. What was taken from earlier ones is answered as it would have been.
 *
 * Takes:  senders, of which a reference is kept.
 * Loop:   loop thread.
 */
void rb_receive_set_senders(struct rb_receive *receive, struct rb_senders *senders);

/*
 * The senders of now.
 *
 * Gives:  borrowed from receive; NULL before the first.
 * Loop:   loop thread.
 */
const struct rb_senders *rb_receive_senders(const struct rb_receive *receive);

/*
 * Public keys were fetched: look again at what waits for them.
 *
 * Takes:  arg, a struct rb_receive.
 * Loop:   loop thread.
 */
void rb_receive_on_keys(void *arg);

/*
 * Wait for no more keys: what waits is answered 503 before this returns.
 *
 * Loop:   loop thread.
 */
void rb_receive_stop(struct rb_receive *receive);

/*
 * The route of one's own sender, POST /api/webhook/video-complete.
 *
 * Takes:  arg, a struct rb_receive.
 * Gives:  200 {"success": true} once all in-sync replicas have the event, or when there is no need for one: it came
 *         before, or the video is stored; 200 {"success": true, "ignored": true} for what is not about a finished video;
 *         400 for a body that is not as it should be, 401 for a wrong secret or signature, 404 for a video that nobody
 *         knows, 503 with Retry-After when the event cannot be stored now. With the database away an event that has our
 *         own id is published unchecked.
 * Loop:   loop thread.
 */
void rb_receive_plain(struct rb_exchange *exchange, void *arg);

#define RB_RECEIVE_PROVIDERS_PATH "/webhooks/"

/*
 * The routes of providers, POST /webhooks/NAME.
 *
 * Takes:  arg, a struct rb_receive.
 * Gives:  as rb_receive_plain; 404 for a name that nobody has.
 * Loop:   loop thread.
 */
void rb_receive_provider(struct rb_exchange *exchange, void *arg);
