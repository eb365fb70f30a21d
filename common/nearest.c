/*
 * nearest.c — the likeness of two names.
 *
 * Way:  common
 */
#include "common/nearest.h"

/* Names are short: the row is on the stack. */
size_t rb_nearest_distance(const char *a, const char *b)
{
    size_t width = RB_MIN(strlen(b), 63);
    size_t row[64];

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            bool same = a[i] == b[j] || (a[i] == '-' && b[j] == '_');
            size_t best = RB_MIN(diagonal + (same ? 0 : 1), RB_MIN(row[j], row[j + 1]) + 1);

            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[width];
}

size_t rb_nearest_limit(const char *name)
{
    return RB_MAX(strlen(name) / 3, 2);
}
