/*
 * cleanup_orphans.h — removes objects that no row has: of a worker that died before it said so, for example.
 *
 * Way:  cleanup -> [cleanup_orphans] -> store, Postgres
 */
#pragma once

#include "consumer/command.h"

/*
 * Look at all objects of both stores, and remove those that look like ours, are older than --orphan-age, and that no row has.
 * With --dry-run, only count.
 *
 * Gives:  the status to end with; what was removed was said on standard output, what failed on standard error.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_cleanup_orphans(struct rb_command *command);
