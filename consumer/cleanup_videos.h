/*
 * cleanup_videos.h — removes videos by rules of retention, once, and says how many.
 *
 * Way:  cleanup -> [cleanup_videos] -> retain
 */
#pragma once

#include "consumer/command.h"
#include "consumer/retain.h"

/*
 * Go through the rules once; with --dry-run, only count.
 *
 * Takes:  limits, with a rule at least.
 * Gives:  the status to end with; what was removed was said on standard output, what failed on standard error.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_cleanup_videos(struct rb_command *command, const struct rb_retain_limits *limits);
