/*
 * setup_sql.h — what setup does in the database: the tables, and the policies of a project of Supabase.
 *
 * Way:  consumer setup
 *
 * Each file of deploy/sql is one transaction. A table that somebody has locked is waited for a moment only, because all others
 * wait behind us; then they go first, and it is tried again a few times.
 */
#pragma once

#include <libpq-fe.h>

#include "consumer/options.h"

/*
 * Make the tables and functions of schema reelbus, or what is missing of them.
 *
 * Takes:  options, borrowed for the call.
 * Fails:  DB_AWAY: no connection, or a table stays locked; the message says which and by whom. DB_REFUSED, DB_DATA. The files
 *         before the one that failed are applied.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_setup_sql_tables(const struct consumer_options *options, struct rb_error *err);

/*
 * Make the policies for the bucket, where they are missing: with a store of kind supabase, in the database of that project. When
 * the database is another one, say where to make them.
 *
 * Takes:  options, of the store, borrowed for the call.
 * Fails:  as rb_setup_sql_tables; a right that is missing says what to do instead.
 * Loop:   before any loop runs; blocks.
 */
RB_MUST_CHECK int rb_setup_sql_policies(const struct consumer_options *options, struct rb_error *err);

/*
 * A connection for setup.
 *
 * Gives:  owned by the caller, who asks PQstatus how it went; PQfinish it.
 * Loop:   before any loop runs; blocks, as below.
 */
PGconn *rb_setup_sql_connect(const struct consumer_options *options);

/*
 * In which version this program has the files of deploy/sql, as setup notes it in reelbus.setup.
 *
 * Gives:  a JSON object, by the files' names; owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_setup_sql_versions(void);

/*
 * Look what the database lacks, and change nothing.
 *
 * Gives:  ret_lacks, counted up: what setup would make, columns that the application does not have, rights that we do not have.
 * Fails:  DB_AWAY, DB_REFUSED.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_setup_sql_check_tables(const struct consumer_options *options, int *ret_lacks,
                                            struct rb_error *err);

/*
 * The same about the policies for the bucket.
 *
 * Takes:  options, of the store.
 * Fails:  as rb_setup_sql_check_tables.
 * Loop:   as above.
 */
RB_MUST_CHECK int rb_setup_sql_check_policies(const struct consumer_options *options, int *ret_lacks,
                                              struct rb_error *err);
