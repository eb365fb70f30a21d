/*
 * view_row.h — the columns that a view is made of, and a view out of a row that has them.
 *
 * Way:  Postgres -> [view_row] -> view
 */
#pragma once

#include "common/pg.h"
#include "producer/view.h"

/* SQL reads best as SQL. */
/* clang-format off */
#define RB_VIEW_TIME(column) "to_char(v." column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS " column

/* Of the application's table as h and reelbus.video as v; a template of rb_tables_sql. */
#define RB_VIEW_COLUMNS                                                                                                \
    "h.{id}::text AS video_id, h.{user_id}::text AS user_id, h.{video_url} AS video_url, v.state, v.source_url,"       \
    " v.provider, v.progress::text AS progress, v.bytes::text AS bytes, v.tries::text AS tries,"              \
    " v.error_class, v.error_code, v.error_message, " RB_VIEW_TIME("next_try_at") ", " RB_VIEW_TIME(                   \
        "expires_at") ","                                                                                              \
                      " " RB_VIEW_TIME("stored_at") ", " RB_VIEW_TIME(                                                 \
                          "updated_at") ","                                                                            \
                                        " (extract(epoch FROM v.updated_at) * 1000000)::bigint AS version"

/* The rows h and v of a video whose id is `of`, in a FROM. Looked up one by one: of plain joins the planner may make a
 * walk over all videos, and it has been seen to. */
#define RB_VIEW_ROWS(of)                                                                                               \
    " LEFT JOIN LATERAL (SELECT * FROM {table} r WHERE r.{id} = " of " LIMIT 1) AS h ON true"                          \
    " LEFT JOIN LATERAL (SELECT * FROM reelbus.video r WHERE r.video_id = " of " LIMIT 1) AS v ON true"
/* clang-format on */

/*
 * Make a view.
 *
 * Takes:  result, with RB_VIEW_COLUMNS.
 * Gives:  a view whose text is borrowed from the result.
 * Loop:   pure, any thread.
 */
struct rb_view rb_view_of_row(const PGresult *result, int row);

/*
 * A number that differs when any column of a row does.
 *
 * Loop:   pure, any thread.
 */
uint64_t rb_view_row_hash(const PGresult *result, int row);
