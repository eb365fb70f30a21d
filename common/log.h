/*
 * log.h — one line per fact, on standard error: of key=value, or a JSON object.
 *
 * Way:  common
 *
 * When standard error leads to systemd's journal, each line begins with its priority, as in "<6>".
 */
#pragma once

#include <stdio.h>

#include "common/error.h"
#include "common/log_table.h"

enum rb_level { RB_LEVEL_CRIT, RB_LEVEL_WARNING, RB_LEVEL_NOTICE, RB_LEVEL_INFO, RB_LEVEL_DEBUG };

/* What all lines about one object have in common, for example "video=7f3a... topic=... ". Part of the object. */
struct rb_log_about {
    char text[256];
};

#define RB_LOG_QUOTE_BYTES 512

/*
 * Say how lines are written, and up to which level; until then it is logfmt and info.
 *
 * Takes:  level, one of crit, warning, notice, info, debug; format, logfmt or json.
 * Fails:  BAD_OPTION for another name.
 * Loop:   before the loop runs.
 */
RB_MUST_CHECK int rb_log_start(const char *level, const char *format, struct rb_error *err);

/*
 * Show so many more levels from now on, or fewer when it is below zero; and say so, whatever is shown.
 *
 * Loop:   any thread.
 */
void rb_log_shift_level(int levels);

/*
 * Log one event. Values that may hold spaces or quotes go through rb_log_quote first.
 *
 * Takes:  about, borrowed, NULL when the line is about the program; format, "key=value key=value".
 * Loop:   any thread.
 */
void rb_log(const struct rb_log_about *about, enum rb_log_event event, const char *format, ...) RB_PRINTF(3, 4);

/*
 * Log one event that an error caused; " code=... detail=... error=..." is added to the line.
 *
 * Takes:  about and err, borrowed; format may be "".
 * Loop:   any thread.
 */
void rb_log_error(const struct rb_log_about *about, enum rb_log_event event, const struct rb_error *err,
                  const char *format, ...) RB_PRINTF(4, 5);

/*
 * Log one event as the last words of a program that has got stuck: waits for nobody, not even for a reader of the log.
 *
 * Takes:  format, "key=value key=value".
 * Loop:   any thread.
 */
void rb_log_last(enum rb_log_event event, const char *format, ...) RB_PRINTF(2, 3);

/*
 * Keep lines back and write them together, at the latest at the next rb_log_flush; warnings are written at once, with what
 * was kept before them. The loop does this: a write for each line costs more than the line.
 *
 * Takes:  held, whether to keep lines back from now on; those that are kept are written in any case.
 * Loop:   any thread.
 */
void rb_log_hold(bool held);

/*
 * Write what was kept back.
 *
 * Loop:   any thread.
 */
void rb_log_flush(void);

/*
 * Put text between quotes, with quotes, backslashes and control characters escaped, cut to what fits. For text that
 * came from outside: one line stays one line.
 *
 * Takes:  text, borrowed, may be NULL; ret_quoted, at least RB_LOG_QUOTE_BYTES bytes.
 * Gives:  ret_quoted.
 * Loop:   pure, any thread.
 */
char *rb_log_quote(const char *text, char *ret_quoted);

/*
 * Print the table of events as a page in Markdown.
 *
 * Loop:   any thread.
 */
void rb_log_print_table(FILE *file);
