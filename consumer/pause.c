/*
 * pause.c — an operator wants nothing stored for now, or wants it again.
 *
 * Way:  consumer pause, resume, drain -> [pause] -> Postgres
 */
#include "consumer/pause.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "common/show.h"
#include "consumer/command_sql.h"

/* How a moment is read from the row, whatever the session's time zone is. */
#define MOMENT(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define SHOW                                                                                                           \
    " pause, reason, paused_by, " MOMENT("paused_at") " AS at, " MOMENT(                                               \
        "nullif(paused_until, 'infinity')") " AS until, paused_until > clock_timestamp() AS in_force,"                 \
                                            " (extract(epoch FROM nullif(paused_until, 'infinity') - clock_timestamp()) * 1000)::bigint AS left_ms"

/* $1 group. */
static const char show_sql[] = "SELECT" SHOW " FROM reelbus.control WHERE consumer_group = $1";

/* $1 group, $2 how long, 0 for ever, $3 why, $4 who. Each one has a new number: what members have told before is out of date. */
static const char pause_sql[] =
    "INSERT INTO reelbus.control AS c (consumer_group, pause, paused_until, reason, paused_by, paused_at)"
    " VALUES ($1, 1, CASE WHEN $2::bigint = 0 THEN 'infinity' ELSE clock_timestamp() + $2::bigint * interval '1 ms' END,"
    " $3, $4, clock_timestamp()) ON CONFLICT (consumer_group) DO UPDATE SET pause = c.pause + 1,"
    " paused_until = excluded.paused_until, reason = excluded.reason, paused_by = excluded.paused_by,"
    " paused_at = excluded.paused_at RETURNING" SHOW;

/* $1 group. No row when it was not paused. */
static const char resume_sql[] = "UPDATE reelbus.control SET paused_until = clock_timestamp()"
                                 " WHERE consumer_group = $1 AND paused_until > clock_timestamp() RETURNING" SHOW;

static const struct rb_command_options *flags_of(const struct rb_command *command)
{
    return &command->options->command;
}

void rb_pause_done(struct rb_pause *pause)
{
    free(pause->until);
    free(pause->at);
    free(pause->by);
    free(pause->reason);
    *pause = (struct rb_pause){0};
}

static char *text_of(const PGresult *result, const char *column)
{
    const char *text = rb_pg_text(result, 0, column);

    return text != NULL ? rb_xstrdup(text) : NULL;
}

static int ask(struct rb_command *command, const char *sql, int count, const char *const *values,
               struct rb_pause *ret_pause, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(rb_command_query(command, sql, count, values, &result, err));
    *ret_pause = (struct rb_pause){.left_ms = -1};
    if (PQntuples(result) == 0)
        return 0;
    *ret_pause = (struct rb_pause){
        .in_force = rb_pg_is_true(result, 0, "in_force"),
        .number = rb_pg_number(result, 0, "pause", 0),
        .left_ms = rb_pg_number(result, 0, "left_ms", -1),
        .until = text_of(result, "until"),
        .at = text_of(result, "at"),
        .by = text_of(result, "paused_by"),
        .reason = text_of(result, "reason"),
    };
    return 0;
}

/* -- words --------------------------------------------------------------------------------------------------------- */

json_t *rb_pause_json(const struct rb_command *command, const struct rb_pause *pause)
{
    json_t *value = json_object();

    json_object_set_new(value, "group", rb_command_text(command->options->group));
    json_object_set_new(value, "paused", json_boolean(pause->in_force));
    if (pause->number == 0)
        return value;
    json_object_set_new(value, "until", rb_command_text(pause->until));
    json_object_set_new(value, "at", rb_command_text(pause->at));
    json_object_set_new(value, "by", rb_command_text(pause->by));
    json_object_set_new(value, "reason", rb_command_text(pause->reason));
    return value;
}

/* Who it was and why, as he wrote it: a terminal obeys none of it. */
static void add_who(const struct rb_pause *pause, struct rb_buffer *text)
{
    rb_buffer_print(text, ", since %s by ", pause->at);
    rb_show_text(text, pause->by, strlen(pause->by));
    if (pause->reason[0] != '\0')
        rb_buffer_print(text, ": ");
    rb_show_text(text, pause->reason, strlen(pause->reason));
}

void rb_pause_show(const struct rb_command *command, const struct rb_pause *pause, struct rb_buffer *text)
{
    char left[RB_SHOW_TEXT_BYTES];

    rb_buffer_print(text, "group %s: ", command->options->group);
    if (!pause->in_force) {
        rb_buffer_print(text, "not paused");
        return;
    }
    if (pause->until == NULL)
        rb_buffer_print(text, "paused until resume");
    else
        rb_buffer_print(text, "paused until %s (%s)", pause->until, rb_show_ms(pause->left_ms, left));
    add_who(pause, text);
}

static void print(struct rb_command *command, const struct rb_pause *pause)
{
    RB_AUTO_BUFFER text = {0};

    if (flags_of(command)->json) {
        rb_command_print(command, rb_pause_json(command, pause));
        return;
    }
    rb_pause_show(command, pause, &text);
    puts(text.bytes);
}

/* -- the commands -------------------------------------------------------------------------------------------------- */

static char *who_am_i(void)
{
    const struct passwd *entry = getpwuid(getuid());
    char host[256] = "";

    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = '\0';
    if (entry == NULL)
        return rb_xprintf("%d@%s", (int)getuid(), host);
    return rb_xprintf("%s@%s", entry->pw_name, host);
}

int rb_pause_begin(struct rb_command *command, const char *why, struct rb_pause *ret_pause, struct rb_error *err)
{
    const struct rb_command_options *flags = flags_of(command);
    RB_AUTO_TEXT *who = who_am_i();
    char lasts[24];
    const char *values[] = {command->options->group, lasts, flags->reason[0] != '\0' ? flags->reason : why, who};

    if (flags->dry_run)
        return ask(command, show_sql, 1, values, ret_pause, err);
    snprintf(lasts, sizeof(lasts), "%" PRId64, flags->lasts);
    return ask(command, pause_sql, RB_COUNT(values), values, ret_pause, err);
}

int rb_pause(struct rb_command *command)
{
    struct rb_pause pause = {0};
    struct rb_error err = {0};

    if (rb_pause_begin(command, "", &pause, &err) < 0)
        return rb_command_fail(command, &err);
    print(command, &pause);
    rb_pause_done(&pause);
    return RB_EXIT_OK;
}

static void print_resumed(struct rb_command *command, const struct rb_pause *pause)
{
    RB_AUTO_BUFFER text = {0};

    if (flags_of(command)->json) {
        json_t *value = rb_pause_json(command, pause);

        json_object_set_new(value, "resumed", json_boolean(pause->number != 0));
        rb_command_print(command, value);
        return;
    }
    rb_buffer_print(&text, "group %s: ", command->options->group);
    if (pause->number == 0) {
        rb_buffer_print(&text, "it was not paused");
    } else {
        rb_buffer_print(&text, "goes on; it was paused");
        add_who(pause, &text);
    }
    puts(text.bytes);
}

int rb_resume(struct rb_command *command)
{
    const char *values[] = {command->options->group};
    bool dry_run = flags_of(command)->dry_run;
    struct rb_pause pause = {0};
    struct rb_error err = {0};

    if (ask(command, dry_run ? show_sql : resume_sql, RB_COUNT(values), values, &pause, &err) < 0)
        return rb_command_fail(command, &err);
    if (dry_run)
        print(command, &pause);
    else
        print_resumed(command, &pause);
    rb_pause_done(&pause);
    return RB_EXIT_OK;
}
