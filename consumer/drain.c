/*
 * drain.c — have nothing stored any more, and wait until nothing runs.
 *
 * Way:  consumer drain -> [drain] -> pause
 *
 * What runs, each member tells the database once it knows of the pause. Rows that are claimed would not do: a claim also has
 * what only waits, for its retry perhaps, and what a killed process has left. Who has not told is found by asking Kafka how many
 * members the group has: a program of an earlier version, one that hangs, one that the database does not reach. So the
 * answer is never "nothing runs" because nobody has said anything.
 */
#include "consumer/drain.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/kafka.h"
#include "common/show.h"
#include "consumer/command_sql.h"
#include "consumer/pause.h"

#define LOOK_MS  250
#define KAFKA_MS 5000
#define NOTICED  "3 s" /* until then somebody may join who does not know of the pause; members look once a second */

/* $1 group, $2 number of the pause. */
static const char members_sql[] =
    "SELECT count(*) AS members, coalesce(sum(in_flight), 0)::bigint AS in_flight,"
    " EXISTS (SELECT FROM reelbus.control WHERE consumer_group = $1 AND paused_until > clock_timestamp()) AS in_force,"
    " EXISTS (SELECT FROM reelbus.control WHERE consumer_group = $1 AND paused_at <= clock_timestamp() - interval '" NOTICED
    "') AS noticed"
    " FROM reelbus.member WHERE consumer_group = $1 AND pause >= $2::bigint AND told_at > clock_timestamp() - interval '10 s'";

struct drain {
    struct rb_command *command; /* borrowed */
    struct rb_kafka *kafka;
    struct rb_timer *timer;
    struct rb_pause pause;
    int64_t begun_ms;
    int64_t members;   /* who have told */
    int64_t in_flight; /* what they tell */
    int64_t most;      /* that was in flight */
    int64_t ended;     /* of these, by now */
    int64_t known;     /* members that Kafka knows; -1 when it does not tell */
    bool noticed;      /* whoever joins now knows of the pause */
    bool known_since;  /* and these are the members since then */
    struct rb_error kafka_error;
};

static const struct rb_command_options *flags_of(const struct drain *drain)
{
    return &drain->command->options->command;
}

/* -- who there is -------------------------------------------------------------------------------------------------- */

/* On the pool. */
static void ask_kafka(void *arg)
{
    struct drain *drain = arg;
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_list_groups(rb_kafka_handle(drain->kafka), drain->command->options->group, &list, KAFKA_MS);
    bool is_there = list != NULL && list->group_cnt == 1;

    drain->known_since = drain->noticed;
    drain->known = is_there ? list->groups[0].member_cnt : 0;
    if (is_there && (code == RD_KAFKA_RESP_ERR__PARTIAL || code == RD_KAFKA_RESP_ERR_NO_ERROR))
        code = list->groups[0].err; /* it does not matter which other broker has not answered */
    if (list != NULL)
        rd_kafka_group_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    drain->known = -1;
    rb_fail(&drain->kafka_error, RB_E_KAFKA_AWAY, code, "Kafka does not tell who is in the group: %s",
            rd_kafka_err2str(code));
}

static void show_progress(struct drain *drain)
{
    int64_t ended;

    drain->most = RB_MAX(drain->most, drain->in_flight);
    ended = drain->most - drain->in_flight;
    rb_bar_set_total(drain->command->bar, drain->most);
    rb_bar_add(drain->command->bar, ended - drain->ended);
    drain->ended = ended;
}

static int ask_members(struct drain *drain, struct rb_error *err)
{
    char number[24];
    const char *values[] = {drain->command->options->group, number};
    RB_AUTO_RESULT *result = NULL;

    snprintf(number, sizeof(number), "%" PRId64, drain->pause.number);
    RB_TRY(rb_command_query(drain->command, members_sql, RB_COUNT(values), values, &result, err));
    drain->members = rb_pg_number(result, 0, "members", 0);
    drain->in_flight = rb_pg_number(result, 0, "in_flight", 0);
    drain->pause.in_force = rb_pg_is_true(result, 0, "in_force");
    drain->noticed = rb_pg_is_true(result, 0, "noticed");
    show_progress(drain);
    return 0;
}

static bool is_drained(const struct drain *drain)
{
    return drain->pause.in_force && drain->known_since && drain->known >= 0 && drain->members >= drain->known &&
           drain->in_flight == 0;
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

/* Kafka first: who joins after that finds the group paused, once the pause is old enough. */
static int wait_until_drained(struct drain *drain, struct rb_error *err)
{
    int64_t until_ms = drain->begun_ms + flags_of(drain)->timeout;

    while (!drain->command->stopped) {
        rb_command_block(drain->command, ask_kafka, drain);
        RB_TRY(ask_members(drain, err));
        if (is_drained(drain) || !drain->pause.in_force || rb_clock_ms() >= until_ms)
            return 0;
        rb_timer_start(drain->timer, LOOK_MS);
        (void)rb_command_wait(drain->command);
    }
    return rb_fail(err, RB_E_SYSTEM, 0, "ended before nothing ran any more");
}

static void print_result(const struct drain *drain)
{
    int64_t silent = RB_MAX(drain->known - drain->members, 0);
    int64_t took_ms = rb_clock_ms() - drain->begun_ms;
    char took[RB_SHOW_TEXT_BYTES];

    if (flags_of(drain)->json) {
        json_t *value = rb_pause_json(drain->command, &drain->pause);

        json_object_set_new(value, "drained", json_boolean(is_drained(drain)));
        json_object_set_new(value, "in_flight", json_integer(drain->in_flight));
        json_object_set_new(value, "members", json_integer(drain->members));
        json_object_set_new(value, "silent", json_integer(silent));
        json_object_set_new(value, "took_ms", json_integer(took_ms));
        rb_command_print(drain->command, value);
        return;
    }
    printf("group %s: %s, %" PRId64 " in flight in %" PRId64 " members, %" PRId64 " members have not told, %s\n",
           drain->command->options->group, is_drained(drain) ? "drained" : "not drained", drain->in_flight,
           drain->members, silent, rb_show_ms(took_ms, took));
}

static int status_of(struct drain *drain)
{
    if (is_drained(drain) && drain->known == 0)
        rb_command_note(drain->command, "Kafka knows no member of this group");
    if (is_drained(drain))
        return RB_EXIT_OK;
    if (!drain->pause.in_force)
        rb_command_note(drain->command, "somebody has resumed the group, or its pause is over");
    else if (drain->known < 0)
        rb_command_note(drain->command, "%s; the group stays paused", drain->kafka_error.message);
    else
        rb_command_note(drain->command, "the time is up; the group stays paused");
    return RB_EXIT_FOUND;
}

static void on_event(rd_kafka_event_t *event, void *arg)
{
    (void)event; /* of errors, which are in the log: who is in the group is asked again */
    (void)arg;
}

static int drain_open(struct drain *drain, struct rb_error *err)
{
    struct rb_command *command = drain->command;
    const struct rb_common_options *options = &command->options->common;
    const struct rb_kafka_config config = {options->kafka_brokers, "reelbus-drain", options->kafka};
    const struct rb_bar_config bar = rb_bar_config_of("drain", "records", -1);
    static const char *const settings[] = {NULL};

    RB_TRY(rb_kafka_open(command->loop, RD_KAFKA_PRODUCER, &config, settings, on_event, drain, &drain->kafka, err));
    RB_TRY(rb_pause_begin(command, "drain", &drain->pause, err));
    command->bar = rb_bar_new(command->loop, &bar);
    return 0;
}

static int dry_run(struct drain *drain)
{
    RB_AUTO_BUFFER text = {0};

    if (flags_of(drain)->json) {
        rb_command_print(drain->command, rb_pause_json(drain->command, &drain->pause));
        return RB_EXIT_OK;
    }
    rb_pause_show(drain->command, &drain->pause, &text);
    puts(text.bytes);
    return RB_EXIT_OK;
}

static int run(struct drain *drain)
{
    struct rb_error err = {0};

    if (drain_open(drain, &err) < 0)
        return rb_command_fail(drain->command, &err);
    if (flags_of(drain)->dry_run)
        return dry_run(drain);
    if (wait_until_drained(drain, &err) < 0) {
        rb_command_note(drain->command, "the group stays paused");
        return rb_command_fail(drain->command, &err);
    }
    print_result(drain);
    return status_of(drain);
}

int rb_drain(struct rb_command *command)
{
    struct drain drain = {.command = command, .begun_ms = rb_clock_ms(), .known = -1};
    int status;

    drain.timer = rb_timer_new(command->loop, rb_command_wake, command);
    status = run(&drain);
    rb_timer_free(drain.timer);
    rb_kafka_close(drain.kafka);
    rb_pause_done(&drain.pause);
    return status;
}
