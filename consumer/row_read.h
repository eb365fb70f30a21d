/*
 * row_read.h — a video as the database gives it, read.
 *
 * Way:  record -> [row_read] -> row
 */
#pragma once

#include "common/pg.h"
#include "consumer/row.h"

/*
 * Read the row of a result that ends in SHOW_ROW (record_sql.h).
 *
 * Takes:  row, empty.
 * Gives:  row, to be freed with rb_row_done whatever this returns; ret_exists, false when the database has no such video.
 * Fails:  DB_REFUSED.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_row_read(const PGresult *result, struct rb_row *row, bool *ret_exists, struct rb_error *err);

/*
 * Has the record that asks settled an earlier attempt? Then its failure takes the place of the row as it is now.
 *
 * Takes:  row, as rb_row_read has read it; origin, of the record.
 * Loop:   pure, any thread.
 */
void rb_row_read_superseded(const PGresult *result, const struct rb_origin *origin, struct rb_row *row);
