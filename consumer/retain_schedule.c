/*
 * retain_schedule.c — goes through the rules of retention now and then, one of all workers at a time.
 *
 * Way:  main -> [retain_schedule] -> retain
 */
#include "consumer/retain_schedule.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "consumer/metrics_table.h"

#define SCHEDULE_MAGIC 0x52545348u
#define AT_ONCE        64 /* jobs ask the database, too */
#define LEASE_MS       "60000"
#define RENEW_MS       15000
#define LOOK_MAX_MS    60000
#define LOOK_SOON_MS   500

/* $1 who, $2 how long between two. Whoever begins anew takes another name: so a worker that was stopped loses its lease. */
static const char begin_sql[] =
    "INSERT INTO reelbus.lease AS l (name, holder, until) VALUES ('retention', $1, now() + " LEASE_MS " * interval"
    " '1 millisecond') ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,"
    " begun_at = now(), ended_at = NULL WHERE l.until < now() AND (l.ended_at IS NULL"
    " OR l.begun_at <= now() - $2::bigint * interval '1 millisecond') RETURNING 1";

/* $1 who. */
static const char renew_sql[] = "UPDATE reelbus.lease SET until = now() + " LEASE_MS " * interval '1 millisecond'"
                                " WHERE name = 'retention' AND holder = $1 AND ended_at IS NULL RETURNING 1";
static const char end_sql[] = "UPDATE reelbus.lease SET until = now() - interval '1 microsecond', ended_at = now()"
                              " WHERE name = 'retention' AND holder = $1";

struct rb_retain_schedule {
    uint32_t magic;
    struct rb_retain_schedule_config config;
    struct rb_retain *retain;
    struct rb_timer *timer; /* to look whether it is time, or to renew the lease */
    struct rb_pg_query *query;
    char holder[RB_UUID_TEXT_BYTES];
    bool leads;
    bool failing; /* what failed has been said */
    int64_t begun_ms;
};

static void look_later(struct rb_retain_schedule *schedule)
{
    int64_t pause_ms = RB_MAX(RB_MIN(schedule->config.every_ms / 4, LOOK_MAX_MS), 1);

    rb_timer_start(schedule->timer, schedule->leads ? RENEW_MS : pause_ms);
}

static void say_failure(struct rb_retain_schedule *schedule, const struct rb_error *err)
{
    if (err->code != RB_E_DB_AWAY && !schedule->failing)
        rb_log_error(NULL, RB_EV_RETENTION_FAILED, err, "");
    schedule->failing = true;
}

static void on_lease(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_retain_schedule *schedule = RB_CAST(rb_retain_schedule, arg, SCHEDULE_MAGIC);
    bool ours = err == NULL && PQntuples(result) == 1;

    schedule->query = NULL;
    if (err != NULL)
        say_failure(schedule, err);
    if (ours && !schedule->leads) {
        schedule->leads = true;
        schedule->begun_ms = rb_clock_ms();
        rb_metrics_add(schedule->config.metrics, METRIC_RETENTION_RUNS, 1);
        rb_retain_start(schedule->retain);
    } else if (!ours && err == NULL && schedule->leads) {
        schedule->leads = false;
        rb_retain_stop(schedule->retain);
    }
    look_later(schedule);
}

static void on_timer(void *arg)
{
    struct rb_retain_schedule *schedule = RB_CAST(rb_retain_schedule, arg, SCHEDULE_MAGIC);
    struct rb_pg *pg = schedule->config.retain.pg;
    const struct rb_remove_announcer *announcer = &schedule->config.announcer;
    char every[24];
    const char *values[] = {schedule->holder, every};
    struct rb_error ignored = {0};

    if (!schedule->leads)
        rb_uuid_new(schedule->holder);
    snprintf(every, sizeof(every), "%" PRId64, schedule->config.every_ms);
    if ((!schedule->leads && !announcer->is_up(announcer->arg)) ||
        rb_pg_send(pg, schedule->leads ? renew_sql : begin_sql, schedule->leads ? 1 : 2, values, on_lease, schedule,
                   &schedule->query, &ignored) < 0)
        rb_timer_start(schedule->timer, LOOK_SOON_MS); /* Kafka or the database is away */
}

static void say_sums(const struct rb_retain_schedule *schedule)
{
    struct rb_retain_sum by_rule[RB_RETAIN_RULE_COUNT] = {0};
    int64_t failed = 0;
    struct rb_retain_sum gone = rb_retain_gone(schedule->retain, &failed);

    for (int rule = 0; rule < RB_RETAIN_RULE_COUNT; rule++)
        for (int store = 0; store < 2; store++)
            by_rule[rule].videos += rb_retain_sum_of(schedule->retain, store == 1, (enum rb_retain_rule)rule).videos;
    if (gone.videos + failed > 0)
        rb_log(NULL, RB_EV_RETAINED,
               "videos=%" PRId64 " bytes=%" PRId64 " failed=%" PRId64 " age=%" PRId64 " user=%" PRId64 " total=%" PRId64
               " took_ms=%" PRId64,
               gone.videos, gone.bytes, failed, by_rule[RB_RETAIN_AGE].videos, by_rule[RB_RETAIN_USER].videos,
               by_rule[RB_RETAIN_TOTAL].videos, rb_clock_ms() - schedule->begun_ms);
}

static void on_done(const struct rb_error *err, void *arg)
{
    struct rb_retain_schedule *schedule = RB_CAST(rb_retain_schedule, arg, SCHEDULE_MAGIC);
    const char *values[] = {schedule->holder};
    struct rb_error ignored = {0};

    say_sums(schedule);
    if (err != NULL)
        say_failure(schedule, err);
    else
        schedule->failing = false;
    if (schedule->query != NULL)
        rb_pg_cancel(RB_STEAL(schedule->query));
    schedule->leads = false;
    if (rb_pg_send(schedule->config.retain.pg, end_sql, RB_COUNT(values), values, NULL, NULL, NULL, &ignored) < 0)
        ignored.code = RB_E_NONE; /* away: the lease ends by itself */
    look_later(schedule);
}

struct rb_retain_schedule *rb_retain_schedule_new(struct rb_loop *loop, const struct rb_retain_schedule_config *config)
{
    struct rb_retain_schedule *schedule = rb_xalloc(sizeof(*schedule));
    struct rb_retain_config retain = config->retain;

    *schedule = (struct rb_retain_schedule){.magic = SCHEDULE_MAGIC, .config = *config};
    retain.at_once = AT_ONCE;
    retain.on_done = on_done;
    retain.arg = schedule;
    schedule->retain = rb_retain_new(loop, &retain);
    schedule->timer = rb_timer_new(loop, on_timer, schedule);
    rb_timer_start(schedule->timer, 0);
    return schedule;
}

void rb_retain_schedule_stop(struct rb_retain_schedule *schedule)
{
    rb_retain_stop(schedule->retain);
    if (schedule->query != NULL) /* its answer would begin anew */
        rb_pg_cancel(RB_STEAL(schedule->query));
    rb_timer_stop(schedule->timer);
}

void rb_retain_schedule_free(struct rb_retain_schedule *schedule)
{
    if (schedule == NULL)
        return;
    if (schedule->query != NULL)
        rb_pg_cancel(schedule->query);
    rb_timer_free(schedule->timer);
    rb_retain_free(schedule->retain);
    schedule->magic = 0;
    free(schedule);
}
