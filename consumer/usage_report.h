/*
 * usage_report.h — how much is stored, for people: by store, day and user, and how long the room will last.
 *
 * Way:  consumer usage -> [usage_report] -> Postgres
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer usage` is asked for.
 *
 * Gives:  the status to end with: FOUND when the mark is reached up to which is stored.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_usage_report(struct rb_command *command);
