/*
 * job_source.c — what a job fetches, and how it asks the provider for a fresh URL.
 *
 * Way:  consume -> [job] -> plan -> transfer -> record -> emit
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/url_expiry.h"
#include "consumer/job_internal.h"
#include "consumer/metrics_table.h"

/* -- what to fetch ------------------------------------------------------------------------------------------------- */

const struct rb_provider *job_provider(const struct rb_job *job)
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

/* When nobody knows how long the URL lives, what counts is how long it was tried: not how long it had to wait for us. */
static void set_budget(struct rb_job *job)
{
    struct job_source *source = &job->source;
    int64_t learnt = source->expires_at == RB_NO_LONG ? learnt_ms(job) : RB_NO_LONG;
    bool known = source->expires_at != RB_NO_LONG || learnt != RB_NO_LONG;

    source->budget =
        rb_budget_make(&job->env->retry.budget, known ? source->since : RB_MAX(source->since, job->trouble_at),
                       source->expires_at, learnt);
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
    set_budget(job);
}

void job_note_trouble(struct rb_job *job)
{
    if (job->trouble_at != RB_NO_LONG)
        return;
    job->trouble_at = rb_clock_unix_ms();
    set_budget(job);
}

/* From the first trouble on, that is from now on before there is any. */
struct rb_budget job_asking_budget(const struct rb_job *job)
{
    int64_t since =
        job->trouble_at != RB_NO_LONG ? RB_MAX(job->input.received_at, job->trouble_at) : rb_clock_unix_ms();

    return (struct rb_budget){.since = since, .until = since + job->env->retry.renew_for_ms};
}

bool job_may_ask(const struct rb_job *job)
{
    return !job->asking_is_vain && job_provider(job) != NULL && rb_clock_unix_ms() < job_asking_budget(job).until;
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
    if (input->source_url == NULL && !job_may_ask(job)) { /* nobody to ask any more: once more what there was before */
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
        rb_lifetime_died(job->env->lifetimes, key, job->row.video_id, age_ms);
}

bool job_must_ask(const struct rb_job *job)
{
    bool dead = job->source.url == NULL ||
                (job->source.expires_at != RB_NO_LONG && rb_clock_unix_ms() >= job->source.expires_at);

    return dead && !job->asked && job_may_ask(job);
}

/* -- a fresh URL --------------------------------------------------------------------------------------------------- */

enum job_state job_ask_provider(struct rb_job *job)
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
    const struct rb_provider *provider = job_provider(job);

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
