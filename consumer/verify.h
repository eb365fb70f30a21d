/*
 * verify.h — is what the database calls stored in the store, and the same? And have it stored again where it is not.
 *
 * Way:  consumer verify -> [verify] -> verify_rows, verify_look, verify_repair
 */
#pragma once

#include "consumer/command.h"

/*
 * Do what `reelbus-consumer verify` is asked for.
 *
 * Gives:  the status to end with: FOUND when something is missing or wrong, also when it is being stored again.
 * Loop:   runs the command's loop.
 */
RB_MUST_CHECK int rb_verify_objects(struct rb_command *command);
