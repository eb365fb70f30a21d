/*
 * resend.h — put records on the bus from a command: again, or for the first time, when nobody else will.
 *
 * Way:  consumer verify, backfill -> [resend] -> Kafka
 *
 * Whoever has just begun is not connected yet, and a registry may be away for a moment: that is waited for. So many records are
 * on their way at once and no more; what counts is that rb_resend_finish says that the brokers have all of them.
 */
#pragma once

#include "common/avro.h"
#include "common/kafka_producer.h"
#include "common/random.h"
#include "consumer/command.h"

struct rb_resend;

/* A video that is to be stored. All borrowed; NULL stands for what nobody knows. */
struct rb_resend_video {
    const char *event_id; /* NULL for a new one */
    const char *video_id;
    const char *user_id;
    const char *url;
    const char *provider;
    const char *provider_video_id;
    int64_t expires_at; /* RB_NO_LONG: whoever tries the URL finds out */
};

/*
 * Begin.
 *
 * Takes:  command, borrowed for as long as it lives; its name is the scheme of its events.
 * Gives:  ret_resend, owned by the caller; rb_resend_free it.
 * Fails:  BAD_OPTION.
 * Loop:   outside of a running loop, as all below.
 */
RB_MUST_CHECK int rb_resend_new(struct rb_command *command, struct rb_resend **ret_resend, struct rb_error *err);

/*
 * Stop and free. What is on its way is given up. NULL is fine.
 *
 * Loop:   as above.
 */
void rb_resend_free(struct rb_resend *resend);

/*
 * Send a video as the webhook of it would have come: VideoWebhookReceived, checked.
 *
 * Takes:  video, borrowed for the call.
 * Fails:  KAFKA_AWAY, KAFKA_REFUSED, REGISTRY_AWAY, BAD_EVENT. Those that were sent before may still be on their way.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int rb_resend_video(struct rb_resend *resend, const struct rb_resend_video *video, struct rb_error *err);

/*
 * Send a record as it is.
 *
 * Takes:  record, borrowed for the call, its headers taken over in any case.
 * Fails:  KAFKA_AWAY, KAFKA_REFUSED.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int rb_resend_record(struct rb_resend *resend, const struct rb_record *record, struct rb_error *err);

/*
 * Wait until the brokers have all of them. More may be sent afterwards.
 *
 * Fails:  KAFKA_AWAY, KAFKA_REFUSED, for the first one that they have not.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int rb_resend_finish(struct rb_resend *resend, struct rb_error *err);
