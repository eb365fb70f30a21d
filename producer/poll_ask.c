/*
 * poll_ask.c — one question about one video.
 *
 * Way:  poll_sources -> poll_lease -> [poll_ask] -> adapter -> poll_plan -> publish
 */
#include "producer/poll_ask.h"

#include <inttypes.h>

#include "common/adapter_send.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "producer/metrics_table.h"

#define ASK_MAGIC 0x41534b51u

/* In the order of POLL_METRICS. */
enum rb_poll_result {
    RESULT_PENDING,
    RESULT_COMPLETED,
    RESULT_FAILED,
    RESULT_EXPIRED,
    RESULT_BUSY,
    RESULT_AWAY,
    RESULT_DENIED,
    RESULT_LACKS,
    RESULT_ODD,
    RESULT_COUNT
};

_Static_assert(METRIC_POLL_REPLICATE_PENDING - METRIC_POLL_OPENAI_PENDING == RESULT_COUNT &&
                   METRIC_POLL_GENERIC_PENDING - METRIC_POLL_OPENAI_PENDING == 2 * RESULT_COUNT,
               "the rows of POLL_METRICS are counted by kind and result");
_Static_assert(METRIC_RESULT_EXPIRED - METRIC_RESULT_QUEUED == RB_ADAPTER_EXPIRED - RB_ADAPTER_QUEUED,
               "the rows of published results are counted by status");

struct rb_poll_ask {
    uint32_t magic;
    struct rb_poll_env *env;            /* borrowed */
    const struct rb_provider *provider; /* borrowed */
    struct rb_poll_listener listener;
    struct rb_poll_row row;
    int64_t begun_ms;
    int64_t lease_until_ms;
    int64_t answered_unix_ms;
    int64_t closed_ms;          /* the provider is not to be asked for so long */
    struct rb_request *request; /* NULL once it has been answered */
    struct rb_adapter_answer answer;
    enum rb_missing missing;
    bool given_up; /* the answer is ours, not the provider's */
    struct rb_trace trace;
    struct rb_log_about about;
    struct rb_poll_ask *next, *previous;
};

static void ask_free(void *arg)
{
    struct rb_poll_ask *ask = RB_CAST(rb_poll_ask, arg, ASK_MAGIC);

    rb_request_free(ask->request);
    rb_poll_row_done(&ask->row);
    rb_adapter_answer_done(&ask->answer);
    ask->magic = 0;
    free(ask);
}

static void ask_end(struct rb_poll_ask *ask)
{
    struct rb_poll_env *env = ask->env;

    if (ask->previous != NULL)
        ask->previous->next = ask->next;
    else
        env->first = ask->next;
    if (ask->next != NULL)
        ask->next->previous = ask->previous;
    env->count--;
    rb_metrics_add(env->metrics, METRIC_POLLS_IN_FLIGHT, -1);
    ask->listener.on_end(ask->listener.arg);
    rb_loop_reap(env->loop, ask_free, ask);
}

/* What every line about this question says; what is published has a trace. */
static void set_about(struct rb_poll_ask *ask)
{
    bool traced = ask->trace.trace_id[0] != '\0';

    snprintf(ask->about.text, sizeof(ask->about.text), "%s%s%svideo=%s provider=%s", traced ? "trace=" : "",
             ask->trace.trace_id, traced ? " " : "", ask->row.video_id, ask->provider->name);
}

/* The answer in words for people, as far as they are text: half a character would spoil the whole statement. */
static char *said_of(const struct rb_adapter_answer *answer)
{
    RB_AUTO_JSON *message = answer->error_message != NULL ? json_string(answer->error_message) : NULL;
    const char *status =
        answer->status == RB_ADAPTER_IN_PROGRESS ? "in progress" : rb_adapter_status_name(answer->status);

    if (message != NULL)
        return rb_xprintf("%s: %s", status, json_string_value(message));
    if (answer->progress != RB_NO_LONG && !rb_adapter_is_final(answer->status))
        return rb_xprintf("%s, %" PRId64 " %%", status, answer->progress);
    return rb_xstrdup(status);
}

/* Give the video back, with what was published about it; delivery is NULL when nothing was. */
static void ask_settle(struct rb_poll_ask *ask, const struct rb_delivery *delivery)
{
    bool published = delivery != NULL;
    bool announced = published && rb_adapter_is_final(ask->answer.status);
    RB_AUTO_TEXT *said = published ? said_of(&ask->answer) : NULL;
    int64_t next_ms = ask->closed_ms > 0 ? ask->closed_ms : RB_NO_LONG;

    if (announced || ask->row.announced > 0)
        next_ms = rb_poll_plan_rest_ms(&ask->env->policy, ask->row.announced, rb_random());

    const struct rb_poll_settlement settlement = {
        .video_id = ask->row.video_id,
        .lease = ask->row.lease,
        .status = published ? rb_adapter_status_name(ask->answer.status) : NULL,
        .progress = published ? ask->answer.progress : RB_NO_LONG,
        .missing = ask->missing,
        .said = said,
        .place = published ? *delivery : (struct rb_delivery){0},
        .announced = announced,
        .next_ms = next_ms,
    };

    rb_poll_lease_settle(ask->env->lease, &settlement);
    ask_end(ask);
}

/* From the question to the record. Only news has a trace. */
static void trace_news(const struct rb_poll_ask *ask, const struct rb_error *err)
{
    const struct rb_span span = {
        .trace = &ask->trace,
        .id = ask->trace.span_id,
        .parent_id = "",
        .name = "poll",
        .kind = RB_SPAN_PRODUCER,
        .from = rb_clock_unix_of(ask->begun_ms),
        .to = rb_clock_unix_ms(),
        .error = err,
        .facts = {{"reelbus.video_id", ask->row.video_id, 0},
                  {"reelbus.provider", ask->provider->name, 0},
                  {"reelbus.status", rb_adapter_status_name(ask->answer.status), 0}},
    };

    rb_tracer_add(ask->env->tracer, &span);
}

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct rb_poll_ask *ask = RB_CAST(rb_poll_ask, arg, ASK_MAGIC);
    const struct rb_adapter_answer *answer = &ask->answer;

    trace_news(ask, err);
    if (err != NULL) {
        rb_log_error(&ask->about, RB_EV_POLL_UNPUBLISHED, err, "");
        ask_settle(ask, NULL);
        return;
    }
    RB_FAIL_HERE(poll_acknowledged);
    rb_metrics_add(ask->env->metrics, METRIC_RESULT_QUEUED + (size_t)answer->status, 1);
    if (delivery->partition != RB_SPOOLED)
        rb_metrics_observe(ask->env->metrics, METRIC_STAGE_PUBLISHED,
                           (double)RB_MAX(rb_clock_unix_ms() - ask->answered_unix_ms, 0) / 1000, &ask->trace);
    if (rb_adapter_is_final(answer->status) && !ask->given_up && ask->row.announced == 0)
        rb_heard_poll(ask->env->heard, ask->row.video_id, answer->completed_at_ms);
    rb_log(&ask->about, RB_EV_POLL_PUBLISHED,
           "status=%s progress=%" PRId64 " polls=%" PRId64 " partition=%" PRId32 " offset=%" PRId64,
           rb_adapter_status_name(answer->status), answer->progress == RB_NO_LONG ? -1 : answer->progress,
           ask->row.polls, delivery->partition, delivery->offset);
    ask_settle(ask, delivery);
}

/* The same news has the same id, whoever publishes it, however often: so that subscribers can tell. */
static char *event_id_of(const struct rb_poll_ask *ask, char *ret_id)
{
    RB_AUTO_TEXT *name =
        rb_xprintf("poll %s %s %s %" PRId64 " %s %" PRId64 " %" PRId64, ask->row.video_id, ask->provider->name,
                   ask->row.provider_video_id, ask->row.waiting_since_ms, rb_adapter_status_name(ask->answer.status),
                   ask->answer.progress, ask->row.announced);

    return rb_uuid_of_name(name, ret_id);
}

static void fill_event(const struct rb_poll_ask *ask, struct rb_video_poll_result *event)
{
    const struct rb_adapter_answer *answer = &ask->answer;
    char event_id[RB_UUID_TEXT_BYTES];

    rb_event_init(RB_EVENT_VIDEO_POLL_RESULT, event);
    event->event_id = rb_xstrdup(event_id_of(ask, event_id));
    event->video_id = rb_xstrdup(ask->row.video_id);
    event->user_id = rb_xstrdup(ask->row.user_id);
    event->status = rb_xstrdup(rb_adapter_status_name(answer->status));
    event->progress = answer->progress;
    event->video_url = rb_xstrdup(answer->video_url);
    event->provider = rb_xstrdup(ask->provider->name);
    event->provider_video_id = rb_xstrdup(ask->row.provider_video_id);
    event->error_code = rb_xstrdup(answer->error_code);
    event->error_message = rb_xstrdup(answer->error_message);
    event->expires_at = answer->expires_at_ms;
    event->polled_at = ask->answered_unix_ms;
}

/* Nothing is published after the lease, or so late that Kafka could have it after the lease: another may be at it then. */
static void ask_publish(struct rb_poll_ask *ask)
{
    struct rb_video_poll_result event;
    struct rb_error err = {0};
    int result;

    if (rb_clock_ms() + ask->env->publish_timeout_ms > ask->lease_until_ms) {
        ask_settle(ask, NULL);
        return;
    }
    rb_trace_continue(NULL, &ask->trace);
    rb_tracer_decide(ask->env->tracer, &ask->trace);
    set_about(ask);
    fill_event(ask, &event);
    result = rb_publish_poll(ask->env->publish, &event, &ask->trace, on_delivered, ask, &err);
    rb_event_clear(RB_EVENT_VIDEO_POLL_RESULT, &event);
    if (result < 0) {
        rb_log_error(&ask->about, RB_EV_POLL_UNPUBLISHED, &err, "");
        ask_settle(ask, NULL);
    }
}

static void count_result(const struct rb_poll_ask *ask, const struct rb_error *err)
{
    enum rb_poll_result result = RESULT_ODD;

    if (err == NULL)
        result = rb_adapter_is_final(ask->answer.status)
                     ? RESULT_COMPLETED + (ask->answer.status - RB_ADAPTER_COMPLETED)
                     : RESULT_PENDING;
    else if (err->code == RB_E_PROVIDER_BUSY)
        result = RESULT_BUSY;
    else if (err->code == RB_E_PROVIDER_AWAY)
        result = RESULT_AWAY;
    else if (err->code == RB_E_PROVIDER_DENIED)
        result = RESULT_DENIED;
    else if (err->code == RB_E_PROVIDER_LACKS)
        result = RESULT_LACKS;
    rb_metrics_add(ask->env->metrics,
                   METRIC_POLL_OPENAI_PENDING + (ask->provider->api.kind - RB_API_OPENAI) * RESULT_COUNT + result, 1);
}

/* Troubles of the whole provider are told by the one who asks. Of the others the 1st, 2nd, 4th, 8th... is told. */
static void log_odd(struct rb_poll_ask *ask, const struct rb_error *err)
{
    bool of_video =
        err->code == RB_E_PROVIDER_LACKS || err->code == RB_E_PROVIDER_ANSWER || err->code == RB_E_BAD_REQUEST;

    if (of_video && (ask->row.polls & (ask->row.polls - 1)) == 0)
        rb_log_error(&ask->about, RB_EV_POLL_ODD, err, "polls=%" PRId64, ask->row.polls);
}

/* An answer came, or an error instead. */
static void ask_decide(struct rb_poll_ask *ask, const struct rb_error *err)
{
    struct rb_adapter_answer given_up = {0};
    struct rb_poll_policy policy;

    if (err != NULL) {
        log_odd(ask, err);
        ask->missing = err->code == RB_E_PROVIDER_LACKS ? RB_MISSING_YES : RB_MISSING_AS_IS;
    } else {
        ask->missing = RB_MISSING_NO;
    }
    policy = rb_poll_plan_policy(&ask->env->policy, &ask->provider->api);
    switch (rb_poll_plan(&ask->row, &policy, err == NULL ? &ask->answer : NULL, err, &given_up)) {
    case RB_PLAN_QUIET:
        ask_settle(ask, NULL);
        return;
    case RB_PLAN_GIVE_UP:
        rb_adapter_answer_done(&ask->answer);
        ask->answer = given_up;
        ask->given_up = true;
        break;
    case RB_PLAN_NEWS:
    case RB_PLAN_END:
        break;
    }
    ask_publish(ask);
}

static struct rb_adapter_question question_of(const struct rb_poll_ask *ask)
{
    return (struct rb_adapter_question){ask->provider, ask->row.provider_video_id, 0};
}

static void on_answered(long status, const struct rb_buffer *body, const struct rb_error *trouble, void *arg)
{
    struct rb_poll_ask *ask = RB_CAST(rb_poll_ask, arg, ASK_MAGIC);
    const struct rb_adapter_question question = question_of(ask);
    int64_t retry_after_ms = rb_request_retry_after_ms(ask->request);
    struct rb_error err = {0};
    bool failed = rb_adapter_take(&question, status, body, trouble, &ask->answer, &err) < 0;

    rb_request_free(RB_STEAL(ask->request));
    ask->answered_unix_ms = rb_clock_unix_ms();
    if (!failed)
        RB_FAIL_HERE(poll_answered);
    count_result(ask, failed ? &err : NULL);
    ask->closed_ms = ask->listener.on_answer(failed ? &err : NULL, ask->begun_ms, retry_after_ms, ask->listener.arg);
    ask_decide(ask, failed ? &err : NULL);
}

static struct rb_poll_ask *ask_new(struct rb_poll_env *env, const struct rb_provider *provider, struct rb_poll_row *row,
                                   int64_t lease_until_ms, const struct rb_poll_listener *listener)
{
    struct rb_poll_ask *ask = rb_xalloc(sizeof(*ask));

    *ask = (struct rb_poll_ask){
        .magic = ASK_MAGIC,
        .env = env,
        .provider = provider,
        .listener = *listener,
        .row = *row,
        .begun_ms = rb_clock_ms(),
        .lease_until_ms = lease_until_ms,
        .answer = {.progress = RB_NO_LONG, .expires_at_ms = RB_NO_LONG, .completed_at_ms = RB_NO_LONG},
        .next = env->first,
    };
    *row = (struct rb_poll_row){0};
    set_about(ask);
    if (env->first != NULL)
        env->first->previous = ask;
    env->first = ask;
    env->count++;
    rb_metrics_add(env->metrics, METRIC_POLLS_IN_FLIGHT, 1);
    return ask;
}

void rb_poll_ask(struct rb_poll_env *env, const struct rb_provider *provider, struct rb_poll_row *row,
                 int64_t lease_until_ms, const struct rb_poll_listener *listener)
{
    struct rb_poll_ask *ask = ask_new(env, provider, row, lease_until_ms, listener);
    const struct rb_adapter_question question = question_of(ask);
    struct rb_error err = {0};

    if (rb_adapter_send(env->http, &question, on_answered, ask, &ask->request, &err) < 0) {
        ask->answered_unix_ms = rb_clock_unix_ms();
        ask->listener.on_answer(&err, ask->begun_ms, 0, ask->listener.arg);
        ask_decide(ask, &err);
    }
}

void rb_poll_ask_stop_all(struct rb_poll_env *env)
{
    struct rb_poll_ask *next;

    for (struct rb_poll_ask *ask = env->first; ask != NULL; ask = next) {
        next = ask->next;
        if (ask->request == NULL)
            continue; /* Kafka is about to have it */
        rb_request_free(RB_STEAL(ask->request));
        ask->closed_ms = 1; /* due at once, for whoever goes on */
        ask_settle(ask, NULL);
    }
}
