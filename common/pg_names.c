/*
 * pg_names.c — statements that are sent again and again: parsed once, where names of statements are kept.
 *
 * Way:  common
 *
 * Poolers may hand each query to another server, which has never heard of a name. Nothing was carried out then, and the query is
 * sent again without one. A name is made of the statement's text, so that it means the same wherever it is known.
 */
#include <inttypes.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/pg_inside.h"

#define STATE_NAME_TAKEN   "42P05"
#define STATE_NAME_UNKNOWN "26000"
#define STATE_PLAN_STALE   "0A000" /* a table has other columns since */

struct rb_pg_again *rb_pg_again_new(const char *sql, int count, const char *const *values)
{
    size_t bytes = sizeof(struct rb_pg_again) + (size_t)count * sizeof(*values);
    size_t text_bytes = 0;

    for (int i = 0; i < count; i++)
        text_bytes += values[i] != NULL ? strlen(values[i]) + 1 : 0;

    struct rb_pg_again *again = rb_xalloc(bytes + text_bytes);
    char *text = (char *)again + bytes;

    again->sql = sql;
    again->count = count;
    for (int i = 0; i < count; i++) {
        again->values[i] = values[i] != NULL ? text : NULL;
        if (values[i] != NULL)
            text = stpcpy(text, values[i]) + 1;
    }
    return again;
}

static struct rb_pg_name *find_name(struct rb_pg *pg, const char *sql)
{
    for (size_t i = 0; i < pg->name_count; i++)
        if (pg->names[i].sql == sql)
            return &pg->names[i];
    return NULL;
}

static bool send_prepare(struct rb_pg *pg, const struct rb_pg_name *name)
{
    if (PQsendPrepare(pg->conn, name->text, name->sql, 0, NULL) == 0 || PQpipelineSync(pg->conn) == 0)
        return false;

    struct rb_pg_query *query = rb_xalloc(sizeof(*query));

    *query = (struct rb_pg_query){.prepares = name->sql};
    rb_pg_enter(pg, query);
    return true;
}

/* Gives NULL when it has to go without one. */
static const char *take_name(struct rb_pg *pg, const char *sql)
{
    struct rb_pg_name *name = find_name(pg, sql);

    if (pg->nameless || name != NULL)
        return name != NULL && !pg->nameless ? name->text : NULL;
    if (pg->name_count == PG_NAMES_MAX)
        return NULL;
    name = &pg->names[pg->name_count];
    name->sql = sql;
    snprintf(name->text, sizeof(name->text), "reelbus_%016" PRIx64, rb_hash_text(sql));
    if (!send_prepare(pg, name))
        return NULL;
    pg->name_count++;
    return name->text;
}

bool rb_pg_send_named(struct rb_pg *pg, const struct rb_pg_query *query)
{
    const struct rb_pg_again *again = query->again;
    const char *name = take_name(pg, again->sql);

    if (name == NULL)
        return rb_pg_send_plain(pg, again->sql, again->count, again->values);
    return PQsendQueryPrepared(pg->conn, name, again->count, again->values, NULL, NULL, 0) != 0 &&
           PQpipelineSync(pg->conn) != 0;
}

static bool has_state(const PGresult *result, const char *state)
{
    const char *has = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return has != NULL && strcmp(has, state) == 0;
}

/* One that is refused for what it says is prepared again the next time: perhaps that was mended. */
void rb_pg_note_prepared(struct rb_pg *pg, const struct rb_pg_query *query, const PGresult *result)
{
    struct rb_pg_name *name = find_name(pg, query->prepares);

    if (PQresultStatus(result) == PGRES_COMMAND_OK || has_state(result, STATE_NAME_TAKEN) || name == NULL)
        return;
    *name = pg->names[--pg->name_count];
}

bool rb_pg_lacks_name(struct rb_pg *pg, const struct rb_pg_query *query, const PGresult *result)
{
    if (query->again == NULL || query->refused ||
        (!has_state(result, STATE_NAME_UNKNOWN) && !has_state(result, STATE_PLAN_STALE)))
        return false;
    if (!pg->nameless && find_name(pg, query->again->sql) != NULL) {
        pg->nameless = true;
        rb_log(NULL, RB_EV_DB_NAMELESS, "state=%s", PQresultErrorField(result, PG_DIAG_SQLSTATE));
    }
    return true;
}
