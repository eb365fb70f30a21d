/*
 * view_row.c — a view out of a row.
 *
 * Way:  Postgres -> [view_row] -> view
 */
#include "producer/view_row.h"

#include "common/hash.h"

struct rb_view rb_view_of_row(const PGresult *result, int row)
{
    return (struct rb_view){
        .video_id = rb_pg_text(result, row, "video_id"),
        .user_id = rb_pg_text(result, row, "user_id"),
        .video_url = rb_pg_text(result, row, "video_url"),
        .state = rb_pg_text(result, row, "state"),
        .source_url = rb_pg_text(result, row, "source_url"),
        .provider = rb_pg_text(result, row, "provider"),
        .progress = rb_pg_text(result, row, "progress"),
        .bytes = rb_pg_text(result, row, "bytes"),
        .tries = rb_pg_text(result, row, "tries"),
        .next_try_at = rb_pg_text(result, row, "next_try_at"),
        .expires_at = rb_pg_text(result, row, "expires_at"),
        .stored_at = rb_pg_text(result, row, "stored_at"),
        .updated_at = rb_pg_text(result, row, "updated_at"),
        .error_class = rb_pg_text(result, row, "error_class"),
        .error_code = rb_pg_text(result, row, "error_code"),
        .error_message = rb_pg_text(result, row, "error_message"),
    };
}

/* The NUL behind each value is counted, and NULL differs from an empty text. */
uint64_t rb_view_row_hash(const PGresult *result, int row)
{
    uint64_t hash = RB_HASH_BEGIN;

    for (int column = 0; column < PQnfields(result); column++) {
        const char *value = PQgetisnull(result, row, column) ? "\xff" : PQgetvalue(result, row, column);

        hash = rb_hash_more(hash, value, strlen(value) + 1);
    }
    return hash;
}
