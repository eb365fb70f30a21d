/*
 * pg_result.c — fields of what Postgres has answered.
 *
 * Way:  common
 */
#include "common/pg.h"

const char *rb_pg_text(const PGresult *result, int row, const char *column)
{
    return rb_pg_text_at(result, row, PQfnumber(result, column));
}

const char *rb_pg_text_at(const PGresult *result, int row, int column)
{
    RB_ASSERT(column >= 0 && column < PQnfields(result) && row < PQntuples(result));
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t rb_pg_number(const PGresult *result, int row, const char *column, int64_t fallback)
{
    const char *text = rb_pg_text(result, row, column);

    return text != NULL ? strtoll(text, NULL, 10) : fallback;
}

bool rb_pg_is_true(const PGresult *result, int row, const char *column)
{
    const char *text = rb_pg_text(result, row, column);

    return text != NULL && strcmp(text, "t") == 0;
}
