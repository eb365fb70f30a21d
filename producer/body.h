/*
 * body.h — what a file body_NAME.c has to offer, and what it may use. Nobody else includes this.
 *
 * Way:  receive -> verify -> notice -> [body]
 */
#pragma once

#include "common/json.h"
#include "producer/notice.h"

/*
 * Fills an empty notice from the object that came; what it filled is freed by the caller when it fails.
 */
typedef int (*rb_body_fn)(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                          struct rb_error *err);

/*
 * {"videoId": UUID, "videoUrl": URL, "status": "completed" | "failed"}: the body of one's own sender.
 *
 * videoUrl is needed when status is completed. "error", a text or {"code", "message"}, and "expiresAt", seconds since
 * 1970 at which the URL stops working, are taken when they are there. Other members are passed over.
 *
 * Fails:  BAD_REQUEST, URL_INVALID, as all below.
 * Loop:   pure, any thread, as all below.
 */
RB_MUST_CHECK int rb_body_plain(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                                struct rb_error *err);

/*
 * {"type": "video.completed" | "video.failed", "data": {"id"}}: OpenAI's, which says no more than that. Gateways that say
 * more, data.url and data.error, are believed.
 *
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_openai(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                                 struct rb_error *err);

/*
 * A prediction of Replicate's, {"id", "status", "output", "error"}.
 *
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_replicate(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                                    struct rb_error *err);

/*
 * {"type": "video.generation.completed" | failed | cancelled | expired, "data": {"id", "unsigned_urls", "error"}}.
 *
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_openrouter(const struct rb_provider_webhook *webhook, json_t *object,
                                     struct rb_notice *notice, struct rb_error *err);

/*
 * {"request_id", "status": "OK" | "ERROR", "payload", "error"}.
 *
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_fal(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                              struct rb_error *err);

/*
 * Whatever the webhook's fields say.
 *
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_generic(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                                  struct rb_error *err);

/*
 * Take the provider's id of the video.
 *
 * Takes:  value, may be NULL; name, of the member, for the message.
 * Fails:  BAD_REQUEST when it is none.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_take_id(struct rb_notice *notice, const json_t *value, const char *name,
                                  struct rb_error *err);

/*
 * Take the time at which the video was finished, "completed_at" of the data; without one that of the event, "created_at".
 *
 * Takes:  event, data, may be NULL.
 * Loop:   pure, any thread.
 */
void rb_body_take_completed(struct rb_notice *notice, const json_t *event, const json_t *data);

/*
 * Take the error of a failed video: a text, or an object with "code" and "message", or nothing.
 *
 * Takes:  value, may be NULL; code, when the error has none itself; NULL for none.
 * Loop:   pure, any thread.
 */
void rb_body_take_error(struct rb_notice *notice, const json_t *value, const char *code);
