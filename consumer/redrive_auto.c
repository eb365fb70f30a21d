/*
 * redrive_auto.c — failures are tried once more by themselves when their cause is cleared.
 *
 * Way:  Postgres -> [redrive_auto] -> emit -> Kafka
 *
 * Rows are marked and then sent, as by the command; what no transaction took is unmarked. After a death in between they are sent
 * a day later.
 */
#include "consumer/redrive_auto.h"

#include <inttypes.h>

#include "common/events.h"
#include "common/log.h"
#include "consumer/metrics_table.h"
#include "consumer/redrive_event.h"

#define AUTO_MAGIC 0x52444155u
#define ROUND_MAX  20
#define ROUND      "20"
#define SOON_MS    1000

/* What is asked for a cause, and when: at each look, or once after the providers were read. */
enum cause { CAUSE_QUOTA, CAUSE_CREDENTIALS, CAUSE_COUNT };

static const struct {
    const char *name;
    const char *codes;
} cause_rows[CAUSE_COUNT] = {
    [CAUSE_QUOTA] = {"quota", "{quota_kept,quota_user,quota_room}"},
    [CAUSE_CREDENTIALS] = {"credentials", "{provider_denied}"},
};

/*
 * $1 codes, $2 redrives_max, $3 store, $4 bucket, $5 and $6 the warning marks of all and of a user, 0 for none; $7 failed before so
 * many milliseconds. The oldest first; what another member has just taken is passed over.
 */
static const char pick_sql[] =
    "WITH picked AS (SELECT v.video_id FROM reelbus.video v WHERE v.state = 'failed' AND v.error_code = ANY ($1::text[])"
    " AND NOT " RB_REDRIVE_SENT
    " AND v.redrives < $2::bigint AND (v.source_url IS NOT NULL OR v.provider_video_id IS NOT NULL)"
    " AND v.failed_at <= now() - $7::bigint * interval '1 ms' AND ($5::bigint = 0 OR (SELECT coalesce(sum(a.bytes), 0)"
    " FROM reelbus.usage_in_all a WHERE a.store = $3 AND a.bucket = $4) < $5::bigint) AND ($6::bigint = 0 OR coalesce((SELECT"
    " u.bytes FROM reelbus.usage u WHERE u.store = $3 AND u.bucket = $4 AND u.user_id = coalesce(v.user_id, '')), 0) < $6::bigint)"
    " ORDER BY v.failed_at LIMIT " ROUND " FOR UPDATE SKIP LOCKED)"
    " UPDATE reelbus.video v SET redriven_attempt = v.attempt, redrives = v.redrives + 1, redriven_at = now(),"
    " redrive_page = NULL, redrive_group = NULL FROM picked WHERE v.video_id = picked.video_id AND v.state = 'failed'"
    " AND NOT " RB_REDRIVE_SENT " RETURNING" RB_REDRIVE_COLUMNS;

/* $1 video, $2 attempt. */
static const char unmark_sql[] = "UPDATE reelbus.video SET redriven_attempt = NULL, redrives = redrives - 1"
                                 " WHERE video_id = $1::uuid AND state = 'failed' AND attempt = $2::int"
                                 " AND redriven_attempt = attempt";

/* One record on its way. */
struct going {
    struct rb_redrive_auto *redrive; /* borrowed */
    struct rb_receipt receipt;
    bool out;
    char video_id[RB_UUID_TEXT_BYTES];
    int64_t attempt;
};

struct rb_redrive_auto {
    uint32_t magic;
    struct rb_redrive_auto_config config;
    char *topic;
    struct rb_timer *timer;
    struct rb_pg_query *query; /* NULL when none is out */
    bool wanted[CAUSE_COUNT];
    bool reloaded;    /* and not all of what that may have cleared was looked at */
    enum cause cause; /* of the query */
    struct going going[ROUND_MAX];
};

/* -- what is wanted ------------------------------------------------------------------------------------------------ */

static int read_cause(struct rb_redrive_auto *redrive, const char *text, size_t length, struct rb_error *err)
{
    for (size_t i = 0; i < CAUSE_COUNT; i++) {
        if (strlen(cause_rows[i].name) == length && strncmp(cause_rows[i].name, text, length) == 0) {
            redrive->wanted[i] = true;
            return 0;
        }
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'redrive_auto' is '%.40s', expected some of: quota, credentials",
                   redrive->config.causes);
}

static int read_causes(struct rb_redrive_auto *redrive, struct rb_error *err)
{
    for (const char *at = redrive->config.causes; *at != '\0';) {
        size_t length = strcspn(at, ",");

        RB_TRY(read_cause(redrive, at, length, err));
        at += length;
        at += *at == ',' ? 1 : 0;
    }
    return 0;
}

/* -- a round ------------------------------------------------------------------------------------------------------- */

static void on_unmarked(const PGresult *result, const struct rb_error *err, void *arg)
{
    (void)result; /* else it is sent a day later */
    (void)err;
    (void)arg;
}

static void unmark(struct rb_redrive_auto *redrive, const char *video_id, int64_t attempt)
{
    char number[24];
    const char *values[] = {video_id, number};
    struct rb_error ignored = {0};

    snprintf(number, sizeof(number), "%" PRId64, attempt);
    if (rb_pg_send(redrive->config.pg, unmark_sql, RB_COUNT(values), values, on_unmarked, NULL, NULL, &ignored) < 0)
        return;
}

static void on_sent(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct going *going = arg;
    struct rb_redrive_auto *redrive = RB_CAST(rb_redrive_auto, going->redrive, AUTO_MAGIC);

    (void)delivery;
    going->out = false;
    if (err == NULL)
        rb_metrics_add(redrive->config.metrics, METRIC_REDRIVEN, 1);
    else
        unmark(redrive, going->video_id, going->attempt);
}

static void send_row(struct rb_redrive_auto *redrive, const PGresult *rows, int row)
{
    struct going *going = &redrive->going[row];
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;
    struct rb_error ignored = {0};

    *going = (struct going){.redrive = redrive, .attempt = rb_pg_number(rows, row, "attempt", 0)};
    going->receipt.fn = on_sent;
    going->receipt.arg = going;
    snprintf(going->video_id, sizeof(going->video_id), "%s", rb_pg_text(rows, row, "video_id"));
    going->out = rb_redrive_event(redrive->config.codec, redrive->topic, "reelbus-consumer", rows, row,
                                  rb_pg_number(rows, row, "redrives", 1), &value, &record, &ignored) == 0 &&
                 rb_commit_send(redrive->config.commit, &record, NULL, &going->receipt, &ignored) == 0;
    if (!going->out)
        unmark(redrive, going->video_id, going->attempt);
}

static void on_picked(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_redrive_auto *redrive = RB_CAST(rb_redrive_auto, arg, AUTO_MAGIC);
    int count = err == NULL ? PQntuples(result) : 0;

    redrive->query = NULL;
    if (err == NULL && count < ROUND_MAX) /* else there are more of them */
        redrive->reloaded = redrive->reloaded && redrive->cause != CAUSE_CREDENTIALS;
    if (count > 0)
        rb_log(NULL, RB_EV_REDRIVEN, "cause=%s videos=%d", cause_rows[redrive->cause].name, count);
    for (int i = 0; i < count; i++)
        send_row(redrive, result, i);
}

static bool is_at_work(const struct rb_redrive_auto *redrive)
{
    bool out = redrive->query != NULL;

    for (size_t i = 0; i < ROUND_MAX; i++)
        out = out || redrive->going[i].out;
    return out;
}

static void pick(struct rb_redrive_auto *redrive, enum cause cause)
{
    const struct rb_redrive_auto_config *config = &redrive->config;
    bool of_room = cause == CAUSE_QUOTA;
    char max[24], all[24], user[24], age[24];
    const char *values[] = {cause_rows[cause].codes, max, config->store, config->bucket, all, user, age};
    struct rb_error ignored = {0};

    snprintf(max, sizeof(max), "%" PRId64, config->redrives_max);
    snprintf(all, sizeof(all), "%" PRId64, of_room ? config->all.warn_bytes : 0);
    snprintf(user, sizeof(user), "%" PRId64, of_room ? config->user.warn_bytes : 0);
    snprintf(age, sizeof(age), "%" PRId64, of_room ? config->every_ms : 0);
    redrive->cause = cause;
    if (rb_pg_send(config->pg, pick_sql, RB_COUNT(values), values, on_picked, redrive, &redrive->query, &ignored) < 0)
        redrive->query = NULL;
}

static void on_timer(void *arg)
{
    struct rb_redrive_auto *redrive = RB_CAST(rb_redrive_auto, arg, AUTO_MAGIC);

    if (!is_at_work(redrive) && redrive->config.may_go(redrive->config.arg)) {
        if (redrive->reloaded)
            pick(redrive, CAUSE_CREDENTIALS);
        else if (redrive->wanted[CAUSE_QUOTA])
            pick(redrive, CAUSE_QUOTA);
    }
    rb_timer_start(redrive->timer,
                   redrive->reloaded ? RB_MIN(SOON_MS, redrive->config.every_ms) : redrive->config.every_ms);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

int rb_redrive_auto_new(struct rb_loop *loop, const struct rb_redrive_auto_config *config,
                        struct rb_redrive_auto **ret_auto, struct rb_error *err)
{
    struct rb_redrive_auto *redrive;

    if (config->causes[0] == '\0')
        return 0;
    redrive = rb_xalloc(sizeof(*redrive));
    *redrive = (struct rb_redrive_auto){.magic = AUTO_MAGIC, .config = *config};
    if (read_causes(redrive, err) < 0) {
        free(redrive);
        return -1;
    }
    redrive->topic = rb_xprintf("%s%s", config->topic_prefix, rb_event_info(RB_EVENT_VIDEO_WEBHOOK_RECEIVED)->topic);
    redrive->timer = rb_timer_new(loop, on_timer, redrive);
    rb_timer_start(redrive->timer, config->every_ms);
    *ret_auto = redrive;
    return 0;
}

void rb_redrive_auto_free(struct rb_redrive_auto *redrive)
{
    if (redrive == NULL)
        return;
    if (redrive->query != NULL)
        rb_pg_cancel(redrive->query);
    for (size_t i = 0; i < ROUND_MAX; i++)
        if (redrive->going[i].out)
            rb_commit_cancel(&redrive->going[i].receipt);
    rb_timer_free(redrive->timer);
    free(redrive->topic);
    redrive->magic = 0;
    free(redrive);
}

void rb_redrive_auto_reloaded(struct rb_redrive_auto *redrive)
{
    if (redrive == NULL || !redrive->wanted[CAUSE_CREDENTIALS])
        return;
    redrive->reloaded = true;
    rb_timer_start(redrive->timer, 0);
}
