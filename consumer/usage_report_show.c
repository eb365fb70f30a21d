/*
 * usage_report_show.c — what is stored, as tables and bars.
 *
 * Way:  usage_report -> [usage_report_show]
 */
#include "consumer/usage_report_show.h"

#include <inttypes.h>

#include "common/show.h"

#define BAR_COLUMNS  40
#define NAME_COLUMNS 36

static int64_t number_of(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static bool has(const json_t *object, const char *member)
{
    return json_is_integer(json_object_get(object, member));
}

/* The longest bar is the largest amount, in either direction. */
static int64_t largest_of(const json_t *rows)
{
    int64_t largest = 1;
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        int64_t bytes = number_of(row, "bytes");

        largest = RB_MAX(largest, bytes < 0 ? -bytes : bytes);
    }
    return largest;
}

/* What has gone is drawn with another sign. */
static void add_bar(struct rb_buffer *text, int64_t bytes, int64_t largest)
{
    double share = (double)(bytes < 0 ? -bytes : bytes) / (double)largest;
    int columns = (int)(share * BAR_COLUMNS + 0.5);

    for (int i = 0; i < columns; i++)
        rb_buffer_print(text, i == 0 ? "  %c" : "%c", bytes < 0 ? '-' : '#');
    if (columns == 0 && bytes != 0)
        rb_buffer_print(text, "  .");
    rb_buffer_print(text, "\n");
}

static void add_quota(struct rb_buffer *text, const json_t *store)
{
    const json_t *quota = json_object_get(store, "quota");
    char all[RB_SHOW_TEXT_BYTES], warn[RB_SHOW_TEXT_BYTES], stop[RB_SHOW_TEXT_BYTES];
    int64_t quota_bytes = number_of(quota, "quota_bytes");

    if (quota_bytes <= 0)
        return;
    rb_buffer_print(text, " of %s (%d%%); warns at %s, stops at %s", rb_show_bytes(quota_bytes, all),
                    (int)((double)number_of(store, "bytes") * 100 / (double)quota_bytes),
                    rb_show_bytes(number_of(quota, "warn_bytes"), warn),
                    rb_show_bytes(number_of(quota, "stop_bytes"), stop));
}

static void add_forecast(struct rb_buffer *text, const json_t *store)
{
    const json_t *quota = json_object_get(store, "quota");
    char amount[RB_SHOW_TEXT_BYTES];

    if (has(store, "daily_bytes"))
        rb_buffer_print(text, "  growth   %s a day, in the last week\n",
                        rb_show_bytes(number_of(store, "daily_bytes"), amount));
    if (!has(quota, "days_left"))
        return;
    if (number_of(quota, "days_left") == 0)
        rb_buffer_print(text, "  full     now, or within a day\n");
    else
        rb_buffer_print(text, "  full     in %s days\n", rb_show_count(number_of(quota, "days_left"), amount));
}

static void add_days(struct rb_buffer *text, const json_t *days)
{
    int64_t largest = largest_of(days);
    char videos[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES];
    const json_t *day;
    size_t i;

    if (json_array_size(days) == 0)
        return;
    rb_buffer_print(text, "\n  %-10s %10s %12s\n", "day", "videos", "bytes");
    json_array_foreach(days, i, day)
    {
        rb_buffer_print(text, "  %-10s %10s %12s", rb_json_text(day, "day"),
                        rb_show_count(number_of(day, "videos"), videos), rb_show_bytes(number_of(day, "bytes"), bytes));
        add_bar(text, number_of(day, "bytes"), largest);
    }
}

static void add_store(struct rb_buffer *text, const json_t *store)
{
    char amount[RB_SHOW_TEXT_BYTES];

    rb_buffer_print(text, "%s ", rb_json_text(store, "store"));
    rb_show_text(text, rb_json_text(store, "bucket"), strlen(rb_json_text(store, "bucket")));
    rb_buffer_print(text, "\n  videos   %s", rb_show_count(number_of(store, "videos"), amount));
    if (has(store, "users"))
        rb_buffer_print(text, " of %s users", rb_show_count(number_of(store, "users"), amount));
    rb_buffer_print(text, "\n  bytes    %s", rb_show_bytes(number_of(store, "bytes"), amount));
    add_quota(text, store);
    if (number_of(store, "held_bytes") > 0)
        rb_buffer_print(text, "\n  coming   %s", rb_show_bytes(number_of(store, "held_bytes"), amount));
    rb_buffer_print(text, "\n");
    add_forecast(text, store);
    add_days(text, json_object_get(store, "days"));
    rb_buffer_print(text, "\n");
}

/* A column of text that others wrote: by characters, cut with a tilde. */
static void add_name(struct rb_buffer *text, const char *name)
{
    RB_AUTO_BUFFER clean = {0};
    size_t columns = 0, at = 0;

    rb_show_text(&clean, name[0] != '\0' ? name : "(nobody's)", strlen(name[0] != '\0' ? name : "(nobody's)"));
    while (at < clean.used && columns < NAME_COLUMNS - 1) {
        at += RB_MAX(rb_show_character(clean.bytes + at, clean.used - at), (size_t)1);
        columns++;
    }
    rb_buffer_add(text, clean.bytes, at);
    if (at < clean.used)
        rb_buffer_print(text, "~");
    rb_buffer_print(text, "%*s", (int)(NAME_COLUMNS - columns - (at < clean.used ? 1 : 0)), "");
}

static void add_users(struct rb_buffer *text, const json_t *users)
{
    int64_t largest = largest_of(users);
    char videos[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES];
    const json_t *user;
    size_t i;

    if (json_array_size(users) == 0)
        return;
    rb_buffer_print(text, "%-*s %10s %12s\n", NAME_COLUMNS, "user", "videos", "bytes");
    json_array_foreach(users, i, user)
    {
        add_name(text, rb_json_text(user, "user_id"));
        rb_buffer_print(text, " %10s %12s", rb_show_count(number_of(user, "videos"), videos),
                        rb_show_bytes(number_of(user, "bytes"), bytes));
        add_bar(text, number_of(user, "bytes"), largest);
    }
}

void rb_usage_report_show(const json_t *report, struct rb_buffer *text)
{
    const json_t *stores = json_object_get(report, "stores");
    const json_t *store;
    size_t i;

    if (json_array_size(stores) == 0)
        rb_buffer_print(text, "nothing is stored\n");
    json_array_foreach(stores, i, store)
    {
        add_store(text, store);
    }
    add_users(text, json_object_get(report, "users"));
}
