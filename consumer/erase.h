/*
 * erase.h — a user's right to erasure: what comes before and after that the videos go.
 *
 * Way:  cleanup -> [erase] -> Postgres
 */
#pragma once

#include "consumer/command_sql.h"
#include "consumer/retain.h"

/*
 * How many videos of a user there are, and how many bytes of them are stored.
 *
 * Takes:  user, as in the application's table, as text.
 * Gives:  ret_sum.
 * Fails:  as rb_command_query.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_erase_count(struct rb_command *command, const char *user, struct rb_retain_sum *ret_sum,
                                 struct rb_error *err);

/*
 * Do what comes before: each video of the user's that the application knows has a row that names the user. Those that we had never heard of
 * are deleted from the beginning: no record stores them any more.
 *
 * Takes:  user, as above.
 * Fails:  as rb_command_query.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_erase_begin(struct rb_command *command, const char *user, struct rb_error *err);

/*
 * Does anybody know the user, the application or one of our rows?
 *
 * Takes:  user, as above.
 * Gives:  ret_known.
 * Fails:  as rb_command_query.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_erase_look(struct rb_command *command, const char *user, bool *ret_known, struct rb_error *err);

/*
 * Do what comes after: forget what went, or is going, for another reason, and the user.
 *
 * Takes:  stores, as configured; user, as above.
 * Fails:  as rb_command_query, where DB_DATA is said only; STORE_REFUSED when objects of the user's are still there.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_erase_end(struct rb_command *command, const struct rb_stores *stores, const char *user,
                               struct rb_error *err);
