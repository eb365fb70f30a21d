/*
 * job_retry.c — what a job does when a step has failed: rest, ask for a fresh URL, put the video off, wait, or give up.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/url_expiry.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

#define NOTE_EVERY_MS 1000

/* -- what to fetch ------------------------------------------------------------------------------------------------- */

static const struct rb_provider *provider_of(const struct rb_job *job)
{
    const struct rb_providers *providers = job->env->transfer->providers;
    const struct rb_provider *provider =
        providers != NULL && job->row.provider != NULL ? rb_providers_find(providers, job->row.provider) : NULL;

    return provider != NULL && provider->api.kind != RB_API_NONE && rb_provider_id_valid(job->row.provider_video_id)
               ? provider
               : NULL;
}

/* Whose URLs live equally long: a provider's, or else a host's. Only to be asked for a URL that was parsed. */
static const char *lifetime_key(const struct rb_job *job, const struct rb_url *url)
{
    return job->row.provider != NULL ? job->row.provider : url->host;
}

static void learn_what_was_said(struct rb_job *job)
{
    const struct job_source *source = &job->source;

    if (job->row.provider != NULL && source->expires_at != RB_NO_LONG)
        rb_lifetime_said(job->env->lifetimes, job->row.provider, source->expires_at - source->since);
}

static int64_t learnt_ms(struct rb_job *job)
{
    RB_AUTO_URL url = {0};
    struct rb_error ignored = {0};

    if (job->source.url == NULL || rb_url_parse(job->source.url, &url, &ignored) < 0)
        return RB_NO_LONG;
    return rb_lifetime_of(job->env->lifetimes, lifetime_key(job, &url));
}

static void set_source(struct rb_job *job, const char *url, int64_t since, int64_t expires_at)
{
    struct job_source *source = &job->source;
    char *copy = rb_xstrdup(url);

    free(source->url);
    source->url = copy;
    source->since = since;
    source->expires_at = expires_at;
    learn_what_was_said(job);
    source->budget = rb_budget_make(&job->env->retry.budget, since, expires_at,
                                    expires_at == RB_NO_LONG ? learnt_ms(job) : RB_NO_LONG);
}

static struct rb_budget asking_budget(const struct rb_job *job)
{
    return (struct rb_budget){
        .since = job->input.received_at,
        .until = job->input.received_at + job->env->retry.renew_for_ms,
    };
}

static bool may_ask(const struct rb_job *job)
{
    return !job->asking_is_vain && provider_of(job) != NULL && rb_clock_unix_ms() < asking_budget(job).until;
}

void job_pick_source(struct rb_job *job)
{
    const struct rb_input *input = &job->input;

    if (job->source.fresh)
        return; /* the row knows nothing of it */
    if (input->event != RB_EVENT_VIDEO_STORE_RETRY) {
        set_source(job, job->row.source_url, job->row.received_at, job->row.expires_at);
        return;
    }
    if (input->source_url == NULL && !may_ask(job)) { /* nobody to ask any more: once more what there was before */
        set_source(job, job->row.source_url, input->received_at, job->row.expires_at);
        return;
    }
    set_source(job, input->source_url, input->url_since != RB_NO_LONG ? input->url_since : input->received_at,
               input->expires_at);
    job->source.fresh = input->url_since != RB_NO_LONG;
}

void job_learn(struct rb_job *job, const struct rb_error *err)
{
    const char *key = lifetime_key(job, &job->plan->url);
    int64_t age_ms = rb_clock_unix_ms() - job->source.since;

    if (job->source.expires_at != RB_NO_LONG)
        return;
    if (err == NULL)
        rb_lifetime_lived(job->env->lifetimes, key, age_ms);
    else if (err->code == RB_E_SOURCE_DENIED || err->code == RB_E_SOURCE_GONE)
        rb_lifetime_died(job->env->lifetimes, key, age_ms);
}

bool job_must_ask(const struct rb_job *job)
{
    bool dead = job->source.url == NULL ||
                (job->source.expires_at != RB_NO_LONG && rb_clock_unix_ms() >= job->source.expires_at);

    return dead && !job->asked && may_ask(job);
}

/* -- a fresh URL --------------------------------------------------------------------------------------------------- */

static enum job_state ask_provider(struct rb_job *job)
{
    job->cause = job->error;
    job_drop_work(job);
    rb_job_poke(job);
    return JOB_RENEWING;
}

/* The provider has nothing better: what led to the question counts, or the old URL is tried all the same. */
static enum job_state asked_in_vain(struct rb_job *job)
{
    rb_log_error(&job->about, RB_EV_JOB_UNRENEWED, &job->error, "provider=%s", job->row.provider);
    job->asking_is_vain = true;
    if (job->cause.code == RB_E_NONE && job->source.url != NULL)
        return JOB_PLANNING;
    if (job->cause.code != RB_E_NONE)
        job->error = job->cause;
    return job_after_error(job);
}

static enum job_state take_fresh_url(struct rb_job *job, const struct rb_adapter_answer *answer)
{
    char source[RB_URL_SAFE_BYTES];

    if (job->source.url != NULL && strcmp(job->source.url, answer->video_url) == 0) {
        rb_fail(&job->error, RB_E_SOURCE_GONE, 0, "the provider gives the same URL again");
        return asked_in_vain(job);
    }
    rb_metrics_add(job->env->metrics, METRIC_FRESH, 1);
    rb_log(&job->about, RB_EV_JOB_RENEWED, "provider=%s source=%s", job->row.provider,
           rb_url_safe(answer->video_url, source));
    set_source(job, answer->video_url, rb_clock_unix_ms(),
               answer->expires_at_ms != RB_NO_LONG ? answer->expires_at_ms : rb_url_expiry(answer->video_url));
    job->source.fresh = true;
    return JOB_PLANNING;
}

static bool enter_asking(struct rb_job *job)
{
    if (job->asking.state == RB_SLOT_OUT) {
        job->asking.user = "";
        job->asking.host = job->row.provider;
        job->asking.rank = job->source.budget.until;
        job->asking.on_turn = job_wake;
        job->asking.arg = job;
        rb_slots_enter(job->env->asks, &job->asking);
    }
    return job->asking.state == RB_SLOT_IN;
}

/* The list of providers may have changed while we stood in line. */
static int start_asking(struct rb_job *job)
{
    const struct rb_provider *provider = provider_of(job);

    if (provider == NULL)
        return rb_fail(&job->error, RB_E_SOURCE_GONE, 0, "the provider cannot be asked any more");
    job->asked = true;
    job->renewals++;
    rb_metrics_add(job->env->metrics, METRIC_ASKS, 1);
    job->renew = rb_renew_new(job->env->ask_http, job->env->transfer->providers, provider, job->row.provider_video_id,
                              job_wake, job);
    return 0;
}

enum job_state job_step_RENEWING(struct rb_job *job)
{
    RB_AUTO_ADAPTER_ANSWER answer = {0};

    if (!enter_asking(job))
        return JOB_RENEWING;
    if (job->renew == NULL && start_asking(job) < 0)
        return asked_in_vain(job);
    switch (rb_renew_poll(job->renew, &answer, &job->error)) {
    case RB_POLL_WAIT:
        return JOB_RENEWING;
    case RB_POLL_FAILED:
        if (job->error.code == RB_E_SOURCE_GONE)
            return asked_in_vain(job);
        rb_log_error(&job->about, RB_EV_JOB_UNRENEWED, &job->error, "provider=%s", job->row.provider);
        return job_after_error(job);
    case RB_POLL_DONE:
        return take_fresh_url(job, &answer);
    }
    RB_BUG("unknown poll answer");
}

/* -- after an error ------------------------------------------------------------------------------------------------ */

/* Those who look at the video are told when the next try begins; not more often than somebody can read. */
static void job_note_rest(struct rb_job *job, int64_t pause_ms)
{
    const struct rb_record_failure failure = {
        .class = rb_outcome_class(job->error.code),
        .code = rb_code_name(job->error.code),
        .message = job->error.message,
    };
    int64_t now_ms = rb_clock_ms();

    if (job->state != JOB_TRANSFERRING && job->state != JOB_RENEWING)
        return;
    if (job->rest_noted_ms != 0 && now_ms - job->rest_noted_ms < NOTE_EVERY_MS)
        return;
    job->rest_noted_ms = now_ms;
    rb_record_resting(job->env->record, &job->row, &job->tries, rb_clock_unix_ms() + pause_ms, &failure);
}

/* Where a rest leads to. The store's trouble leaves claim and plan as they are, and what the row says about it. */
static enum job_state after_rest(const struct rb_job *job)
{
    if (job->error.code == RB_E_SUPERSEDED || job->state == JOB_RENEWING)
        return JOB_PLANNING;
    if (job->state == JOB_TRANSFERRING)
        return rb_circuit_threshold(job->error.code) > 0 ? JOB_QUEUED : JOB_PLANNING;
    return job->state;
}

static enum job_state job_rest(struct rb_job *job, bool outage, int64_t pause_ms)
{
    rb_metrics_add(job->env->metrics, outage ? METRIC_WAITS : METRIC_RETRIES, 1);
    rb_log_error(&job->about, outage ? RB_EV_JOB_WAITS : RB_EV_JOB_RESTS, &job->error,
                 "state=%s try=%" PRId64 " retry_ms=%" PRId64, job_state_text(job->state), job->tries.tries, pause_ms);
    job->rest_to = after_rest(job);
    job_note_rest(job, pause_ms);
    rb_timer_start(job->timer, pause_ms);
    if (outage && job->env->on_outage != NULL && job->error.code != RB_E_SUPERSEDED)
        job->env->on_outage(job->env->outage_arg);
    return JOB_RESTING;
}

static enum job_state job_put_off(struct rb_job *job, int64_t pause_ms, bool ask_first)
{
    RB_ASSERT(job->claimed && (job->state == JOB_TRANSFERRING || job->state == JOB_RENEWING));
    job->outcome = OUTCOME_LATER;
    job->reason = job->error;
    job->later = (struct job_later){rb_clock_unix_ms() + pause_ms, pause_ms, ask_first};
    job->rest_noted_ms = 0;
    job_note_rest(job, pause_ms);
    rb_backoff_reset(&job->backoff);
    return JOB_EMITTING;
}

static bool is_of_provider(const struct rb_error *err)
{
    return err->code == RB_E_PROVIDER_BUSY || err->code == RB_E_PROVIDER_AWAY || err->code == RB_E_PROVIDER_DENIED ||
           err->code == RB_E_PROVIDER_ANSWER;
}

/* Pauses for the source grow with the tries of it, over all records; those for our own side with each look at it. */
static struct rb_backoff *backoff_of(struct rb_job *job, struct rb_backoff *space)
{
    if (job->error.class == RB_OUTAGE)
        return &job->backoff;
    *space = (struct rb_backoff){
        .first_ms = job->env->retry.first_ms,
        .max_ms = job->env->retry.max_ms,
        .tries = (unsigned)RB_MIN(RB_MAX(job->tries.tries + job->renewals - 1, 0), 1000),
    };
    return space;
}

enum job_state job_after_error(struct rb_job *job)
{
    const struct rb_budget asking = asking_budget(job);
    struct rb_backoff space, *backoff = backoff_of(job, &space);
    bool of_provider = is_of_provider(&job->error);
    const struct rb_situation situation = {
        .budget = of_provider ? &asking : &job->source.budget,
        .asking = of_provider || !job->claimed || !may_ask(job) ? NULL : &asking,
        .asked = job->asked,
        .now = rb_clock_unix_ms(),
        .tried_at = of_provider ? job->input.received_at : job->tries.last_try_at,
        .bound_ms = rb_backoff_bound_ms(backoff),
        .pause_ms = rb_backoff_next_ms(backoff, rb_random()),
        .in_place_ms = job->env->retry.in_place_ms,
    };
    int64_t pause_ms = 0;
    enum rb_next next = rb_outcome_next(&job->error, &situation, &pause_ms);

    switch (next) {
    case RB_NEXT_IN_PLACE:
    case RB_NEXT_WAIT:
        return job_rest(job, next == RB_NEXT_WAIT, pause_ms);
    case RB_NEXT_LATER:
    case RB_NEXT_ASK_LATER:
        return job_put_off(job, pause_ms, next == RB_NEXT_ASK_LATER || of_provider);
    case RB_NEXT_ASK:
        return ask_provider(job);
    case RB_NEXT_GIVE_UP:
        return job_give_up(job);
    case RB_NEXT_STOP:
        job->env->on_fatal(&job->error, job->env->fatal_arg);
        return JOB_HALTED;
    }
    RB_BUG("unknown next step");
}

/* -- the topic of retries ------------------------------------------------------------------------------------------ */

struct rb_origin job_origin(const struct rb_job *job)
{
    const struct rb_input *input = &job->input;

    return input->origin_topic != NULL
               ? (struct rb_origin){input->origin_topic, input->origin_partition, input->origin_offset}
               : job->message->origin;
}

enum job_state job_step_DELAYED(struct rb_job *job)
{
    if (job->delayed.on_due == NULL) {
        job->delayed.on_due = job_wake;
        job->delayed.arg = job;
        rb_delay_enter(job->env->delay, &job->delayed, job->input.not_before);
    }
    return rb_delay_has(&job->delayed) ? JOB_DELAYED : JOB_LINING_UP;
}

int job_send_later(struct rb_job *job, rb_producer_fn fn, void *arg)
{
    const struct rb_origin origin = job_origin(job);
    const struct job_source *source = &job->source;
    bool fresh = source->fresh && !job->later.ask_first;
    struct rb_video_store_retry event;
    int result;

    rb_event_init(RB_EVENT_VIDEO_STORE_RETRY, &event);
    event.video_id = rb_xstrdup(job->row.video_id);
    event.user_id = rb_xstrdup(job->row.user_id);
    event.status = rb_xstrdup("completed");
    event.video_url = job->later.ask_first ? NULL : rb_xstrdup(source->url);
    event.provider = rb_xstrdup(job->row.provider);
    event.provider_video_id = rb_xstrdup(job->row.provider_video_id);
    event.expires_at = job->later.ask_first ? RB_NO_LONG : source->expires_at;
    event.received_at = job->input.received_at;
    event.tries = job->tries.tries;
    event.first_try_at = job->tries.first_try_at;
    event.not_before = job->later.not_before;
    event.last_code = rb_xstrdup(rb_code_name(job->reason.code));
    event.last_message = rb_xstrdup(job->reason.message);
    event.origin_topic = rb_xstrdup(origin.topic);
    event.origin_partition = origin.partition;
    event.origin_offset = origin.offset;
    event.url_since = fresh ? source->since : RB_NO_LONG;
    event.renewals = job->renewals > 0 ? job->renewals : RB_NO_LONG;
    result = rb_emit_retry(job->env->emit, &event, job->message, fn, arg, &job->error);
    rb_event_clear(RB_EVENT_VIDEO_STORE_RETRY, &event);
    return result;
}
