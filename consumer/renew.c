/*
 * renew.c — asks a provider for a fresh URL of one video.
 *
 * Way:  job -> [renew] -> common/adapter
 */
#include "consumer/renew.h"

#include "common/adapter_send.h"

#define RENEW_MAGIC 0x524e4557u

struct rb_renew {
    uint32_t magic;
    struct rb_providers *providers;
    const struct rb_provider *provider; /* borrowed from providers */
    char *provider_video_id;            /* owned */
    struct rb_request *request;
    enum rb_poll state;
    struct rb_adapter_answer answer;
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static struct rb_adapter_question question_of(const struct rb_renew *renew)
{
    return (struct rb_adapter_question){renew->provider, renew->provider_video_id, 0};
}

/* Does it help? */
static int take_answer(struct rb_renew *renew, long status, const struct rb_buffer *body,
                       const struct rb_error *trouble)
{
    const struct rb_adapter_question question = question_of(renew);
    struct rb_error *err = &renew->error;

    if (rb_adapter_take(&question, status, body, trouble, &renew->answer, err) < 0) {
        if (err->code == RB_E_PROVIDER_LACKS)
            return rb_fail(err, RB_E_SOURCE_GONE, (int)status, "the provider does not have the video any more");
        return -1;
    }
    if (renew->answer.status == RB_ADAPTER_COMPLETED)
        return 0;
    if (rb_adapter_is_final(renew->answer.status))
        return rb_fail(err, RB_E_SOURCE_GONE, 0, "the provider says that the video is '%s' now",
                       rb_adapter_status_name(renew->answer.status));
    return rb_fail(err, RB_E_PROVIDER_ANSWER, 0, "the provider says that the video is '%s' again",
                   rb_adapter_status_name(renew->answer.status));
}

static void on_answer(long status, const struct rb_buffer *body, const struct rb_error *trouble, void *arg)
{
    struct rb_renew *renew = RB_CAST(rb_renew, arg, RENEW_MAGIC);
    int result = take_answer(renew, status, body, trouble);

    renew->error.wait_ms = rb_request_retry_after_ms(renew->request);
    renew->state = result == 0 ? RB_POLL_DONE : RB_POLL_FAILED;
    renew->on_change(renew->arg);
}

struct rb_renew *rb_renew_new(struct rb_http *http, struct rb_providers *providers, const struct rb_provider *provider,
                              const char *provider_video_id, rb_loop_fn on_change, void *arg)
{
    struct rb_renew *renew = rb_xalloc(sizeof(*renew));

    *renew = (struct rb_renew){
        .magic = RENEW_MAGIC,
        .providers = rb_providers_ref(providers),
        .provider = provider,
        .provider_video_id = rb_xstrdup(provider_video_id),
        .state = RB_POLL_WAIT,
        .on_change = on_change,
        .arg = arg,
    };

    const struct rb_adapter_question question = question_of(renew);

    if (rb_adapter_send(http, &question, on_answer, renew, &renew->request, &renew->error) < 0) {
        rb_fail(&renew->error, RB_E_SOURCE_GONE, 0, "the provider cannot be asked for such a video");
        renew->state = RB_POLL_FAILED; /* whoever asks sees it at once */
    }
    return renew;
}

enum rb_poll rb_renew_poll(struct rb_renew *renew, struct rb_adapter_answer *ret_answer, struct rb_error *err)
{
    if (renew->state == RB_POLL_FAILED)
        *err = renew->error;
    if (renew->state == RB_POLL_DONE) {
        *ret_answer = renew->answer;
        renew->answer = (struct rb_adapter_answer){0};
    }
    return renew->state;
}

void rb_renew_free(struct rb_renew *renew)
{
    if (renew == NULL)
        return;
    rb_request_free(renew->request);
    rb_adapter_answer_done(&renew->answer);
    rb_providers_unref(renew->providers);
    free(renew->provider_video_id);
    renew->magic = 0;
    free(renew);
}
