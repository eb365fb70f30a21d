/*
 * command_sql.h — questions to the database, one after the other, for commands.
 *
 * Way:  consumer inspect, usage, ... -> [command_sql] -> Postgres
 */
#pragma once

#include "common/pg.h"
#include "consumer/command.h"

/* A result that is freed when its scope ends. */
static inline void rb_result_auto_free(PGresult **ptr)
{
    PQclear(*ptr);
}

#define RB_AUTO_RESULT __attribute__((cleanup(rb_result_auto_free))) PGresult

/*
 * Ask, and wait for the answer while the loop runs. The first one connects.
 *
 * Takes:  sql with count values, borrowed for the call.
 * Gives:  ret_result, owned by the caller; PQclear it.
 * Fails:  DB_AWAY, also when the command was ended meanwhile; DB_REFUSED, DB_DATA.
 * Loop:   outside of a running loop.
 */
RB_MUST_CHECK int rb_command_query(struct rb_command *command, const char *sql, int count, const char *const *values,
                                   PGresult **ret_result, struct rb_error *err);
