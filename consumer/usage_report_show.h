/*
 * usage_report_show.h — what is stored, as tables and bars.
 *
 * Way:  usage_report -> [usage_report_show]
 */
#pragma once

#include "common/buffer.h"
#include "common/json.h"

/*
 * Write a report as people read it.
 *
 * Takes:  report, as `usage --json` prints it.
 * Gives:  lines, added to text.
 * Loop:   pure, any thread.
 */
void rb_usage_report_show(const json_t *report, struct rb_buffer *text);
