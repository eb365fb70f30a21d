/*
 * poll_sources.c — the providers that are asked, each at its own pace.
 *
 * Way:  poller -> [poll_sources] -> poll_lease -> poll_ask
 */
#include "producer/poll_sources.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "producer/metrics_table.h"
#include "producer/pace.h"

#define SOURCE_MAGIC   0x504f5352u
#define QUESTION_MAGIC 0x50514553u
#define LEASE_MAX      64 /* videos of one lease */
#define LEASE_SPARE_MS 2000

/* A provider, over all lists that had one of its name. */
struct rb_poll_source {
    uint32_t magic;
    struct rb_poll_sources *sources; /* borrowed */
    char name[RB_PROVIDER_NAME_BYTES];
    const struct rb_provider *provider; /* borrowed from the list of providers; NULL when there is nobody to ask */
    struct rb_pace pace;
    bool leasing; /* a lease is on its way */
    bool more;    /* the last one brought as many videos as it could */
    bool unwell;
    size_t questions;       /* that have not ended: some are answered, and Kafka is about to have them */
    int64_t asked_count;    /* of the lease on its way, as is the next */
    int64_t lease_until_ms; /* nobody else has its videos until then */
    struct rb_poll_source *next;
};

/* One question to a source, and the list that its provider stands in. */
struct question {
    uint32_t magic;
    struct rb_poll_source *source;
    struct rb_providers *providers;
};

/* A lease lasts for the slowest answer, the slowest Kafka, and a little more. */
static int64_t lease_ms_of(const struct rb_poll_source *source)
{
    return source->provider->api.timeout_ms + source->sources->env->publish_timeout_ms + LEASE_SPARE_MS;
}

void rb_poll_sources_pause(struct rb_poll_sources *sources, const struct rb_error *err)
{
    if (!sources->paused && !sources->stopped)
        rb_log_error(NULL, RB_EV_POLL_PAUSED, err, "");
    sources->paused = true;
}

int rb_poll_sources_check(const struct rb_poll_sources *sources, struct rb_error *err)
{
    if (!rb_pg_is_up(sources->pg))
        return rb_fail(err, RB_E_DB_AWAY, 0, "there is no connection to Postgres");
    RB_TRY(rb_publish_check(sources->env->publish, err));
    return rb_publish_check_direct(sources->env->publish, err);
}

static void source_lease(struct rb_poll_source *source);

/* Trouble of the provider itself, not of one video. */
static bool is_unwell(const struct rb_error *err)
{
    return err != NULL &&
           (err->code == RB_E_PROVIDER_BUSY || err->code == RB_E_PROVIDER_AWAY || err->code == RB_E_PROVIDER_DENIED);
}

static void source_is_well(struct rb_poll_source *source, int64_t begun_ms)
{
    if (rb_pace_good(&source->pace, begun_ms) && source->unwell) {
        source->unwell = false;
        rb_metrics_add(source->sources->env->metrics, METRIC_POLL_SLOWED, -1);
        rb_log(NULL, RB_EV_POLL_WELL, "provider=%s", source->name);
    }
}

static void source_is_unwell(struct rb_poll_source *source, const struct rb_error *err, int64_t begun_ms,
                             int64_t retry_after_ms)
{
    int64_t now_ms = rb_clock_ms();

    if (!rb_pace_bad(&source->pace, begun_ms, now_ms, retry_after_ms, rb_random()))
        return;
    if (!source->unwell)
        rb_metrics_add(source->sources->env->metrics, METRIC_POLL_SLOWED, 1);
    source->unwell = true;
    rb_log_error(NULL, RB_EV_POLL_SLOWED, err, "provider=%s retry_ms=%" PRId64, source->name,
                 rb_pace_closed_ms(&source->pace, now_ms));
}

static int64_t on_answer(const struct rb_error *err, int64_t begun_ms, int64_t retry_after_ms, void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);
    struct rb_poll_source *source = question->source;

    if (is_unwell(err))
        source_is_unwell(source, err, begun_ms, retry_after_ms);
    else if (err != NULL && err->code == RB_E_BAD_REQUEST)
        rb_pace_end(&source->pace); /* it was not asked at all */
    else
        source_is_well(source, begun_ms);
    return is_unwell(err) ? rb_pace_closed_ms(&source->pace, rb_clock_ms()) : 0;
}

static void on_end(void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);
    struct rb_poll_source *source = question->source;

    source->questions--;
    rb_providers_unref(question->providers);
    question->magic = 0;
    free(question);
    if (source->more)
        source_lease(source);
}

static void source_ask(struct rb_poll_source *source, struct rb_poll_row *row, int64_t lease_until_ms)
{
    struct question *question = rb_xalloc(sizeof(*question));
    const struct rb_poll_listener listener = {on_answer, on_end, question};

    *question = (struct question){
        .magic = QUESTION_MAGIC,
        .source = source,
        .providers = rb_providers_ref(source->sources->providers),
    };
    source->questions++;
    rb_pace_begin(&source->pace);
    rb_poll_ask(source->sources->env, source->provider, row, lease_until_ms, &listener);
}

/* Leased for nothing: the list of providers has changed, the provider is not to be asked any more, or we stop. */
static void give_back(struct rb_poll_sources *sources, struct rb_poll_row *row, int64_t next_ms)
{
    const struct rb_poll_settlement settlement = {
        .video_id = row->video_id,
        .lease = row->lease,
        .progress = RB_NO_LONG,
        .next_ms = RB_MAX(next_ms, 1),
    };

    rb_poll_lease_settle(sources->env->lease, &settlement);
    rb_poll_row_done(row);
}

static void on_leased(struct rb_poll_row *rows, size_t count, const struct rb_error *err, void *arg)
{
    struct rb_poll_source *source = RB_CAST(rb_poll_source, arg, SOURCE_MAGIC);
    struct rb_poll_sources *sources = source->sources;

    source->leasing = false;
    source->more = (int64_t)count >= source->asked_count;
    if (err != NULL) {
        rb_poll_sources_pause(sources, err);
        return;
    }
    if (sources->paused)
        rb_log(NULL, RB_EV_POLL_RUNS, "providers=%zu", sources->providers->count);
    sources->paused = false;

    /* A question may end at once, and the next lease begin with it: what belongs to this one is kept here. */
    int64_t lease_until_ms = source->lease_until_ms;

    for (size_t i = 0; i < count; i++) {
        int64_t closed_ms = rb_pace_closed_ms(&source->pace, rb_clock_ms());

        if (sources->stopped || source->provider == NULL || closed_ms > 0)
            give_back(sources, &rows[i], closed_ms);
        else
            source_ask(source, &rows[i], lease_until_ms);
    }
}

/* Take as many videos as may be asked for now. Not one by one when there are many: at least half of the window is free. */
static void source_lease(struct rb_poll_source *source)
{
    struct rb_poll_sources *sources = source->sources;
    int64_t room = RB_MIN(rb_pace_room(&source->pace, rb_clock_ms()), LEASE_MAX);
    struct rb_error err = {0};

    if (sources->stopped || source->leasing || source->provider == NULL || room * 2 < source->pace.window)
        return;
    if (rb_poll_sources_check(sources, &err) < 0) {
        rb_poll_sources_pause(sources, &err);
        return;
    }
    source->asked_count = room;
    source->lease_until_ms = rb_clock_ms() + lease_ms_of(source);
    source->leasing = rb_poll_lease_take(sources->env->lease, source->provider, room, lease_ms_of(source), on_leased,
                                         source, &err) == 0;
    if (!source->leasing)
        rb_poll_sources_pause(sources, &err);
}

static struct rb_poll_source *find_source(struct rb_poll_sources *sources, const char *name)
{
    for (struct rb_poll_source *source = sources->first; source != NULL; source = source->next)
        if (strcmp(source->name, name) == 0)
            return source;
    return NULL;
}

static void add_source(struct rb_poll_sources *sources, const struct rb_provider *provider)
{
    struct rb_poll_source *source = find_source(sources, provider->name);

    if (source == NULL) {
        source = rb_xalloc(sizeof(*source));
        *source = (struct rb_poll_source){.magic = SOURCE_MAGIC, .sources = sources, .next = sources->first};
        memcpy(source->name, provider->name, sizeof(source->name));
        rb_pace_init(&source->pace, provider->api.requests_max);
        sources->first = source;
    }
    source->provider = provider;
    source->pace.window_max = provider->api.requests_max;
    source->pace.window = RB_MIN(source->pace.window, source->pace.window_max);
}

/* Sources of which nobody will hear again. */
static void drop_sources(struct rb_poll_sources *sources, bool all)
{
    struct rb_poll_source **place = &sources->first;

    while (*place != NULL) {
        struct rb_poll_source *source = *place;

        if (!all && (source->provider != NULL || source->leasing || source->questions > 0)) {
            place = &source->next;
            continue;
        }
        if (source->unwell)
            rb_metrics_add(sources->env->metrics, METRIC_POLL_SLOWED, -1);
        *place = source->next;
        source->magic = 0;
        free(source);
    }
}

void rb_poll_sources_set(struct rb_poll_sources *sources, struct rb_providers *providers)
{
    for (struct rb_poll_source *source = sources->first; source != NULL; source = source->next)
        source->provider = NULL;
    for (size_t i = 0; i < providers->count; i++)
        if (providers->list[i].api.kind != RB_API_NONE)
            add_source(sources, &providers->list[i]);
    drop_sources(sources, false);
    rb_providers_ref(providers);
    rb_providers_unref(sources->providers);
    sources->providers = providers;
}

int64_t rb_poll_sources_interval_ms(const struct rb_poll_sources *sources)
{
    int64_t shortest_ms = sources->env->policy.interval_ms;

    for (const struct rb_poll_source *source = sources->first; source != NULL; source = source->next)
        if (source->provider != NULL)
            shortest_ms =
                RB_MIN(shortest_ms, rb_poll_plan_policy(&sources->env->policy, &source->provider->api).interval_ms);
    return shortest_ms;
}

void rb_poll_sources_look(struct rb_poll_sources *sources)
{
    for (struct rb_poll_source *source = sources->first; source != NULL; source = source->next)
        source_lease(source);
}

void rb_poll_sources_done(struct rb_poll_sources *sources)
{
    drop_sources(sources, true);
    rb_providers_unref(sources->providers);
    *sources = (struct rb_poll_sources){0};
}
