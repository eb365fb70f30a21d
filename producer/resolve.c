/*
 * resolve.c — asks a provider's API what its webhook did not say.
 *
 * Way:  receive -> verify -> notice -> lookup -> [resolve] -> publish
 */
#include "producer/resolve.h"

#include "common/adapter_send.h"

#define QUESTION_MAGIC   0x51554553u
#define HOST_CONNECTIONS 32

struct question {
    uint32_t magic;
    struct rb_resolve *resolve;         /* borrowed */
    struct rb_request *request;         /* NULL when it could not be made */
    const struct rb_provider *provider; /* borrowed until fn is called */
    char *provider_video_id;
    struct rb_task refused; /* tells an error of ours from the loop */
    struct rb_error error;
    rb_resolve_fn fn;
    void *arg; /* borrowed */
    struct question *next;
    struct question **link; /* what points at this one */
};

struct rb_resolve {
    struct rb_loop *loop; /* borrowed */
    struct rb_http *http;
    int64_t timeout_ms;
    struct question *questions; /* owned */
};

struct rb_resolve *rb_resolve_new(struct rb_loop *loop, int64_t timeout_ms)
{
    struct rb_resolve *resolve = rb_xalloc(sizeof(*resolve));

    *resolve = (struct rb_resolve){.loop = loop, .http = rb_http_new(loop, HOST_CONNECTIONS), .timeout_ms = timeout_ms};
    return resolve;
}

static void question_free(void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);

    *question->link = question->next;
    if (question->next != NULL)
        question->next->link = question->link;
    rb_request_free(question->request);
    rb_task_done(&question->refused);
    free(question->provider_video_id);
    question->magic = 0;
    free(question);
}

static void question_end(struct question *question, struct rb_adapter_answer *answer, const struct rb_error *err)
{
    rb_resolve_fn fn = question->fn;
    void *arg = question->arg;
    struct rb_error error = err != NULL ? *err : (struct rb_error){0};

    question_free(question);
    fn(answer, err != NULL ? &error : NULL, arg);
}

void rb_resolve_free(struct rb_resolve *resolve)
{
    if (resolve == NULL)
        return;
    struct rb_error err = {0};

    rb_fail(&err, RB_E_PROVIDER_AWAY, 0, "the program stops");
    while (resolve->questions != NULL)
        question_end(resolve->questions, NULL, &err);
    rb_http_free(resolve->http);
    free(resolve);
}

bool rb_resolve_needed(const struct rb_provider *provider, const struct rb_notice *notice)
{
    if (provider == NULL || provider->api.kind == RB_API_NONE || notice->provider_video_id == NULL)
        return false;
    if (notice->status == RB_NOTICE_COMPLETED)
        return notice->video_url == NULL;
    return notice->error_code == NULL && notice->error_message == NULL;
}

static struct rb_adapter_question asked(const struct question *question)
{
    return (struct rb_adapter_question){question->provider, question->provider_video_id, question->resolve->timeout_ms};
}

static void on_answer(long status, const struct rb_buffer *body, const struct rb_error *err, void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);
    const struct rb_adapter_question what = asked(question);
    RB_AUTO_ADAPTER_ANSWER answer = {0};
    struct rb_error trouble = {0};
    bool good = rb_adapter_take(&what, status, body, err, &answer, &trouble) == 0;

    question_end(question, good ? &answer : NULL, good ? NULL : &trouble);
}

static void on_refused(void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);

    question_end(question, NULL, &question->error);
}

static struct question *question_new(struct rb_resolve *resolve, const struct rb_provider *provider,
                                     const char *provider_video_id, rb_resolve_fn fn, void *arg)
{
    struct question *question = rb_xalloc(sizeof(*question));

    *question = (struct question){
        .magic = QUESTION_MAGIC,
        .resolve = resolve,
        .provider = provider,
        .provider_video_id = rb_xstrdup(provider_video_id),
        .fn = fn,
        .arg = arg,
        .next = resolve->questions,
        .link = &resolve->questions,
    };
    if (question->next != NULL)
        question->next->link = &question->next;
    resolve->questions = question;
    rb_task_init(&question->refused, resolve->loop, on_refused, question);
    return question;
}

void rb_resolve_ask(struct rb_resolve *resolve, const struct rb_provider *provider, const char *provider_video_id,
                    rb_resolve_fn fn, void *arg)
{
    struct question *question = question_new(resolve, provider, provider_video_id, fn, arg);
    const struct rb_adapter_question what = asked(question);

    if (rb_adapter_send(resolve->http, &what, on_answer, question, &question->request, &question->error) < 0)
        rb_task_queue(&question->refused);
}

static void take_answer(struct rb_adapter_answer *answer, struct rb_notice *notice)
{
    notice->status = answer->status == RB_ADAPTER_COMPLETED ? RB_NOTICE_COMPLETED : RB_NOTICE_FAILED;
    free(notice->video_url);
    notice->video_url = RB_STEAL(answer->video_url);
    free(notice->error_code);
    notice->error_code = RB_STEAL(answer->error_code);
    free(notice->error_message);
    notice->error_message = RB_STEAL(answer->error_message);
    if (notice->error_code == NULL && answer->status == RB_ADAPTER_EXPIRED)
        notice->error_code = rb_xstrdup("expired");
    if (answer->expires_at_ms != RB_NO_LONG)
        notice->expires_at = answer->expires_at_ms;
}

int rb_resolve_merge(const struct rb_provider *provider, struct rb_adapter_answer *answer, struct rb_notice *notice,
                     struct rb_error *err)
{
    RB_AUTO_ADAPTER_ANSWER known = {0};
    RB_AUTO_JSON *completed = json_pack("{s:s}", "status", "completed");
    struct rb_error trouble = {0};

    if (answer != NULL && rb_adapter_is_final(answer->status))
        take_answer(answer, notice);
    if (notice->status == RB_NOTICE_FAILED || notice->video_url != NULL)
        return 0;
    if (provider != NULL && notice->provider_video_id != NULL &&
        rb_adapter_read(provider, notice->provider_video_id, completed, &known, &trouble) == 0 &&
        known.status == RB_ADAPTER_COMPLETED) {
        notice->video_url = RB_STEAL(known.video_url);
        return 0;
    }
    return rb_fail(err, RB_E_PROVIDER_AWAY, 0, "the video is completed, but neither the webhook nor an API says where");
}
