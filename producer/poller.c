/*
 * poller.c — asks providers about videos that wait.
 *
 * Way:  [poller] -> poll_lease -> poll_ask -> adapter -> poll_plan -> publish -> Kafka
 */
#include "producer/poller.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "producer/metrics_table.h"
#include "producer/pace.h"

#define POLLER_MAGIC   0x504f4c52u
#define SOURCE_MAGIC   0x504f5352u
#define QUESTION_MAGIC 0x50514553u
#define LOOK_MAX_MS    1000 /* between two looks for videos that are due */
#define LEASE_MAX      64   /* videos of one lease */
#define LEASE_SPARE_MS 2000
#define ADOPT_MAX      500 /* rows of one round */

/* A provider, over all lists that had one of its name. */
struct source {
    uint32_t magic;
    struct rb_poller *poller; /* borrowed */
    char name[RB_PROVIDER_NAME_BYTES];
    const struct rb_provider *provider; /* borrowed from the poller's list; NULL when there is nobody to ask */
    struct rb_pace pace;
    bool leasing; /* a lease is on its way */
    bool more;    /* the last one brought as many videos as it could */
    bool unwell;
    int64_t asked_count; /* of the lease on its way */
    int64_t leased_ms;
    struct source *next;
};

/* One question to a source, and the list that its provider stands in. */
struct question {
    uint32_t magic;
    struct source *source;
    struct rb_providers *providers;
};

struct rb_poller {
    uint32_t magic;
    struct rb_poll_env env;
    struct rb_pg *pg; /* borrowed */
    struct rb_providers *providers;
    struct source *sources; /* owned */
    struct rb_timer *timer;
    bool stopped;
    bool paused;
    bool adopts; /* the application's table tells the provider */
    bool adopting;
    int64_t adopt_at_ms;
    int64_t adopt_age_ms;
    struct rb_buffer adopt_statuses;  /* as an array of SQL */
    struct rb_buffer adopt_providers; /* as an array of SQL */
};

int rb_poller_mode(const char *text, enum rb_poll_mode *ret_mode, struct rb_error *err)
{
    static const char *const names[] = {"auto", "off", "only"};

    for (size_t i = 0; i < RB_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_mode = (enum rb_poll_mode)i;
            return 0;
        }
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0, "poll is '%.20s', expected auto, off or only", text);
}

bool rb_poller_has_work(const struct rb_providers *providers)
{
    for (size_t i = 0; i < providers->count; i++)
        if (providers->list[i].api.kind != RB_API_NONE)
            return true;
    return false;
}

/* A lease lasts for the slowest answer, the slowest Kafka, and a little more. */
static int64_t lease_ms_of(const struct source *source)
{
    return source->provider->api.timeout_ms + source->poller->env.publish_timeout_ms + LEASE_SPARE_MS;
}

/* Said once for each pause. */
static void pause_polling(struct rb_poller *poller, const struct rb_error *err)
{
    if (!poller->paused && !poller->stopped)
        rb_log_error(NULL, RB_EV_POLL_PAUSED, err, "");
    poller->paused = true;
}

static bool can_poll(struct rb_poller *poller, struct rb_error *err)
{
    if (!rb_pg_is_up(poller->pg)) {
        rb_fail(err, RB_E_DB_AWAY, 0, "there is no connection to Postgres");
        return false;
    }
    return rb_publish_check(poller->env.publish, err) == 0 && rb_publish_check_direct(poller->env.publish, err) == 0;
}

static void source_lease(struct source *source);

/* Trouble of the provider itself, not of one video. */
static bool is_unwell(const struct rb_error *err)
{
    return err != NULL &&
           (err->code == RB_E_PROVIDER_BUSY || err->code == RB_E_PROVIDER_AWAY || err->code == RB_E_PROVIDER_DENIED);
}

static void source_is_well(struct source *source)
{
    rb_pace_good(&source->pace);
    if (source->unwell) {
        source->unwell = false;
        rb_metrics_add(source->poller->env.metrics, METRIC_POLL_SLOWED, -1);
        rb_log(NULL, RB_EV_POLL_WELL, "provider=%s", source->name);
    }
}

static void source_is_unwell(struct source *source, const struct rb_error *err, int64_t begun_ms,
                             int64_t retry_after_ms)
{
    int64_t now_ms = rb_clock_ms();

    if (!rb_pace_bad(&source->pace, begun_ms, now_ms, retry_after_ms, rb_random()))
        return;
    if (!source->unwell)
        rb_metrics_add(source->poller->env.metrics, METRIC_POLL_SLOWED, 1);
    source->unwell = true;
    rb_log_error(NULL, RB_EV_POLL_SLOWED, err, "provider=%s retry_ms=%" PRId64, source->name,
                 rb_pace_closed_ms(&source->pace, now_ms));
}

static int64_t on_answer(const struct rb_error *err, int64_t begun_ms, int64_t retry_after_ms, void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);
    struct source *source = question->source;

    if (is_unwell(err))
        source_is_unwell(source, err, begun_ms, retry_after_ms);
    else if (err != NULL && err->code == RB_E_BAD_REQUEST)
        rb_pace_end(&source->pace); /* it was not asked at all */
    else
        source_is_well(source);
    return is_unwell(err) ? rb_pace_closed_ms(&source->pace, rb_clock_ms()) : 0;
}

static void on_end(void *arg)
{
    struct question *question = RB_CAST(question, arg, QUESTION_MAGIC);
    struct source *source = question->source;

    rb_providers_unref(question->providers);
    question->magic = 0;
    free(question);
    if (source->more)
        source_lease(source);
}

static void source_ask(struct source *source, struct rb_poll_row *row, int64_t lease_until_ms)
{
    struct question *question = rb_xalloc(sizeof(*question));
    const struct rb_poll_listener listener = {on_answer, on_end, question};

    *question = (struct question){
        .magic = QUESTION_MAGIC,
        .source = source,
        .providers = rb_providers_ref(source->poller->providers),
    };
    rb_pace_begin(&source->pace);
    rb_poll_ask(&source->poller->env, source->provider, row, lease_until_ms, &listener);
}

/* Leased for nothing: the list of providers has changed, the provider is not to be asked any more, or we stop. */
static void give_back(struct rb_poller *poller, struct rb_poll_row *row, int64_t next_ms)
{
    const struct rb_poll_settlement settlement = {
        .video_id = row->video_id,
        .lease = row->lease,
        .progress = RB_NO_LONG,
        .next_ms = RB_MAX(next_ms, 1),
    };

    rb_poll_lease_settle(poller->env.lease, &settlement);
    rb_poll_row_done(row);
}

static void on_leased(struct rb_poll_row *rows, size_t count, const struct rb_error *err, void *arg)
{
    struct source *source = RB_CAST(source, arg, SOURCE_MAGIC);
    struct rb_poller *poller = source->poller;

    source->leasing = false;
    source->more = (int64_t)count >= source->asked_count;
    if (err != NULL) {
        pause_polling(poller, err);
        return;
    }
    if (poller->paused)
        rb_log(NULL, RB_EV_POLL_RUNS, "providers=%zu", poller->providers->count);
    poller->paused = false;

    /* A question may end at once, and the next lease begin with it: what belongs to this one is kept here. */
    int64_t lease_until_ms = source->provider != NULL ? source->leased_ms + lease_ms_of(source) : 0;

    for (size_t i = 0; i < count; i++) {
        int64_t closed_ms = rb_pace_closed_ms(&source->pace, rb_clock_ms());

        if (poller->stopped || source->provider == NULL || closed_ms > 0)
            give_back(poller, &rows[i], closed_ms);
        else
            source_ask(source, &rows[i], lease_until_ms);
    }
}

/* Take as many videos as may be asked for now. Not one by one when there are many: at least half of the window is free. */
static void source_lease(struct source *source)
{
    struct rb_poller *poller = source->poller;
    int64_t room = RB_MIN(rb_pace_room(&source->pace, rb_clock_ms()), LEASE_MAX);
    struct rb_error err = {0};

    if (poller->stopped || source->leasing || source->provider == NULL || room * 2 < source->pace.window)
        return;
    if (!can_poll(poller, &err)) {
        pause_polling(poller, &err);
        return;
    }
    source->asked_count = room;
    source->leased_ms = rb_clock_ms();
    source->leasing =
        rb_poll_lease_take(poller->env.lease, source->name, room, lease_ms_of(source), on_leased, source, &err) == 0;
    if (!source->leasing)
        pause_polling(poller, &err);
}

static void on_adopted(int64_t count, const struct rb_error *err, void *arg)
{
    struct rb_poller *poller = RB_CAST(rb_poller, arg, POLLER_MAGIC);

    poller->adopting = false;
    if (err != NULL)
        pause_polling(poller, err);
    else if (count > 0)
        rb_log(NULL, RB_EV_POLL_ADOPTED, "videos=%" PRId64, count);
}

static void adopt(struct rb_poller *poller)
{
    const struct rb_poll_adoption adoption = {
        .providers = poller->adopt_providers.bytes,
        .statuses = poller->adopt_statuses.bytes,
        .age_ms = poller->adopt_age_ms,
        .count = ADOPT_MAX,
    };
    int64_t now_ms = rb_clock_ms();
    struct rb_error err = {0};

    if (!poller->adopts || poller->adopting || now_ms < poller->adopt_at_ms)
        return;
    poller->adopt_at_ms = now_ms + rb_poll_plan_jitter_ms(poller->env.policy.interval_ms, rb_random());
    poller->adopting = rb_poll_lease_adopt(poller->env.lease, &adoption, on_adopted, poller, &err) == 0;
}

/* Looking is cheap, so it is done more often than asking: each video is due at a moment of its own. */
static void on_timer(void *arg)
{
    struct rb_poller *poller = RB_CAST(rb_poller, arg, POLLER_MAGIC);
    int64_t look_ms = RB_MIN(RB_MAX(poller->env.policy.interval_ms / 5, 1), LOOK_MAX_MS);
    struct rb_error err = {0};

    rb_timer_start(poller->timer, rb_poll_plan_jitter_ms(look_ms, rb_random()));
    if (!can_poll(poller, &err)) {
        pause_polling(poller, &err);
        return;
    }
    adopt(poller);
    for (struct source *source = poller->sources; source != NULL; source = source->next)
        source_lease(source);
}

static struct source *find_source(struct rb_poller *poller, const char *name)
{
    for (struct source *source = poller->sources; source != NULL; source = source->next)
        if (strcmp(source->name, name) == 0)
            return source;
    return NULL;
}

static void add_source(struct rb_poller *poller, const struct rb_provider *provider)
{
    struct source *source = find_source(poller, provider->name);

    if (source == NULL) {
        source = rb_xalloc(sizeof(*source));
        *source = (struct source){.magic = SOURCE_MAGIC, .poller = poller, .next = poller->sources};
        memcpy(source->name, provider->name, sizeof(source->name));
        rb_pace_init(&source->pace, provider->api.requests_max);
        poller->sources = source;
    }
    source->provider = provider;
    source->pace.window_max = provider->api.requests_max;
    source->pace.window = RB_MIN(source->pace.window, source->pace.window_max);
}

/* Sources of which nobody will hear again. */
static void drop_sources(struct rb_poller *poller, bool all)
{
    struct source **place = &poller->sources;

    while (*place != NULL) {
        struct source *source = *place;

        if (!all && (source->provider != NULL || source->leasing || source->pace.in_flight > 0)) {
            place = &source->next;
            continue;
        }
        if (source->unwell)
            rb_metrics_add(poller->env.metrics, METRIC_POLL_SLOWED, -1);
        *place = source->next;
        source->magic = 0;
        free(source);
    }
}

void rb_poller_reload(struct rb_poller *poller, struct rb_providers *providers)
{
    if (poller == NULL)
        return;
    rb_buffer_done(&poller->adopt_providers);
    for (struct source *source = poller->sources; source != NULL; source = source->next)
        source->provider = NULL;
    for (size_t i = 0; i < providers->count; i++) {
        if (providers->list[i].api.kind == RB_API_NONE)
            continue;
        add_source(poller, &providers->list[i]);
        rb_buffer_print(&poller->adopt_providers, "%s%s", poller->adopt_providers.used == 0 ? "{" : ",",
                        providers->list[i].name);
    }
    rb_buffer_print(&poller->adopt_providers, poller->adopt_providers.used == 0 ? "{}" : "}");
    drop_sources(poller, false);
    rb_providers_ref(providers);
    rb_providers_unref(poller->providers);
    poller->providers = providers;
}

/* "a, b" becomes {"a","b"}. */
static void read_statuses(const char *text, struct rb_buffer *ret_array)
{
    const char *separator = "";

    rb_buffer_print(ret_array, "{");
    while (*(text += strspn(text, ", ")) != '\0') {
        size_t length = strcspn(text, ",");

        rb_buffer_print(ret_array, "%s\"", separator);
        for (size_t i = 0; i < length; i++)
            rb_buffer_print(ret_array, strchr("\"\\", text[i]) != NULL ? "\\%c" : "%c", text[i]);
        rb_buffer_print(ret_array, "\"");
        separator = ",";
        text += length;
    }
    rb_buffer_print(ret_array, "}");
}

int rb_poller_new(struct rb_loop *loop, const struct rb_poller_config *config, struct rb_poller **ret_poller,
                  struct rb_error *err)
{
    struct rb_poller *poller;
    bool adopts = config->options->column_provider[0] != '\0';

    if (adopts != (config->options->column_provider_video_id[0] != '\0'))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "column_provider and column_provider_video_id need each other");
    poller = rb_xalloc(sizeof(*poller));
    *poller = (struct rb_poller){
        .magic = POLLER_MAGIC,
        .pg = config->pg,
        .adopts = adopts,
        .adopt_age_ms = config->adopt_age_ms,
        .paused = true,
        .env =
            {
                .loop = loop,
                .http = rb_http_new(loop, 0),
                .publish = config->publish,
                .lease = rb_poll_lease_new(loop, config->pg, config->options, &config->policy),
                .heard = config->heard,
                .metrics = config->metrics,
                .policy = config->policy,
                .publish_timeout_ms = config->publish_timeout_ms,
            },
    };
    read_statuses(config->adopt_statuses, &poller->adopt_statuses);
    poller->timer = rb_timer_new(loop, on_timer, poller);
    rb_poller_reload(poller, config->providers);
    rb_timer_start(poller->timer, 0);
    *ret_poller = poller;
    return 0;
}

void rb_poller_stop(struct rb_poller *poller)
{
    if (poller == NULL || poller->stopped)
        return;
    poller->stopped = true;
    rb_timer_stop(poller->timer);
    rb_poll_ask_stop_all(&poller->env);
}

size_t rb_poller_pending(const struct rb_poller *poller)
{
    return poller == NULL ? 0 : poller->env.count + rb_poll_lease_pending(poller->env.lease);
}

void rb_poller_free(struct rb_poller *poller)
{
    if (poller == NULL)
        return;
    rb_poller_stop(poller);
    RB_ASSERT(poller->env.count == 0);
    drop_sources(poller, true);
    rb_timer_free(poller->timer);
    rb_poll_lease_free(poller->env.lease);
    rb_http_free(poller->env.http);
    rb_buffer_done(&poller->adopt_statuses);
    rb_buffer_done(&poller->adopt_providers);
    rb_providers_unref(poller->providers);
    poller->magic = 0;
    free(poller);
}
