/*
 * plain.h — what another side has said, as a line of plain text.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * Copy text without spaces at its ends; control characters become spaces.
 *
 * Takes:  room, of ret_text, at least 1: what is longer is cut; bytes, count of them, borrowed for the call.
 * Loop:   pure, any thread.
 */
void rb_plain_text(char *ret_text, size_t room, const char *bytes, size_t count);
