/*
 * sums.c — how much is stored, by store, day and user.
 *
 * Way:  common
 */
#include "common/sums.h"

#define DAY_MS 86400000

/* SQL reads best as SQL. */
/* clang-format off */

/* Days are those of UTC, as the database counts them; of one user they are what was stored then and is still there. What one user
 * has is found by indexes, store by store. */
static const char sums_sql[] =
    "WITH today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day),"
    " sums AS (SELECT store, bucket, sum(bytes)::bigint AS bytes, sum(videos)::bigint AS videos FROM reelbus.usage_in_all"
    "  WHERE $1::text IS NULL GROUP BY 1, 2"
    "  UNION ALL SELECT u.store, u.bucket, u.bytes, u.videos FROM (SELECT DISTINCT store, bucket FROM reelbus.usage_in_all) AS p"
    "  JOIN reelbus.usage u ON u.store = p.store AND u.bucket = p.bucket AND u.user_id = $1),"
    " counted AS (SELECT store, bucket, day, sum(bytes)::bigint AS bytes, sum(videos)::bigint AS videos FROM reelbus.usage_day"
    "  WHERE $1::text IS NULL AND day > (SELECT day FROM today) - greatest($2::int, 8) GROUP BY 1, 2, 3"
    "  UNION ALL SELECT s.store, s.bucket, d.* FROM sums s CROSS JOIN LATERAL ("
    "   SELECT (v.stored_at AT TIME ZONE 'UTC')::date, sum(coalesce(v.bytes, 0) + v.variants_bytes)::bigint, count(*)"
    "   FROM reelbus.video v WHERE v.store = s.store AND v.bucket = s.bucket AND coalesce(v.user_id, '') = $1"
    "    AND v.state = 'stored' AND v.stored_at > now() - (greatest($2::int, 8) + 1) * interval '1 day' GROUP BY 1) AS d"
    "  WHERE $1::text IS NOT NULL),"
    " week AS (SELECT store, bucket, sum(bytes)::bigint AS bytes,"
    "  (extract(epoch FROM (now() AT TIME ZONE 'UTC') - min(day)) * 1000)::bigint AS over_ms FROM counted"
    "  WHERE day >= (SELECT day FROM today) - 7 GROUP BY 1, 2),"
    " held AS (SELECT held_store AS store, held_bucket AS bucket, sum(held_bytes)::bigint AS bytes FROM reelbus.video"
    "  WHERE state = 'processing' AND held_bytes IS NOT NULL AND held_at > now() - interval '1 day'"
    "   AND ($1::text IS NULL OR coalesce(user_id, '') = $1) GROUP BY 1, 2)"
    " SELECT json_build_object('user_id', $1::text, 'stores', (SELECT coalesce(json_agg(json_build_object("
    "  'store', s.store, 'bucket', s.bucket, 'bytes', s.bytes, 'videos', s.videos,"
    "  'users', CASE WHEN $1::text IS NULL THEN (SELECT count(*) FROM (SELECT FROM reelbus.usage u"
    "   WHERE u.store = s.store AND u.bucket = s.bucket AND u.videos > 0 LIMIT $4::bigint) AS few) END,"
    "  'held_bytes', coalesce(held.bytes, 0), 'grown_bytes', coalesce(week.bytes, 0), 'over_ms', coalesce(week.over_ms, 0),"
    "  'noted', (SELECT row_to_json(q) FROM reelbus.quota q WHERE q.store = s.store AND q.bucket = s.bucket"
    "   AND q.of_user = ($1::text IS NOT NULL)),"
    "  'days', (SELECT json_agg(json_build_object('day', d.day::date, 'bytes', coalesce(c.bytes, 0),"
    "   'videos', coalesce(c.videos, 0)) ORDER BY d.day)"
    "   FROM today, generate_series(today.day - ($2::int - 1), today.day, interval '1 day') AS d (day)"
    "   LEFT JOIN counted c ON c.store = s.store AND c.bucket = s.bucket AND c.day = d.day::date)"
    "  ) ORDER BY s.bytes DESC, s.store, s.bucket), '[]') FROM sums s LEFT JOIN week USING (store, bucket)"
    "  LEFT JOIN held USING (store, bucket)),"
    " 'users', (SELECT coalesce(json_agg(row_to_json(u)), '[]') FROM ("
    "  (SELECT store, bucket, user_id, bytes, videos FROM reelbus.usage WHERE $1::text IS NULL AND videos > 0"
    "   ORDER BY bytes DESC, user_id LIMIT $3::int)"
    "  UNION ALL (SELECT store, bucket, $1::text, bytes, videos FROM sums WHERE $1::text IS NOT NULL AND videos > 0"
    "   ORDER BY bytes DESC)) AS u))::text";
/* clang-format on */

const char *rb_sums_sql(void)
{
    return sums_sql;
}

static int64_t number_of(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

/* Over how long it was, the database knows; under a day says nothing about days. */
static void add_growth(json_t *store)
{
    int64_t over_ms = number_of(store, "over_ms");
    double days = (double)over_ms / DAY_MS;

    json_object_set_new(store, "daily_bytes",
                        over_ms >= DAY_MS ? json_integer((int64_t)((double)number_of(store, "grown_bytes") / days))
                                          : json_null());
}

static void add_noted_quota(json_t *store)
{
    const json_t *noted = json_object_get(store, "noted");
    const struct rb_marks marks = {
        .quota_bytes = number_of(noted, "quota_bytes"),
        .warn_bytes = number_of(noted, "warn_bytes"),
        .stop_bytes = number_of(noted, "stop_bytes"),
    };

    if (marks.quota_bytes > 0)
        rb_sums_set_quota(store, &marks);
    json_object_del(store, "noted");
}

int rb_sums_read(const PGresult *result, json_t **ret_report, struct rb_error *err)
{
    const char *text = PQntuples(result) == 1 && PQnfields(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    json_t *report = rb_json_parse_trusted(text, strlen(text));
    json_t *store;
    size_t i;

    if (report == NULL)
        return rb_fail(err, RB_E_DB_REFUSED, 0, "the database gives a report that is no JSON");
    json_array_foreach(json_object_get(report, "stores"), i, store)
    {
        add_growth(store);
        add_noted_quota(store);
    }
    *ret_report = report;
    return 0;
}

void rb_sums_set_quota(json_t *store, const struct rb_marks *marks)
{
    int64_t bytes = number_of(store, "bytes");
    int64_t days = rb_marks_days_left(marks, bytes, number_of(store, "grown_bytes"), number_of(store, "over_ms"));

    json_object_set_new(store, "quota",
                        json_pack("{sI sI sI ss so}", "quota_bytes", (json_int_t)marks->quota_bytes, "warn_bytes",
                                  (json_int_t)marks->warn_bytes, "stop_bytes", (json_int_t)marks->stop_bytes, "level",
                                  rb_marks_level_name(rb_marks_level(marks, bytes)), "days_left",
                                  days >= 0 ? json_integer(days) : json_null()));
}

enum rb_marks_level rb_sums_level(const json_t *store)
{
    const json_t *quota = json_object_get(store, "quota");
    const struct rb_marks marks = {
        .quota_bytes = number_of(quota, "quota_bytes"),
        .warn_bytes = number_of(quota, "warn_bytes"),
        .stop_bytes = number_of(quota, "stop_bytes"),
    };

    return rb_marks_level(&marks, number_of(store, "bytes"));
}
