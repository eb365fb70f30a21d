/*
 * receive.h — takes webhooks; answers 200 only when Kafka has the event.
 *
 * Way:  [receive] -> verify -> notice -> lookup -> publish -> Kafka
 */
#pragma once

#include "common/httpd.h"
#include "common/metrics.h"
#include "producer/lookup.h"
#include "producer/publish.h"
#include "producer/verify.h"

struct rb_receive;

/* All of it borrowed for as long as the receiver lives. */
struct rb_receive_config {
    const struct rb_secrets *secrets;
    struct rb_lookup *lookup;
    struct rb_publish *publish;
    struct rb_metrics *metrics;
    int64_t retry_after_s;
};

/*
 * Make a receiver.
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
 * The route of the plain webhook, POST /api/webhook/video-complete.
 *
 * Takes:  arg, a struct rb_receive.
 * Gives:  200 {"success": true} once all in-sync replicas have the event; 400 for a body that is not as it should be, 401
 *         for a wrong secret, 404 for a video that the application does not have, 503 with Retry-After when Kafka does
 *         not take the event now. With the database away the event is published unchecked.
 * Loop:   loop thread.
 */
void rb_receive_plain(struct rb_exchange *exchange, void *arg);
