/*
 * tail_show_inside.h — what the files of tail_show share.
 *
 * Way:  tail -> [tail_show]
 */
#pragma once

#include "consumer/tail_show.h"

#define RB_TAIL_HEADER_BYTES 512

/*
 * The last header of this name as text.
 *
 * Gives:  ret_text, cut to what fits; "" when there is no such header.
 * Loop:   any thread.
 */
char *rb_tail_header(const struct rb_message *message, const char *name, char ret_text[static RB_TAIL_HEADER_BYTES]);

/*
 * A text of the event.
 *
 * Takes:  name, of a field that is text in every event that has it.
 * Gives:  borrowed from the view; NULL when it is null, or there is none.
 * Loop:   any thread.
 */
const char *rb_tail_field(const struct rb_tail_view *view, const char *name);
