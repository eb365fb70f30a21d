/*
 * resolve.h — asks a provider's API what its webhook did not say: where the bytes are, or why there are none.
 *
 * Way:  receive -> verify -> notice -> lookup -> [resolve] -> publish
 */
#pragma once

#include "common/adapter.h"
#include "common/http.h"
#include "producer/notice.h"

struct rb_resolve;

/*
 * Called once with what the provider says.
 *
 * Takes:  answer, borrowed for the call, may be changed; NULL with an error; err, NULL with an answer. PROVIDER_AWAY when
 *         it did not answer in time, and what rb_adapter_parse fails with.
 */
typedef void (*rb_resolve_fn)(struct rb_adapter_answer *answer, const struct rb_error *err, void *arg);

/*
 * Make one.
 *
 * Takes:  timeout_ms, for one answer: somebody waits for it.
 * Gives:  owned by the caller; rb_resolve_free it.
 * Loop:   loop thread.
 */
struct rb_resolve *rb_resolve_new(struct rb_loop *loop, int64_t timeout_ms);

/*
 * Free it. Questions that are out are answered with PROVIDER_AWAY before this returns. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_resolve_free(struct rb_resolve *resolve);

/*
 * Is there something in a notice that only the API can tell?
 *
 * Takes:  provider, NULL for a sender that is none.
 * Loop:   pure, any thread.
 */
bool rb_resolve_needed(const struct rb_provider *provider, const struct rb_notice *notice);

/*
 * Ask.
 *
 * Takes:  provider, with an API, borrowed until fn is called; provider_video_id, borrowed for the call.
 * Fails:  not itself: fn is called at the end of the turn when the question cannot be asked.
 * Loop:   loop thread; fn never comes before this returns, and always comes.
 */
void rb_resolve_ask(struct rb_resolve *resolve, const struct rb_provider *provider, const char *provider_video_id,
                    rb_resolve_fn fn, void *arg);

/*
 * Put together what the webhook and the API have said. When the API does not answer, or says that the video is not
 * finished yet, the webhook is believed as far as it goes: of some kinds of API the URL is known all the same.
 *
 * Takes:  answer, NULL when there is none; what is taken from it is gone there.
 * Fails:  PROVIDER_AWAY when the video is completed and nobody knows where it is.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_resolve_merge(const struct rb_provider *provider, struct rb_adapter_answer *answer,
                                   struct rb_notice *notice, struct rb_error *err);
