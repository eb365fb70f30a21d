/*
 * hold.c — does an operator want that nothing is stored for now?
 *
 * Way:  Postgres -> [hold] -> consume, slots
 */
#include "consumer/hold.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "consumer/metrics_table.h"

#define HOLD_MAGIC 0x484f4c44u
#define FIRST_MS   20    /* between two tries to ask for the first time */
#define LOOK_MS    1000  /* between two looks */
#define REFUSED_MS 30000 /* the same, when the database refuses to tell */

/* $1 group. No row when it is not paused. */
static const char look_sql[] =
    "SELECT pause, reason, paused_by, (extract(epoch FROM paused_until - clock_timestamp()) * 1000)::bigint AS left_ms"
    " FROM (SELECT pause, reason, paused_by, nullif(paused_until, 'infinity') AS paused_until FROM reelbus.control"
    " WHERE consumer_group = $1 AND paused_until > clock_timestamp()) AS now_paused";

/* $1 group, $2 member, $3 pause, $4 how many are worked on. */
static const char tell_sql[] =
    "INSERT INTO reelbus.member (consumer_group, member, pause, in_flight, told_at)"
    " VALUES ($1, $2, $3::bigint, $4::bigint, clock_timestamp()) ON CONFLICT (consumer_group, member) DO UPDATE"
    " SET pause = excluded.pause, in_flight = excluded.in_flight, told_at = excluded.told_at";

struct rb_hold {
    uint32_t magic;
    struct rb_hold_config config;
    char *group;
    char *member;
    struct rb_timer *timer;
    struct rb_pg_query *looking; /* NULL when none is out, as is telling */
    struct rb_pg_query *telling;
    bool known;
    bool paused;
    bool refused;
    int64_t pause;
    int64_t until_ms; /* INT64_MAX when it has no end of its own */
};

static void set_held(struct rb_hold *hold)
{
    rb_metrics_set(hold->config.metrics, METRIC_HELD, hold->paused);
    hold->config.on_change(hold->paused || !hold->known, hold->config.arg);
}

static void on_told(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_hold *hold = RB_CAST(rb_hold, arg, HOLD_MAGIC);

    (void)result; /* it is told again in a second */
    (void)err;
    hold->telling = NULL;
}

/* After nothing is begun any more: what is told counts all that was begun before. */
static void tell(struct rb_hold *hold)
{
    char pause[24], count[24];
    const char *values[] = {hold->group, hold->member, pause, count};
    struct rb_error ignored = {0};

    snprintf(pause, sizeof(pause), "%" PRId64, hold->pause);
    snprintf(count, sizeof(count), "%zu", hold->config.running(hold->config.arg));
    if (hold->telling == NULL && rb_pg_send_often(hold->config.pg, tell_sql, RB_COUNT(values), values, on_told, hold,
                                                  &hold->telling, &ignored) < 0)
        hold->telling = NULL;
}

static void log_pause(struct rb_hold *hold, const PGresult *result, int64_t left_ms)
{
    char by[RB_LOG_QUOTE_BYTES], reason[RB_LOG_QUOTE_BYTES];

    rb_log(NULL, RB_EV_GROUP_PAUSED, "group=%s by=%s left_ms=%" PRId64 " running=%zu reason=%s", hold->group,
           rb_log_quote(rb_pg_text(result, 0, "paused_by"), by), left_ms, hold->config.running(hold->config.arg),
           rb_log_quote(rb_pg_text(result, 0, "reason"), reason));
}

static void be_paused(struct rb_hold *hold, const PGresult *result)
{
    int64_t pause = rb_pg_number(result, 0, "pause", 0);
    int64_t left_ms = rb_pg_number(result, 0, "left_ms", -1);
    bool is_news = !hold->paused || hold->pause != pause;

    hold->known = true;
    hold->paused = true;
    hold->pause = pause;
    hold->until_ms = left_ms >= 0 ? rb_clock_ms() + left_ms : INT64_MAX;
    if (is_news) {
        set_held(hold);
        log_pause(hold, result, left_ms);
    }
    tell(hold);
}

static void go_on(struct rb_hold *hold)
{
    bool was_paused = hold->paused;

    if (hold->known && !was_paused)
        return;
    hold->known = true;
    hold->paused = false;
    if (was_paused)
        rb_log(NULL, RB_EV_GROUP_RESUMED, "group=%s", hold->group);
    set_held(hold);
}

/* It ends by itself, also while the database is away. */
static void end_in_time(struct rb_hold *hold)
{
    if (hold->paused && rb_clock_ms() >= hold->until_ms)
        go_on(hold);
}

/*
 * A database that setup has not seen for long knows of no pauses; and everything else works. What else is refused, for want of
 * a right perhaps, does not say that there is none: who has not read it yet waits, and says so each time.
 */
static void take_refusal(struct rb_hold *hold, const struct rb_error *err)
{
    if (!hold->refused || !hold->known)
        rb_log_error(NULL, RB_EV_PAUSE_UNREAD, err, "group=%s", hold->group);
    hold->refused = true;
    if (!hold->known && rb_pg_is_no_table(err))
        go_on(hold);
}

static void look_later(struct rb_hold *hold)
{
    int64_t wait_ms = hold->refused ? REFUSED_MS : hold->known ? LOOK_MS : FIRST_MS;

    if (hold->paused)
        wait_ms = RB_MIN(wait_ms, RB_MAX(hold->until_ms - rb_clock_ms(), 1));
    rb_timer_start(hold->timer, wait_ms);
}

static void on_looked(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_hold *hold = RB_CAST(rb_hold, arg, HOLD_MAGIC);

    hold->looking = NULL;
    if (err == NULL)
        hold->refused = false;
    if (err != NULL && err->code != RB_E_DB_AWAY)
        take_refusal(hold, err);
    else if (err == NULL && PQntuples(result) == 1)
        be_paused(hold, result);
    else if (err == NULL)
        go_on(hold);
    end_in_time(hold);
    look_later(hold);
}

static void on_timer(void *arg)
{
    struct rb_hold *hold = RB_CAST(rb_hold, arg, HOLD_MAGIC);
    const char *values[] = {hold->group};
    struct rb_error ignored = {0};

    if (rb_pg_send_often(hold->config.pg, look_sql, RB_COUNT(values), values, on_looked, hold, &hold->looking,
                         &ignored) == 0)
        return;
    hold->looking = NULL;
    end_in_time(hold);
    look_later(hold);
}

struct rb_hold *rb_hold_new(struct rb_loop *loop, const struct rb_hold_config *config)
{
    struct rb_hold *hold = rb_xalloc(sizeof(*hold));

    *hold = (struct rb_hold){
        .magic = HOLD_MAGIC,
        .config = *config,
        .group = rb_xstrdup(config->group),
        .member = rb_xstrdup(config->member),
    };
    hold->timer = rb_timer_new(loop, on_timer, hold);
    set_held(hold);
    rb_timer_start(hold->timer, 0);
    return hold;
}

void rb_hold_free(struct rb_hold *hold)
{
    if (hold == NULL)
        return;
    if (hold->looking != NULL)
        rb_pg_cancel(hold->looking);
    if (hold->telling != NULL)
        rb_pg_cancel(hold->telling);
    rb_timer_free(hold->timer);
    free(hold->group);
    free(hold->member);
    hold->magic = 0;
    free(hold);
}

bool rb_hold_is_paused(const struct rb_hold *hold)
{
    return hold->paused;
}
