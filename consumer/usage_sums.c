/*
 * usage_sums.c — how much is stored: looked at now and then, shown, and said when it gets near the marks.
 *
 * Way:  job -> [usage] -> Postgres
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "consumer/metrics_table.h"
#include "consumer/usage_internal.h"

#define SAY_EVERY_MS 86400000
#define NUMBER_BYTES 24

/*
 * $1 store, $2 bucket. What has grown since the day a week ago, and how long that was. $3 to $5 the marks of all, $6 to $8 those of
 * each user: they are noted, when they are others, for those who show the sums and do not know our options.
 */
static const char sums_sql[] =
    "WITH noted AS (INSERT INTO reelbus.quota AS q (store, bucket, of_user, quota_bytes, warn_bytes, stop_bytes)"
    " VALUES ($1, $2, false, $3::bigint, $4::bigint, $5::bigint), ($1, $2, true, $6::bigint, $7::bigint, $8::bigint)"
    " ON CONFLICT (store, bucket, of_user) DO UPDATE SET quota_bytes = excluded.quota_bytes,"
    " warn_bytes = excluded.warn_bytes, stop_bytes = excluded.stop_bytes, noted_at = now()"
    " WHERE (q.quota_bytes, q.warn_bytes, q.stop_bytes) <> (excluded.quota_bytes, excluded.warn_bytes, excluded.stop_bytes)),"
    " days AS (SELECT sum(bytes) AS bytes, min(day) AS since FROM reelbus.usage_day"
    " WHERE store = $1 AND bucket = $2 AND day >= (now() AT TIME ZONE 'UTC')::date - 7)"
    " SELECT coalesce(sum(a.bytes), 0)::bigint AS bytes, coalesce(sum(a.videos), 0)::bigint AS videos,"
    " coalesce((SELECT days.bytes FROM days), 0)::bigint AS grown,"
    " coalesce((SELECT extract(epoch FROM (now() AT TIME ZONE 'UTC') - days.since) * 1000 FROM days), 0)::bigint AS over_ms"
    " FROM reelbus.usage_in_all a WHERE a.store = $1 AND a.bucket = $2";

static const char *const then_names[] = {"wait", "spill", "keep", "cleanup"};

int rb_usage_then_read(const char *text, enum rb_usage_then *ret_then, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(then_names); i++) {
        if (strcmp(text, then_names[i]) == 0) {
            *ret_then = (enum rb_usage_then)i;
            return 0;
        }
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0,
                   "option 'quota_then' is '%.20s', expected one of: wait, spill, keep, cleanup", text);
}

/* Said when the level changes, and once a day. */
static void say_sums(struct rb_usage *usage, enum rb_marks_level level, int64_t bytes, int64_t days_left)
{
    const struct rb_marks *marks = &usage->config.all;
    int64_t now_ms = rb_clock_ms();

    if (marks->quota_bytes == 0 ||
        (level == usage->level && usage->said_ms != 0 && now_ms - usage->said_ms < SAY_EVERY_MS))
        return;
    rb_log(NULL, level == RB_MARKS_WELL ? RB_EV_QUOTA : RB_EV_QUOTA_NEAR,
           "level=%s bytes=%" PRId64 " warn_at=%" PRId64 " stop_at=%" PRId64 " quota=%" PRId64 " days_left=%" PRId64,
           rb_marks_level_name(level), bytes, marks->warn_bytes, marks->stop_bytes, marks->quota_bytes, days_left);
    usage->level = level;
    usage->said_ms = now_ms;
}

static void take_sums(struct rb_usage *usage, const PGresult *result)
{
    const struct rb_marks *marks = &usage->config.all;
    struct rb_metrics *metrics = usage->config.metrics;
    int64_t bytes = rb_pg_number(result, 0, "bytes", 0);
    int64_t days_left =
        rb_marks_days_left(marks, bytes, rb_pg_number(result, 0, "grown", 0), rb_pg_number(result, 0, "over_ms", 0));
    enum rb_marks_level level = rb_marks_level(marks, bytes);

    rb_metrics_set(metrics, METRIC_USAGE_BYTES, bytes);
    rb_metrics_set(metrics, METRIC_USAGE_VIDEOS, rb_pg_number(result, 0, "videos", 0));
    rb_metrics_set(metrics, METRIC_QUOTA_LEVEL, level);
    rb_metrics_set(metrics, METRIC_QUOTA_DAYS, days_left);
    say_sums(usage, level, bytes, days_left);
}

static void on_sums(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_usage *usage = RB_CAST(rb_usage, arg, USAGE_MAGIC);
    bool refused = err != NULL && err->code != RB_E_DB_AWAY;

    usage->query = NULL;
    if (refused && !usage->failing)
        rb_log_error(NULL, RB_EV_USAGE_UNREAD, err, "");
    usage->failing = refused;
    if (err == NULL && PQntuples(result) == 1)
        take_sums(usage, result);
    rb_timer_start(usage->timer, usage->config.every_ms);
}

/* Three numbers of a mark, as text. */
static void print_marks(const struct rb_marks *marks, char (*ret_texts)[NUMBER_BYTES])
{
    snprintf(ret_texts[0], NUMBER_BYTES, "%" PRId64, marks->quota_bytes);
    snprintf(ret_texts[1], NUMBER_BYTES, "%" PRId64, marks->warn_bytes);
    snprintf(ret_texts[2], NUMBER_BYTES, "%" PRId64, marks->stop_bytes);
}

static void on_timer(void *arg)
{
    struct rb_usage *usage = RB_CAST(rb_usage, arg, USAGE_MAGIC);
    char all[3][NUMBER_BYTES], user[3][NUMBER_BYTES];
    const char *values[] = {usage->store, usage->bucket, all[0], all[1], all[2], user[0], user[1], user[2]};
    struct rb_error ignored = {0};

    print_marks(&usage->config.all, all);
    print_marks(&usage->config.user, user);
    if (rb_pg_send(usage->config.pg, sums_sql, RB_COUNT(values), values, on_sums, usage, &usage->query, &ignored) < 0)
        rb_timer_start(usage->timer, RB_MIN(usage->config.every_ms, 1000)); /* away: it says so itself */
}

struct rb_usage *rb_usage_new(struct rb_loop *loop, const struct rb_usage_config *config)
{
    struct rb_usage *usage = rb_xalloc(sizeof(*usage));

    *usage = (struct rb_usage){
        .magic = USAGE_MAGIC,
        .config = *config,
        .store = rb_xstrdup(config->store),
        .bucket = rb_xstrdup(config->bucket),
    };
    usage->timer = rb_timer_new(loop, on_timer, usage);
    rb_metrics_set(config->metrics, METRIC_QUOTA_BYTES, config->all.quota_bytes);
    rb_metrics_set(config->metrics, METRIC_QUOTA_DAYS, -1);
    rb_timer_start(usage->timer, 0);
    return usage;
}

void rb_usage_free(struct rb_usage *usage)
{
    if (usage == NULL)
        return;
    if (usage->query != NULL)
        rb_pg_cancel(usage->query);
    rb_timer_free(usage->timer);
    free(usage->store);
    free(usage->bucket);
    usage->magic = 0;
    free(usage);
}

bool rb_usage_is_limited(const struct rb_usage *usage)
{
    return usage->config.all.quota_bytes > 0 || usage->config.user.quota_bytes > 0;
}

enum rb_usage_then rb_usage_then(const struct rb_usage *usage)
{
    return usage->config.then;
}

void rb_usage_marks(const struct rb_usage *usage, struct rb_marks *ret_all, struct rb_marks *ret_user)
{
    *ret_all = usage->config.all;
    *ret_user = usage->config.user;
}
