/*
 * adapter_send.h — asks a provider's API about one video.
 *
 * Way:  common
 */
#pragma once

#include "common/adapter.h"
#include "common/request.h"

/* Who is asked about what. All borrowed: for the call by rb_adapter_send, and again by rb_adapter_take. */
struct rb_adapter_question {
    const struct rb_provider *provider;
    const char *provider_video_id;
    int64_t timeout_ms; /* if that is less than the provider is given; 0: it is not */
};

/*
 * Ask.
 *
 * Takes:  on_done, called with arg as rb_request_send says.
 * Gives:  ret_request, owned by the caller; rb_request_free it.
 * Fails:  as rb_adapter_request: nobody was asked then.
 * Loop:   loop thread, outside of libcurl callbacks.
 */
RB_MUST_CHECK int rb_adapter_send(struct rb_http *http, const struct rb_adapter_question *question,
                                  rb_request_done_fn on_done, void *arg, struct rb_request **ret_request,
                                  struct rb_error *err);

/*
 * Read what on_done was called with.
 *
 * Takes:  trouble, its err.
 * Gives:  ret_answer; rb_adapter_answer_done it.
 * Fails:  PROVIDER_AWAY without an answer; else as rb_adapter_parse.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_adapter_take(const struct rb_adapter_question *question, long status, const struct rb_buffer *body,
                                  const struct rb_error *trouble, struct rb_adapter_answer *ret_answer,
                                  struct rb_error *err);
