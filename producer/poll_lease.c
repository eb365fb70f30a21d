/*
 * poll_lease.c — which videos are due.
 *
 * Way:  poll_sources -> [poll_lease] -> poll_ask -> adapter -> poll_plan -> publish
 */
#include "producer/poll_lease.h"

#include <inttypes.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/pg_array.h"

#define LEASE_MAGIC  0x4c454153u
#define TAKING_MAGIC 0x54414b45u

/* Of settlements, as settle_sql counts them. */
enum { VIDEO, LEASE, STATUS, PROGRESS, MISSING, ANNOUNCED, NEXT_MS, SAID, PARTITION, OFFSET, COLUMN_COUNT };

struct rb_poll_lease {
    uint32_t magic;
    struct rb_pg *pg;  /* borrowed */
    const char *topic; /* borrowed; where results are published */
    struct rb_poll_policy policy;
    char *adopt_sql;                        /* NULL when the application's table does not tell the provider */
    struct rb_task send;                    /* what was settled in this turn leaves together */
    struct rb_buffer columns[COLUMN_COUNT]; /* the settlements of this turn, as arrays of SQL */
    size_t pending;                         /* statements that write settlements */
};

/* One question on its way. */
struct taking {
    uint32_t magic;
    rb_poll_lease_fn on_rows;
    rb_poll_count_fn on_count;
    void *arg; /* borrowed */
};

#define MS(number) "($" #number "::bigint * interval '1 millisecond')"

/*
 * $1 provider, $2 how many, $3 length of the lease, $4 interval, $5 grace, $6 trust, $7 how long a webhook that came is
 * given to reach the consumer.
 *
 * While a provider's webhooks work, its videos are asked for once in a grace period, and first when they are that old.
 */
static const char take_sql[] =
    "WITH pace AS (SELECT EXISTS (SELECT FROM reelbus.provider p WHERE p.provider = $1"
    " AND p.webhook_seen_at > now() - " MS(
        6) ") AS thin),"
           " due AS (SELECT v.video_id FROM reelbus.video v, pace WHERE v.state = 'waiting' AND v.provider = $1"
           " AND v.provider_video_id IS NOT NULL AND v.next_poll_at <= now()"
           " AND (v.poll_lease_until IS NULL OR v.poll_lease_until <= now())"
           " AND (v.webhook_at IS NULL OR v.webhook_at <= now() - " MS(
               7) ")"
                  " AND (NOT pace.thin OR v.waiting_since <= now() - " MS(
                      5) ")"
                         " ORDER BY v.next_poll_at LIMIT $2::bigint FOR UPDATE OF v SKIP LOCKED)"
                         " UPDATE reelbus.video v SET polls = v.polls + 1, poll_lease_until = now() + " MS(
                             3) ","
                                " next_poll_at = now() + CASE WHEN pace.thin THEN greatest(" MS(4) ", " MS(5) ") ELSE " MS(
                                    4) " END"
                                       " * (0.8 + 0.4 * random())"
                                       " FROM due, pace WHERE v.video_id = due.video_id"
                                       " RETURNING v.video_id::text AS video_id, v.user_id, v.provider_video_id, (extract(epoch FROM v.poll_lease_until) * 1000000)::bigint AS lease,"
                                       " v.provider_status, v.progress, v.polls, v.poll_announced,"
                                       " (extract(epoch FROM now()) * 1000)::bigint AS now_ms,"
                                       " (extract(epoch FROM v.waiting_since) * 1000)::bigint AS waiting_since_ms,"
                                       " (extract(epoch FROM v.poll_missing_since) * 1000)::bigint AS missing_since_ms";

/*
 * $1 to $10 are the columns of settlements, $11 the topic of what was published.
 *
 * Rows are locked in the order of their ids, as everybody does who locks several: so nobody waits in a circle. What was
 * published is news, and noted in the history; the consumer that takes it notes it as well, and one of the two counts.
 */
static const char settle_sql[] =
    "WITH ended AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::int[], $5::int[], $6::int[],"
    " $7::bigint[], $8::text[], $9::int[], $10::bigint[])"
    " AS e (video_id, lease, status, progress, missing, announced, next_ms, said, partition, \"offset\")),"
    " mine AS (SELECT v.video_id FROM reelbus.video v JOIN ended ON ended.video_id = v.video_id"
    " AND ended.lease = (extract(epoch FROM v.poll_lease_until) * 1000000)::bigint ORDER BY v.video_id FOR UPDATE OF v),"
    " written AS (UPDATE reelbus.video v SET poll_lease_until = NULL,"
    " provider_status = coalesce(ended.status, v.provider_status), progress = coalesce(ended.progress, v.progress),"
    " poll_missing_since = CASE ended.missing WHEN 0 THEN v.poll_missing_since WHEN 1 THEN NULL"
    " ELSE coalesce(v.poll_missing_since, now()) END,"
    " poll_announced = v.poll_announced + ended.announced,"
    " next_poll_at = coalesce(now() + ended.next_ms * interval '1 millisecond', v.next_poll_at),"
    " updated_at = CASE WHEN ended.status IS NULL THEN v.updated_at"
    " ELSE greatest(now(), v.updated_at + interval '1 microsecond') END"
    " FROM ended JOIN mine USING (video_id) WHERE v.video_id = ended.video_id"
    " RETURNING v.video_id, ended.status, ended.said, ended.partition, ended.\"offset\"),"
    " news AS (SELECT * FROM written WHERE status IS NOT NULL),"
    " noted AS (INSERT INTO reelbus.history (video_id, at, what, detail, topic, partition, \"offset\")"
    " SELECT video_id, now(), 'polled', said, $11, partition, \"offset\" FROM news ON CONFLICT DO NOTHING),"
    " pruned AS (DELETE FROM reelbus.history h USING (SELECT news.video_id, (SELECT k.id FROM reelbus.history k"
    " WHERE k.video_id = news.video_id ORDER BY k.id DESC OFFSET " RB_HISTORY_MAX " LIMIT 1) AS id FROM news) AS last"
    " WHERE h.video_id = last.video_id AND h.id <= last.id)"
    " SELECT pg_notify('" RB_NOTIFY_CHANNEL "', video_id::text) FROM news";

/* $1 providers, $2 age, $3 how many, $4 statuses. All producers insert in one order, also rows that were made together. */
static const char adopt_template[] =
    "WITH adopted AS (INSERT INTO reelbus.video (video_id, user_id, state, provider, provider_video_id)"
    " SELECT h.{id}, h.{user_id}::text, 'waiting', h.{provider}::text, h.{provider_video_id}::text FROM {table} h"
    " WHERE h.{provider}::text = ANY($1::text[]) AND h.{provider_video_id}::text <> '' AND h.{video_url} IS NULL"
    " AND h.{created_at} > now() - " MS(
        2) " AND ($4::text[] = '{}' OR h.{status}::text = ANY($4::text[]))"
           " AND NOT EXISTS (SELECT FROM reelbus.video v WHERE v.video_id = h.{id})"
           " ORDER BY h.{created_at}, h.{id} LIMIT $3::bigint ON CONFLICT DO NOTHING RETURNING video_id)"
           " SELECT count(*) AS count, count(pg_notify('reelbus_video', video_id::text)) FROM adopted";

static void on_written(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_poll_lease *lease = RB_CAST(rb_poll_lease, arg, LEASE_MAGIC);

    (void)result;
    lease->pending--;
    if (err != NULL) /* the leases end by themselves, and the videos are asked for again */
        rb_log_error(NULL, RB_EV_POLL_UNWRITTEN, err, "");
}

static void send_settlements(void *arg)
{
    struct rb_poll_lease *lease = RB_CAST(rb_poll_lease, arg, LEASE_MAGIC);
    const char *values[COLUMN_COUNT + 1];
    struct rb_error err = {0};

    for (size_t i = 0; i < COLUMN_COUNT; i++)
        values[i] = rb_pg_array_end(&lease->columns[i]);
    values[COLUMN_COUNT] = lease->topic;
    lease->pending++;
    if (rb_pg_send(lease->pg, settle_sql, RB_COUNT(values), values, on_written, lease, NULL, &err) < 0)
        on_written(NULL, &err, lease);
    RB_FAIL_HERE(poll_settled);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        rb_buffer_done(&lease->columns[i]);
}

struct rb_poll_lease *rb_poll_lease_new(struct rb_loop *loop, struct rb_pg *pg, const struct rb_common_options *options,
                                        const struct rb_poll_policy *policy, const char *topic)
{
    struct rb_poll_lease *lease = rb_xalloc(sizeof(*lease));

    *lease = (struct rb_poll_lease){.magic = LEASE_MAGIC, .pg = pg, .topic = topic, .policy = *policy};
    if (options->column_provider[0] != '\0')
        lease->adopt_sql = rb_tables_sql(options, adopt_template);
    rb_task_init(&lease->send, loop, send_settlements, lease);
    return lease;
}

void rb_poll_lease_free(struct rb_poll_lease *lease)
{
    if (lease == NULL)
        return;
    rb_task_done(&lease->send);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        rb_buffer_done(&lease->columns[i]);
    free(lease->adopt_sql);
    lease->magic = 0;
    free(lease);
}

size_t rb_poll_lease_pending(const struct rb_poll_lease *lease)
{
    return lease->pending + (lease->send.queued ? 1 : 0);
}

static void read_row(const PGresult *result, int index, struct rb_poll_row *row)
{
    if (!rb_uuid_parse(rb_pg_text(result, index, "video_id"), row->video_id))
        RB_BUG("Postgres writes a UUID that is none");
    row->user_id = rb_xstrdup(rb_pg_text(result, index, "user_id"));
    row->provider_video_id = rb_xstrdup(rb_pg_text(result, index, "provider_video_id"));
    row->lease = rb_pg_number(result, index, "lease", 0);
    row->status = rb_xstrdup(rb_pg_text(result, index, "provider_status"));
    row->progress = rb_pg_number(result, index, "progress", RB_NO_LONG);
    row->polls = rb_pg_number(result, index, "polls", 0);
    row->announced = rb_pg_number(result, index, "poll_announced", 0);
    row->now_ms = rb_pg_number(result, index, "now_ms", 0);
    row->waiting_since_ms = rb_pg_number(result, index, "waiting_since_ms", 0);
    row->missing_since_ms = rb_pg_number(result, index, "missing_since_ms", RB_NO_LONG);
}

static void on_rows(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct taking *taking = RB_CAST(taking, arg, TAKING_MAGIC);
    size_t count = result != NULL ? (size_t)PQntuples(result) : 0;
    struct rb_poll_row *rows = rb_xalloc((count + 1) * sizeof(*rows));

    for (size_t i = 0; i < count; i++)
        read_row(result, (int)i, &rows[i]);
    if (count > 0)
        RB_FAIL_HERE(poll_leased);
    taking->on_rows(rows, count, err, taking->arg);
    free(rows);
    taking->magic = 0;
    free(taking);
}

static void on_count(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct taking *taking = RB_CAST(taking, arg, TAKING_MAGIC);

    taking->on_count(result != NULL ? rb_pg_number(result, 0, "count", 0) : 0, err, taking->arg);
    taking->magic = 0;
    free(taking);
}

static int send_taking(struct rb_poll_lease *lease, const char *sql, int count, const char *const *values,
                       struct taking model, struct rb_error *err)
{
    struct taking *taking = rb_xalloc(sizeof(*taking));

    *taking = model;
    if (rb_pg_send(lease->pg, sql, count, values, model.on_rows != NULL ? on_rows : on_count, taking, NULL, err) < 0) {
        free(taking);
        return -1;
    }
    return 0;
}

int rb_poll_lease_take(struct rb_poll_lease *lease, const struct rb_provider *provider, int64_t count, int64_t lease_ms,
                       rb_poll_lease_fn fn, void *arg, struct rb_error *err)
{
    const struct rb_poll_policy policy = rb_poll_plan_policy(&lease->policy, &provider->api);
    const int64_t numbers[] = {count,           lease_ms,        policy.interval_ms,
                               policy.grace_ms, policy.trust_ms, policy.announce_ms};
    char texts[RB_COUNT(numbers)][24];
    const char *values[1 + RB_COUNT(numbers)] = {provider->name};

    for (size_t i = 0; i < RB_COUNT(numbers); i++) {
        snprintf(texts[i], sizeof(texts[i]), "%" PRId64, numbers[i]);
        values[1 + i] = texts[i];
    }
    return send_taking(lease, take_sql, RB_COUNT(values), values,
                       (struct taking){.magic = TAKING_MAGIC, .on_rows = fn, .arg = arg}, err);
}

int rb_poll_lease_adopt(struct rb_poll_lease *lease, const struct rb_poll_adoption *adoption, rb_poll_count_fn fn,
                        void *arg, struct rb_error *err)
{
    char age[24], count[24];

    RB_ASSERT(lease->adopt_sql != NULL);
    snprintf(age, sizeof(age), "%" PRId64, adoption->age_ms);
    snprintf(count, sizeof(count), "%" PRId64, adoption->count);
    return send_taking(lease, lease->adopt_sql, 4,
                       (const char *const[]){adoption->providers, age, count, adoption->statuses},
                       (struct taking){.magic = TAKING_MAGIC, .on_count = fn, .arg = arg}, err);
}

static void add_number(struct rb_buffer *column, int64_t number)
{
    if (number == RB_NO_LONG)
        rb_pg_array_add(column, NULL);
    else
        rb_pg_array_add_number(column, number);
}

void rb_poll_lease_settle(struct rb_poll_lease *lease, const struct rb_poll_settlement *settlement)
{
    struct rb_buffer *columns = lease->columns;

    rb_pg_array_add(&columns[VIDEO], settlement->video_id);
    add_number(&columns[LEASE], settlement->lease);
    rb_pg_array_add(&columns[STATUS], settlement->status);
    add_number(&columns[PROGRESS], settlement->progress);
    add_number(&columns[MISSING], settlement->missing);
    add_number(&columns[ANNOUNCED], settlement->announced);
    add_number(&columns[NEXT_MS], settlement->next_ms);
    rb_pg_array_add(&columns[SAID], settlement->said);
    add_number(&columns[PARTITION], settlement->place.partition);
    add_number(&columns[OFFSET], settlement->place.offset);
    rb_task_queue(&lease->send);
}
