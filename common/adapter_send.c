/*
 * adapter_send.c — asks a provider's API about one video.
 *
 * Way:  common
 */
#include "common/adapter_send.h"

int rb_adapter_send(struct rb_http *http, const struct rb_adapter_question *question, rb_request_done_fn on_done,
                    void *arg, struct rb_request **ret_request, struct rb_error *err)
{
    int64_t given_ms = question->provider->api.timeout_ms;
    RB_AUTO_ADAPTER_REQUEST request = {0};

    RB_TRY(rb_adapter_request(question->provider, question->provider_video_id, &request, err));

    const struct rb_request_spec spec = {
        .method = request.method,
        .url = request.url,
        .headers = request.headers,
        .timeout_ms = question->timeout_ms > 0 ? RB_MIN(question->timeout_ms, given_ms) : given_ms,
        .max_answer_bytes = RB_ADAPTER_ANSWER_MAX_BYTES,
    };

    *ret_request = rb_request_send(http, &spec, on_done, arg);
    return 0;
}

int rb_adapter_take(const struct rb_adapter_question *question, long status, const struct rb_buffer *body,
                    const struct rb_error *trouble, struct rb_adapter_answer *ret_answer, struct rb_error *err)
{
    if (trouble != NULL && trouble->detail == CURLE_WRITE_ERROR) /* as libcurl says that we did not want more of it */
        return rb_fail(err, RB_E_PROVIDER_ANSWER, trouble->detail, "the provider's answer is too large: %.160s",
                       trouble->message);
    if (trouble != NULL)
        return rb_fail(err, RB_E_PROVIDER_AWAY, trouble->detail, "the provider's API does not answer: %.160s",
                       trouble->message);
    return rb_adapter_parse(question->provider, question->provider_video_id, status,
                            body->bytes != NULL ? body->bytes : "", body->used, ret_answer, err);
}
