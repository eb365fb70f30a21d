/*
 * command_sql.c — questions to the database, one after the other, for commands.
 *
 * Way:  consumer inspect, usage, ... -> [command_sql] -> Postgres
 */
#include "consumer/command_sql.h"

#include "common/units.h"

#define QUERY_MS 60000 /* nobody waits behind a command, and some of its questions go over many rows */

struct asking {
    struct rb_command *command; /* borrowed */
    PGresult *result;
    struct rb_error error;
    bool answered;
};

static void on_answer(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct asking *asking = arg;

    if (err != NULL)
        asking->error = *err;
    else
        asking->result = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    asking->answered = true;
    rb_command_wake(asking->command);
}

static void on_change(bool up, void *arg)
{
    (void)up;
    rb_command_wake(arg);
}

/* Commands that run for long may meet a database that is started again: it gets as long as at the beginning. */
static int wait_for_database(struct rb_command *command, struct rb_error *err)
{
    const struct rb_common_options *options = &command->options->common;
    struct rb_pg_config config = rb_pg_config_of(options, "reelbus-consumer command");
    struct rb_timer *timer = rb_timer_new(command->loop, rb_command_wake, command);
    char text[RB_UNITS_TEXT_BYTES];

    config.query_timeout_ms = RB_MAX(config.query_timeout_ms, QUERY_MS);
    config.on_change = on_change;
    config.arg = command;
    if (command->pg == NULL)
        command->pg = rb_pg_new(command->loop, &config);
    rb_timer_start(timer, options->db_connect_timeout_ms);
    while (!rb_pg_is_up(command->pg) && rb_timer_is_started(timer) && rb_command_wait(command))
        continue;
    rb_timer_free(timer);
    if (rb_pg_is_up(command->pg))
        return 0;
    return rb_fail(err, RB_E_DB_AWAY, 0, "no connection to Postgres within %s",
                   rb_units_ms_text(options->db_connect_timeout_ms, text));
}

int rb_command_query(struct rb_command *command, const char *sql, int count, const char *const *values,
                     PGresult **ret_result, struct rb_error *err)
{
    struct asking asking = {.command = command};
    struct rb_pg_query *query = NULL;

    RB_TRY(wait_for_database(command, err));
    RB_TRY(rb_pg_send(command->pg, sql, count, values, on_answer, &asking, &query, err));
    while (!asking.answered && rb_command_wait(command))
        continue;
    if (!asking.answered) {
        rb_pg_cancel(query);
        return rb_fail(err, RB_E_DB_AWAY, 0, "ended before the database had answered");
    }
    if (asking.result == NULL) {
        *err = asking.error;
        return -1;
    }
    *ret_result = asking.result;
    return 0;
}
