/*
 * nearest.h — did you mean ...? The likeness of two names.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * How many letters must be changed, added or left out to make one name of the other (Levenshtein's distance). A dash counts
 * as an underscore.
 *
 * Loop:   pure, any thread.
 */
size_t rb_nearest_distance(const char *a, const char *b);

/*
 * The largest distance at which a wrong name is still worth a "did you mean".
 *
 * Loop:   pure, any thread.
 */
size_t rb_nearest_limit(const char *name);
