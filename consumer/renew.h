/*
 * renew.h — asks a provider for a fresh URL of one video.
 *
 * Way:  job -> [renew] -> common/adapter
 */
#pragma once

#include "common/adapter.h"
#include "common/http.h"

struct rb_renew;

/*
 * Ask.
 *
 * Takes:  http, for requests to providers alone; providers, of which a reference is kept; provider, one of them, with an
 *         API; provider_video_id, borrowed for the call; on_change, called when rb_renew_poll has an answer.
 * Gives:  owned by the caller; rb_renew_free it.
 * Loop:   loop thread, outside of libcurl callbacks; on_change never comes before this returns.
 */
struct rb_renew *rb_renew_new(struct rb_http *http, struct rb_providers *providers, const struct rb_provider *provider,
                              const char *provider_video_id, rb_loop_fn on_change, void *arg);

/*
 * What came of it?
 *
 * Gives:  DONE with ret_answer, completed and with a URL: taken over by the caller, rb_adapter_answer_done it. Once.
 * Fails:  PROVIDER_BUSY, PROVIDER_AWAY, PROVIDER_DENIED, PROVIDER_ANSWER: later, perhaps, with what the provider asked for
 *         as wait_ms. SOURCE_GONE: the provider has no such video, or no bytes of it any more.
 * Loop:   loop thread.
 */
enum rb_poll rb_renew_poll(struct rb_renew *renew, struct rb_adapter_answer *ret_answer, struct rb_error *err);

/*
 * Stop and free. NULL is fine.
 *
 * Loop:   loop thread, outside of libcurl callbacks.
 */
void rb_renew_free(struct rb_renew *renew);
