/*
 * usage.c — how much is stored, and whether there is room for one more video.
 *
 * Way:  job -> [usage] -> Postgres
 */
#include "consumer/usage.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "consumer/metrics_table.h"

#define USAGE_MAGIC  0x55534147u
#define OP_MAGIC     0x5553414fu
#define SAY_EVERY_MS 86400000

/* $1 video, $2 claim, $3 store, $4 bucket, $5 bytes, $6 mark of the user, $7 mark of all, $8 whether it is spilled. */
static const char weigh_sql[] =
    "SELECT verdict, user_bytes, all_bytes"
    " FROM reelbus.weigh($1::uuid, $2::bigint, $3, $4, $5::bigint, $6::bigint, $7::bigint, $8::bool)";

/* $1 video, $2 claim. */
static const char spill_sql[] =
    "WITH written AS (UPDATE reelbus.video SET spilled = true, held_bytes = NULL"
    " WHERE video_id = $1::uuid AND claim_epoch = $2::bigint AND state = 'processing' RETURNING video_id)"
    " SELECT CASE WHEN EXISTS (SELECT FROM written) THEN 'fits' ELSE 'lost' END AS verdict";

/* $1 store, $2 bucket. What has grown since the day a week ago, and how long that was. */
static const char sums_sql[] =
    "WITH days AS (SELECT sum(bytes) AS bytes, min(day) AS since FROM reelbus.usage_day"
    " WHERE store = $1 AND bucket = $2 AND day >= (now() AT TIME ZONE 'UTC')::date - 7)"
    " SELECT coalesce(sum(a.bytes), 0)::bigint AS bytes, coalesce(sum(a.videos), 0)::bigint AS videos,"
    " coalesce((SELECT days.bytes FROM days), 0)::bigint AS grown,"
    " coalesce((SELECT extract(epoch FROM (now() AT TIME ZONE 'UTC') - days.since) * 1000 FROM days), 0)::bigint AS over_ms"
    " FROM reelbus.usage_in_all a WHERE a.store = $1 AND a.bucket = $2";

static const char *const then_names[] = {"wait", "spill", "keep", "cleanup"};
static const char *const verdict_names[] = {"fits", "over_user", "over_all", "lost"};
static const char *const level_names[] = {"well", "warn", "stop"};

struct rb_usage {
    uint32_t magic;
    struct rb_usage_config config;
    char *store; /* owned, as is the bucket; the config's point here */
    char *bucket;
    struct rb_timer *timer;
    struct rb_pg_query *query; /* for the sums, on its way */
    enum rb_marks_level level;
    int64_t said_ms; /* when the sums were last logged; 0: never */
    bool failing;    /* the last look at the sums has failed, and that was said */
};

struct rb_usage_op {
    uint32_t magic;
    struct rb_usage *usage;    /* borrowed */
    struct rb_pg_query *query; /* NULL once it has been answered */
    enum rb_poll state;
    enum rb_usage_verdict verdict;
    char video_id[RB_UUID_TEXT_BYTES];
    int64_t bytes; /* of the video */
    int64_t user_bytes;
    int64_t all_bytes;
    struct rb_error error;
    rb_loop_fn on_done;
    void *arg; /* borrowed */
};

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

/* -- the sums ------------------------------------------------------------------------------------------------------ */

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
           level_names[level], bytes, marks->warn_bytes, marks->stop_bytes, marks->quota_bytes, days_left);
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

static void on_timer(void *arg)
{
    struct rb_usage *usage = RB_CAST(rb_usage, arg, USAGE_MAGIC);
    const char *values[] = {usage->store, usage->bucket};
    struct rb_error ignored = {0};

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

/* -- one video ----------------------------------------------------------------------------------------------------- */

static int read_verdict(struct rb_usage_op *op, const PGresult *result)
{
    const char *name = PQntuples(result) == 1 ? rb_pg_text(result, 0, "verdict") : NULL;

    for (size_t i = 0; name != NULL && i < RB_COUNT(verdict_names); i++) {
        if (strcmp(name, verdict_names[i]) == 0) {
            op->verdict = (enum rb_usage_verdict)i;
            return 0;
        }
    }
    return rb_fail(&op->error, RB_E_DB_REFUSED, 0, "the database does not say whether there is room");
}

/* The video that takes its user over the warning mark is the one that is told of; so it is said once. */
static void warn_of_user(const struct rb_usage_op *op)
{
    const struct rb_marks *marks = &op->usage->config.user;

    if (marks->quota_bytes == 0 || op->verdict != RB_USAGE_FITS || op->user_bytes >= marks->warn_bytes ||
        op->user_bytes + op->bytes < marks->warn_bytes)
        return;
    rb_log(NULL, RB_EV_QUOTA_USER_NEAR,
           "video=%s bytes=%" PRId64 " warn_at=%" PRId64 " stop_at=%" PRId64 " quota=%" PRId64, op->video_id,
           op->user_bytes + op->bytes, marks->warn_bytes, marks->stop_bytes, marks->quota_bytes);
}

static void on_verdict(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_usage_op *op = RB_CAST(rb_usage_op, arg, OP_MAGIC);

    op->query = NULL;
    if (err != NULL)
        op->error = *err;
    op->state = err == NULL && read_verdict(op, result) == 0 ? RB_POLL_DONE : RB_POLL_FAILED;
    if (op->state == RB_POLL_DONE && PQfnumber(result, "user_bytes") >= 0) {
        op->user_bytes = rb_pg_number(result, 0, "user_bytes", 0);
        op->all_bytes = rb_pg_number(result, 0, "all_bytes", 0);
        warn_of_user(op);
    }
    op->on_done(op->arg);
}

/* A statement with its parameters. All borrowed. */
struct question {
    const char *sql;
    int count;
    const char *const *values;
};

static int op_send(struct rb_usage *usage, const struct rb_usage_ask *ask, const struct question *question,
                   struct rb_usage_op **ret_op, struct rb_error *err)
{
    struct rb_usage_op *op = rb_xalloc(sizeof(*op));

    *op = (struct rb_usage_op){
        .magic = OP_MAGIC, .usage = usage, .state = RB_POLL_WAIT, .on_done = ask->on_done, .arg = ask->arg};
    snprintf(op->video_id, sizeof(op->video_id), "%s", ask->video_id);
    if (rb_pg_send(usage->config.pg, question->sql, question->count, question->values, on_verdict, op, &op->query,
                   err) < 0) {
        rb_usage_op_free(op);
        return -1;
    }
    *ret_op = op;
    return 0;
}

/* A mark as SQL has it: NULL where there is none. */
static const char *mark_text(const struct rb_marks *marks, char text[static 24])
{
    if (marks->quota_bytes == 0)
        return NULL;
    snprintf(text, 24, "%" PRId64, marks->stop_bytes);
    return text;
}

int rb_usage_weigh(struct rb_usage *usage, const struct rb_usage_ask *ask, int64_t bytes, bool spill,
                   struct rb_usage_op **ret_op, struct rb_error *err)
{
    char claim[24], more[24], user[24], all[24];
    const char *values[] = {
        ask->video_id,
        claim,
        usage->store,
        usage->bucket,
        more,
        mark_text(&usage->config.user, user),
        mark_text(&usage->config.all, all),
        spill ? "true" : "false",
    };

    snprintf(claim, sizeof(claim), "%" PRId64, ask->claim_epoch);
    snprintf(more, sizeof(more), "%" PRId64, bytes);
    RB_TRY(op_send(usage, ask, &(struct question){weigh_sql, RB_COUNT(values), values}, ret_op, err));
    (*ret_op)->bytes = bytes;
    return 0;
}

int rb_usage_spill(struct rb_usage *usage, const struct rb_usage_ask *ask, struct rb_usage_op **ret_op,
                   struct rb_error *err)
{
    char claim[24];
    const char *values[] = {ask->video_id, claim};

    snprintf(claim, sizeof(claim), "%" PRId64, ask->claim_epoch);
    return op_send(usage, ask, &(struct question){spill_sql, RB_COUNT(values), values}, ret_op, err);
}

enum rb_poll rb_usage_poll(const struct rb_usage_op *op, enum rb_usage_verdict *ret_verdict, struct rb_error *err)
{
    if (op->state == RB_POLL_FAILED)
        *err = op->error;
    if (op->state == RB_POLL_DONE)
        *ret_verdict = op->verdict;
    return op->state;
}

int rb_usage_refuse(const struct rb_usage_op *op, struct rb_error *err)
{
    const struct rb_usage_config *config = &op->usage->config;
    bool of_user = op->verdict == RB_USAGE_OVER_USER;
    int64_t used_bytes = of_user ? op->user_bytes : op->all_bytes;
    int64_t stop_bytes = of_user ? config->user.stop_bytes : config->all.stop_bytes;
    RB_AUTO_TEXT *why = rb_xprintf("%" PRId64 " of the %" PRId64 " bytes that may be stored %s are used up", used_bytes,
                                   stop_bytes, of_user ? "of one user" : "in all");
    RB_AUTO_TEXT *more = op->bytes > 0 ? rb_xprintf(", and the video has %" PRId64, op->bytes) : rb_xstrdup("");

    RB_ASSERT(op->verdict == RB_USAGE_OVER_USER || op->verdict == RB_USAGE_OVER_ALL);
    if (config->then == RB_USAGE_KEEP)
        return rb_fail(err, RB_E_QUOTA_KEPT, 0, "%s%s; the original URL stays", why, more);
    if (of_user)
        return rb_fail(err, RB_E_QUOTA_USER, 0, "%s%s", why, more);
    return rb_fail(err, used_bytes >= stop_bytes ? RB_E_QUOTA_ALL : RB_E_QUOTA_ROOM, 0, "%s%s", why, more);
}

void rb_usage_op_free(struct rb_usage_op *op)
{
    if (op == NULL)
        return;
    if (op->query != NULL)
        rb_pg_cancel(op->query);
    op->magic = 0;
    free(op);
}
