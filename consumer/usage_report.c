/*
 * usage_report.c — how much is stored, for people.
 *
 * Way:  consumer usage -> [usage_report] -> Postgres
 */
#include "consumer/usage_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/sums.h"
#include "consumer/command_sql.h"
#include "consumer/usage_report_show.h"

static int read_report(struct rb_command *command, json_t **ret_report, struct rb_error *err)
{
    const struct rb_command_options *flags = &command->options->command;
    char days[24], top[24];
    const char *values[RB_SUMS_VALUES] = {flags->user[0] != '\0' ? flags->user : NULL, days, top, NULL};
    RB_AUTO_RESULT *result = NULL;

    snprintf(days, sizeof(days), "%" PRId64, flags->days);
    snprintf(top, sizeof(top), "%" PRId64, flags->top);
    RB_TRY(rb_command_query(command, rb_sums_sql(), RB_COUNT(values), values, &result, err));

    return rb_sums_read(result, ret_report, err);
}

/* -- the marks ----------------------------------------------------------------------------------------------------- */

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

/* The quota of our own options; without one, that which the consumers have noted. */
static int complete(struct rb_command *command, json_t *report, enum rb_marks_level *ret_level, struct rb_error *err)
{
    const struct consumer_options *options = command->options;
    struct rb_marks marks = {0};
    json_t *store;
    size_t i;

    RB_TRY(read_marks(options, options->command.user[0] != '\0', &marks, err));
    json_array_foreach(json_object_get(report, "stores"), i, store)
    {
        if (marks.quota_bytes > 0 && is_first_store(store, options))
            rb_sums_set_quota(store, &marks);
        if (is_first_store(store, options))
            *ret_level = rb_sums_level(store);
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
