/*
 * inspect_show.h — a video's story as lines.
 *
 * Way:  inspect -> [inspect_show]
 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

/*
 * Write a story as people read it. URLs are without their query.
 *
 * Takes:  story, as `inspect --json` prints it.
 * Gives:  lines, added to text.
 * Loop:   pure, any thread.
 */
void rb_inspect_show(const json_t *story, struct rb_buffer *text);
