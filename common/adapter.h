/*
 * adapter.h — how each kind of API is asked about a video, and what its answer means. One file per kind.
 *
 * Way:  common
 *
 * A new kind of API is a new file with two functions, and a row in adapter.c.
 */
#pragma once

#include "common/buffer.h"
#include "common/events.h"
#include "common/json.h"
#include "common/providers.h"

/* An answer of a provider is a small JSON object; what is larger is none. */
#define RB_ADAPTER_ANSWER_MAX_BYTES (1 << 20)

enum rb_adapter_status {
    RB_ADAPTER_QUEUED,
    RB_ADAPTER_IN_PROGRESS,
    RB_ADAPTER_COMPLETED,
    RB_ADAPTER_FAILED,
    RB_ADAPTER_EXPIRED,
};

/* What some providers have of a video beside it. */
enum rb_variant { RB_VARIANT_THUMBNAIL, RB_VARIANT_SPRITESHEET, RB_VARIANT_COUNT };

/* What to send: rb_adapter_request makes it, rb_adapter_request_done gives it back. */
struct rb_adapter_request {
    const char *method;     /* static */
    char *url;              /* owned */
    const char *headers[3]; /* "Name: value", NULL at the end; borrowed from here or static */
    char *auth_line;        /* owned, a secret, wiped; NULL when no key is needed */
};

/* What a provider says about a video. All text is owned. Times are milliseconds since 1970. */
struct rb_adapter_answer {
    enum rb_adapter_status status;
    int64_t progress;        /* percent, 0 to 100; RB_NO_LONG when the provider does not tell */
    char *video_url;         /* completed: where the bytes are, never NULL; else NULL */
    char *error_code;        /* failed and expired, else NULL; NULL when the provider gave none */
    char *error_message;     /* as error_code */
    int64_t expires_at_ms;   /* when the URL stops working; RB_NO_LONG when nobody said */
    int64_t completed_at_ms; /* RB_NO_LONG when nobody said */
};

/*
 * Make the request that asks a provider about one video. The id is percent-encoded.
 *
 * Takes:  provider, with an API, borrowed for the call; provider_video_id, borrowed for the call.
 * Gives:  ret_request; rb_adapter_request_done it.
 * Fails:  BAD_REQUEST when this cannot be an id of a provider; UNKNOWN_PROVIDER when there is nobody to ask.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_adapter_request(const struct rb_provider *provider, const char *provider_video_id,
                                     struct rb_adapter_request *ret_request, struct rb_error *err);

/*
 * Wipe and free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_adapter_request_done(struct rb_adapter_request *request);

/*
 * Read the answer to such a request.
 *
 * Takes:  http_status, above 0; body, borrowed for the call.
 * Gives:  ret_answer; rb_adapter_answer_done it.
 * Fails:  PROVIDER_BUSY for 408, 425, 429 and 5xx; PROVIDER_DENIED for 401 and 403; PROVIDER_LACKS for 404 and 410, the
 *         provider does not have the video; PROVIDER_ANSWER for everything that cannot be understood. The message holds
 *         nothing of the body but the names of members and a short status word.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_adapter_parse(const struct rb_provider *provider, const char *provider_video_id, long http_status,
                                   const char *body, size_t bytes, struct rb_adapter_answer *ret_answer,
                                   struct rb_error *err);

/*
 * Read such an object when it is there already, as in the body of a webhook.
 *
 * Takes:  object, borrowed for the call.
 * Gives:  as rb_adapter_parse.
 * Fails:  PROVIDER_ANSWER.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_adapter_read(const struct rb_provider *provider, const char *provider_video_id, json_t *object,
                                  struct rb_adapter_answer *ret_answer, struct rb_error *err);

/*
 * Can providers of this kind have variants of a video?
 *
 * Loop:   pure, any thread.
 */
bool rb_adapter_has_variants(const struct rb_provider *provider);

/*
 * Where a variant of a video can be fetched, with the provider's key.
 *
 * Takes:  provider_video_id, borrowed for the call.
 * Gives:  owned by the caller; NULL when this kind of API has no such thing, or the id is none that it can have given.
 * Loop:   pure, any thread.
 */
char *rb_adapter_variant_url(const struct rb_provider *provider, const char *provider_video_id,
                             enum rb_variant variant);

/*
 * A variant as options, keys and APIs spell it: thumbnail, spritesheet.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_variant_name(enum rb_variant variant);

/*
 * Free what is in it; fine for an empty one.
 *
 * Loop:   pure, any thread.
 */
void rb_adapter_answer_done(struct rb_adapter_answer *answer);

/*
 * A status as events spell it: queued, in_progress, completed, failed, expired.
 *
 * Gives:  static text.
 * Loop:   pure, any thread.
 */
const char *rb_adapter_status_name(enum rb_adapter_status status);

/*
 * Nothing changes after this: completed, failed or expired.
 *
 * Loop:   pure, any thread.
 */
static inline bool rb_adapter_is_final(enum rb_adapter_status status)
{
    return status >= RB_ADAPTER_COMPLETED;
}

#define RB_AUTO_ADAPTER_REQUEST __attribute__((cleanup(rb_adapter_request_done))) struct rb_adapter_request
#define RB_AUTO_ADAPTER_ANSWER  __attribute__((cleanup(rb_adapter_answer_done))) struct rb_adapter_answer
