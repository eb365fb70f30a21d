/*
 * say.h — what commands tell the operator: one line for each thing, in columns or as JSON.
 *
 * Way:  consumer setup, consumer cleanup
 */
#pragma once

#include "common/base.h"

/*
 * Say on standard output what became of something.
 *
 * Takes:  step, a word; name, what it is about; result, what became of it.
 * Loop:   before any loop runs, or loop thread.
 */
void rb_say(const char *step, const char *name, const char *result);

/*
 * From now on as {"step", "name", "result"}, or in columns.
 *
 * Loop:   before any loop runs.
 */
void rb_say_as_json(bool wanted);
