/*
 * usage_report.c — how much is stored, for people.
 *
 * Way:  consumer usage -> [usage_report] -> Postgres
 */
#include "consumer/usage_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "consumer/command_sql.h"
#include "consumer/marks.h"
#include "consumer/usage_report_show.h"

#define DAY_MS 86400000

/* SQL reads best as SQL. */
/* clang-format off */

/* $1 user, NULL for all; $2 how many days; $3 how many users. Days are those of UTC, as the database counts them; of one user
 * they are what was stored then and is still there. */
static const char report_sql[] =
    "WITH today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day),"
    " sums AS (SELECT store, bucket, sum(bytes)::bigint AS bytes, sum(videos)::bigint AS videos FROM reelbus.usage_in_all"
    "  WHERE $1::text IS NULL GROUP BY 1, 2"
    "  UNION ALL SELECT store, bucket, bytes, videos FROM reelbus.usage WHERE user_id = $1),"
    " counted AS (SELECT store, bucket, day, sum(bytes)::bigint AS bytes, sum(videos)::bigint AS videos FROM reelbus.usage_day"
    "  WHERE $1::text IS NULL AND day > (SELECT day FROM today) - greatest($2::int, 8) GROUP BY 1, 2, 3"
    "  UNION ALL SELECT coalesce(store, ''), coalesce(bucket, ''), (stored_at AT TIME ZONE 'UTC')::date,"
    "   sum(coalesce(bytes, 0) + variants_bytes)::bigint, count(*) FROM reelbus.video"
    "  WHERE $1::text IS NOT NULL AND coalesce(user_id, '') = $1 AND state = 'stored'"
    "   AND stored_at > now() - (greatest($2::int, 8) + 1) * interval '1 day' GROUP BY 1, 2, 3),"
    " week AS (SELECT store, bucket, sum(bytes)::bigint AS bytes,"
    "  (extract(epoch FROM (now() AT TIME ZONE 'UTC') - min(day)) * 1000)::bigint AS over_ms FROM counted"
    "  WHERE day >= (SELECT day FROM today) - 7 GROUP BY 1, 2),"
    " held AS (SELECT held_store AS store, held_bucket AS bucket, sum(held_bytes)::bigint AS bytes FROM reelbus.video"
    "  WHERE state = 'processing' AND held_bytes IS NOT NULL AND held_at > now() - interval '1 day'"
    "   AND ($1::text IS NULL OR coalesce(user_id, '') = $1) GROUP BY 1, 2)"
    " SELECT json_build_object('user_id', $1::text, 'stores', (SELECT coalesce(json_agg(json_build_object("
    "  'store', s.store, 'bucket', s.bucket, 'bytes', s.bytes, 'videos', s.videos,"
    "  'users', CASE WHEN $1::text IS NULL THEN (SELECT count(*) FROM reelbus.usage u"
    "   WHERE u.store = s.store AND u.bucket = s.bucket AND u.videos > 0) END,"
    "  'held_bytes', coalesce(held.bytes, 0), 'grown_bytes', coalesce(week.bytes, 0), 'over_ms', coalesce(week.over_ms, 0),"
    "  'days', (SELECT json_agg(json_build_object('day', d.day::date, 'bytes', coalesce(c.bytes, 0),"
    "   'videos', coalesce(c.videos, 0)) ORDER BY d.day)"
    "   FROM today, generate_series(today.day - ($2::int - 1), today.day, interval '1 day') AS d (day)"
    "   LEFT JOIN counted c ON c.store = s.store AND c.bucket = s.bucket AND c.day = d.day::date)"
    "  ) ORDER BY s.bytes DESC, s.store, s.bucket), '[]') FROM sums s LEFT JOIN week USING (store, bucket)"
    "  LEFT JOIN held USING (store, bucket)),"
    " 'users', (SELECT coalesce(json_agg(row_to_json(u)), '[]') FROM (SELECT store, bucket, user_id, bytes, videos"
    "  FROM reelbus.usage WHERE videos > 0 AND ($1::text IS NULL OR user_id = $1)"
    "  ORDER BY bytes DESC, user_id LIMIT $3::int) AS u))::text";
/* clang-format on */

static int read_report(struct rb_command *command, json_t **ret_report, struct rb_error *err)
{
    const struct rb_command_options *flags = &command->options->command;
    char days[24], top[24];
    const char *values[] = {flags->user[0] != '\0' ? flags->user : NULL, days, top};
    RB_AUTO_RESULT *result = NULL;

    snprintf(days, sizeof(days), "%" PRId64, flags->days);
    snprintf(top, sizeof(top), "%" PRId64, flags->top);
    RB_TRY(rb_command_query(command, report_sql, RB_COUNT(values), values, &result, err));

    const char *text = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";

    *ret_report = rb_json_parse_trusted(text, strlen(text));
    return *ret_report != NULL ? 0 : rb_fail(err, RB_E_DB_REFUSED, 0, "the database gives a report that is no JSON");
}

/* -- the marks ----------------------------------------------------------------------------------------------------- */

static int64_t number_of(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static bool is_first_store(const json_t *store, const struct consumer_options *options)
{
    return strcmp(rb_json_text(store, "store"), options->store) == 0 &&
           strcmp(rb_json_text(store, "bucket"), options->bucket) == 0;
}

static int read_marks(const struct consumer_options *options, bool of_user, struct rb_marks *ret_marks,
                      struct rb_error *err)
{
    if (of_user)
        return rb_marks_read("quota_user_bytes", options->quota_user_bytes, options->quota_user_warn_at,
                             options->quota_user_stop_at, ret_marks, err);
    return rb_marks_read("quota_bytes", options->quota_bytes, options->quota_warn_at, options->quota_stop_at, ret_marks,
                         err);
}

static enum rb_marks_level add_quota(json_t *store, const struct rb_marks *marks)
{
    static const char *const level_names[] = {"well", "warn", "stop"};
    int64_t bytes = number_of(store, "bytes");
    enum rb_marks_level level = rb_marks_level(marks, bytes);
    int64_t days = rb_marks_days_left(marks, bytes, number_of(store, "grown_bytes"), number_of(store, "over_ms"));

    json_object_set_new(store, "quota",
                        json_pack("{sI sI sI ss so}", "quota_bytes", (json_int_t)marks->quota_bytes, "warn_bytes",
                                  (json_int_t)marks->warn_bytes, "stop_bytes", (json_int_t)marks->stop_bytes, "level",
                                  level_names[level], "days_left", days >= 0 ? json_integer(days) : json_null()));
    return level;
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

static int complete(struct rb_command *command, json_t *report, enum rb_marks_level *ret_level, struct rb_error *err)
{
    const struct consumer_options *options = command->options;
    struct rb_marks marks = {0};
    json_t *store;
    size_t i;

    RB_TRY(read_marks(options, options->command.user[0] != '\0', &marks, err));
    json_array_foreach(json_object_get(report, "stores"), i, store)
    {
        add_growth(store);
        if (marks.quota_bytes > 0 && is_first_store(store, options))
            *ret_level = add_quota(store, &marks);
    }
    return 0;
}

int rb_usage_report(struct rb_command *command)
{
    enum rb_marks_level level = RB_MARKS_WELL;
    RB_AUTO_JSON *report = NULL;
    RB_AUTO_BUFFER text = {0};
    struct rb_error err = {0};

    if (read_report(command, &report, &err) < 0 || complete(command, report, &level, &err) < 0)
        return rb_command_fail(command, &err);
    if (command->options->command.json) {
        rb_command_print(command, json_incref(report));
    } else {
        rb_usage_report_show(report, &text);
        fputs(text.bytes, stdout);
    }
    return level == RB_MARKS_STOP ? RB_EXIT_FOUND : RB_EXIT_OK;
}
