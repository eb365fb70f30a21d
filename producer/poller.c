/*
 * poller.c — asks providers about videos that wait.
 *
 * Way:  [poller] -> poll_sources -> poll_lease -> poll_ask -> adapter -> poll_plan -> publish -> Kafka
 */
#include "producer/poller.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pg_array.h"
#include "producer/poll_sources.h"

#define POLLER_MAGIC 0x504f4c52u
#define LOOK_MAX_MS  1000 /* between two looks for videos that are due */
#define ADOPT_MAX    500  /* rows of one round */

struct rb_poller {
    uint32_t magic;
    struct rb_poll_env env;
    struct rb_poll_sources sources;
    struct rb_timer *timer;
    bool adopts; /* the application's table tells the provider */
    bool adopting;
    bool adopt_failed; /* and that was said */
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

static void on_adopted(int64_t count, const struct rb_error *err, void *arg)
{
    struct rb_poller *poller = RB_CAST(rb_poller, arg, POLLER_MAGIC);

    poller->adopting = false;
    if (err != NULL && err->code == RB_E_DB_AWAY)
        rb_poll_sources_pause(&poller->sources, err);
    else if (err != NULL && !poller->adopt_failed)
        rb_log_error(NULL, RB_EV_POLL_UNADOPTED, err, "");
    else if (count > 0)
        rb_log(NULL, RB_EV_POLL_ADOPTED, "videos=%" PRId64, count);
    poller->adopt_failed = err != NULL;
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
    int64_t look_ms = RB_MIN(RB_MAX(rb_poll_sources_interval_ms(&poller->sources) / 5, 1), LOOK_MAX_MS);
    struct rb_error err = {0};

    rb_timer_start(poller->timer, rb_poll_plan_jitter_ms(look_ms, rb_random()));
    if (rb_poll_sources_check(&poller->sources, &err) < 0) {
        rb_poll_sources_pause(&poller->sources, &err);
        return;
    }
    adopt(poller);
    rb_poll_sources_look(&poller->sources);
}

void rb_poller_reload(struct rb_poller *poller, struct rb_providers *providers)
{
    if (poller == NULL)
        return;
    rb_poll_sources_set(&poller->sources, providers);
    rb_buffer_done(&poller->adopt_providers);
    for (size_t i = 0; i < providers->count; i++)
        if (providers->list[i].api.kind != RB_API_NONE)
            rb_pg_array_add(&poller->adopt_providers, providers->list[i].name);
    rb_pg_array_end(&poller->adopt_providers);
}

/* "a, b" becomes {"a","b"}. */
static void read_statuses(const char *text, struct rb_buffer *ret_array)
{
    while (*(text += strspn(text, ", ")) != '\0') {
        size_t length = strcspn(text, ",");
        RB_AUTO_TEXT *status = rb_xstrndup(text, length);

        rb_pg_array_add(ret_array, status);
        text += length;
    }
    rb_pg_array_end(ret_array);
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
        .adopts = adopts,
        .adopt_age_ms = config->adopt_age_ms,
        .env =
            {
                .loop = loop,
                .http = rb_http_new(loop, 0),
                .publish = config->publish,
                .lease = rb_poll_lease_new(loop, config->pg, config->options, &config->policy,
                                           rb_publish_poll_topic(config->publish)),
                .heard = config->heard,
                .metrics = config->metrics,
                .tracer = config->tracer,
                .policy = config->policy,
                .publish_timeout_ms = config->publish_timeout_ms,
            },
    };
    poller->sources = (struct rb_poll_sources){.env = &poller->env, .pg = config->pg, .paused = true};
    read_statuses(config->adopt_statuses, &poller->adopt_statuses);
    poller->timer = rb_timer_new(loop, on_timer, poller);
    rb_poller_reload(poller, config->providers);
    rb_timer_start(poller->timer, 0);
    *ret_poller = poller;
    return 0;
}

void rb_poller_stop(struct rb_poller *poller)
{
    if (poller == NULL || poller->sources.stopped)
        return;
    poller->sources.stopped = true;
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
    rb_poll_sources_done(&poller->sources);
    rb_timer_free(poller->timer);
    rb_poll_lease_free(poller->env.lease);
    rb_http_free(poller->env.http);
    rb_buffer_done(&poller->adopt_statuses);
    rb_buffer_done(&poller->adopt_providers);
    poller->magic = 0;
    free(poller);
}
