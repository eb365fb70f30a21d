/*
 * heard.c — which videos webhooks have told of.
 *
 * Way:  receive -> [heard] <- poll
 */
#include "producer/heard.h"

#include "common/clock.h"
#include "common/events.h"
#include "common/log.h"
#include "common/random.h"
#include "producer/metrics_table.h"

#define HEARD_MAGIC 0x48454152u
#define FLUSH_MS    1000
#define MAX_WAITING 4096

/* Videos of one statement, as an array of SQL without its last brace. */
struct ids {
    struct rb_buffer text;
    size_t count;
};

/* An end that polling published, until it is known whether a webhook came as well. */
struct end {
    char video_id[RB_UUID_TEXT_BYTES];
    int64_t due_ms;
};

struct rb_heard {
    uint32_t magic;
    struct rb_pg *pg;           /* borrowed */
    struct rb_metrics *metrics; /* borrowed */
    bool both_ways;
    int64_t grace_ms;
    struct rb_timer *timer;
    struct ids webhooks; /* not written yet */
    struct end *ends;    /* owned; a ring of MAX_WAITING, oldest at first */
    size_t first_end;
    size_t end_count;
};

/* $1 videos. Locked in the order of their ids, as everybody does who locks several. */
static const char webhooks_sql[] =
    "WITH told AS (SELECT v.video_id FROM reelbus.video v WHERE v.video_id = ANY($1::uuid[]) AND v.webhook_at IS NULL"
    " ORDER BY v.video_id FOR UPDATE),"
    " marked AS (UPDATE reelbus.video v SET webhook_at = now() FROM told WHERE v.video_id = told.video_id"
    " RETURNING v.provider)"
    " INSERT INTO reelbus.provider AS p (provider, webhook_seen_at) SELECT DISTINCT provider, now() FROM marked"
    " WHERE provider IS NOT NULL ORDER BY provider"
    " ON CONFLICT (provider) DO UPDATE SET webhook_seen_at = greatest(p.webhook_seen_at, excluded.webhook_seen_at)";

static const char missed_sql[] =
    "SELECT count(*) AS count FROM reelbus.video WHERE video_id = ANY($1::uuid[]) AND webhook_at IS NULL";

static void ids_add(struct ids *ids, const char *video_id)
{
    rb_buffer_print(&ids->text, "%s%s", ids->count++ == 0 ? "{" : ",", video_id);
}

static void ids_send(struct rb_heard *heard, struct ids *ids, const char *sql, rb_pg_fn fn)
{
    struct rb_error err = {0};

    if (ids->count > 0) {
        rb_buffer_add(&ids->text, "}", 1);
        if (rb_pg_send(heard->pg, sql, 1, (const char *const[]){ids->text.bytes}, fn, heard, NULL, &err) < 0)
            fn(NULL, &err, heard);
    }
    rb_buffer_done(&ids->text);
    ids->count = 0;
}

static void on_marked(const PGresult *result, const struct rb_error *err, void *arg)
{
    (void)result;
    (void)arg;
    if (err != NULL && err->code != RB_E_DB_AWAY) /* that it is away is said by the one who has the connection */
        rb_log_error(NULL, RB_EV_POLL_UNWRITTEN, err, "");
}

static void on_missed(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_heard *heard = RB_CAST(rb_heard, arg, HEARD_MAGIC);

    if (err == NULL)
        rb_metrics_add(heard->metrics, METRIC_WEBHOOK_MISSED, rb_pg_number(result, 0, "count", 0));
}

static void arm(struct rb_heard *heard)
{
    if ((heard->webhooks.count > 0 || heard->end_count > 0) && !rb_timer_is_started(heard->timer))
        rb_timer_start(heard->timer, FLUSH_MS);
}

/* Ends whose grace period is over. What webhooks have told goes before, in the same pipeline. */
static void on_timer(void *arg)
{
    struct rb_heard *heard = RB_CAST(rb_heard, arg, HEARD_MAGIC);
    int64_t now_ms = rb_clock_ms();
    struct ids due = {0};

    ids_send(heard, &heard->webhooks, webhooks_sql, on_marked);
    while (heard->end_count > 0 && heard->ends[heard->first_end].due_ms <= now_ms) {
        ids_add(&due, heard->ends[heard->first_end].video_id);
        heard->first_end = (heard->first_end + 1) % MAX_WAITING;
        heard->end_count--;
    }
    ids_send(heard, &due, missed_sql, on_missed);
    arm(heard);
}

struct rb_heard *rb_heard_new(struct rb_loop *loop, struct rb_pg *pg, struct rb_metrics *metrics, int64_t grace_ms)
{
    struct rb_heard *heard = rb_xalloc(sizeof(*heard));

    *heard = (struct rb_heard){
        .magic = HEARD_MAGIC,
        .pg = pg,
        .metrics = metrics,
        .grace_ms = grace_ms,
        .ends = rb_xalloc(MAX_WAITING * sizeof(*heard->ends)),
    };
    heard->timer = rb_timer_new(loop, on_timer, heard);
    return heard;
}

void rb_heard_free(struct rb_heard *heard)
{
    if (heard == NULL)
        return;
    rb_timer_free(heard->timer);
    rb_buffer_done(&heard->webhooks.text);
    free(heard->ends);
    heard->magic = 0;
    free(heard);
}

/* A provider's clock has whole seconds and may be ahead of ours. */
static void observe_lag(struct rb_heard *heard, size_t metric, int64_t completed_at_ms)
{
    if (completed_at_ms != RB_NO_LONG)
        rb_metrics_observe(heard->metrics, metric, (double)RB_MAX(rb_clock_unix_ms() - completed_at_ms, 0) / 1000,
                           NULL);
}

void rb_heard_both_ways(struct rb_heard *heard, bool both_ways)
{
    heard->both_ways = both_ways;
}

void rb_heard_webhook(struct rb_heard *heard, const char *video_id, int64_t completed_at_ms)
{
    rb_metrics_add(heard->metrics, METRIC_COMPLETIONS_WEBHOOK, 1);
    observe_lag(heard, METRIC_COMPLETION_LAG_WEBHOOK, completed_at_ms);
    rb_heard_late_webhook(heard, video_id);
}

void rb_heard_late_webhook(struct rb_heard *heard, const char *video_id)
{
    if (heard->both_ways && heard->webhooks.count < MAX_WAITING)
        ids_add(&heard->webhooks, video_id);
    arm(heard);
}

void rb_heard_poll(struct rb_heard *heard, const char *video_id, int64_t completed_at_ms)
{
    struct end *end = &heard->ends[(heard->first_end + heard->end_count) % MAX_WAITING];

    rb_metrics_add(heard->metrics, METRIC_COMPLETIONS_POLL, 1);
    observe_lag(heard, METRIC_COMPLETION_LAG_POLL, completed_at_ms);
    if (!heard->both_ways || heard->end_count == MAX_WAITING)
        return;
    heard->end_count++;
    snprintf(end->video_id, sizeof(end->video_id), "%s", video_id);
    end->due_ms = rb_clock_ms() + heard->grace_ms;
    arm(heard);
}
