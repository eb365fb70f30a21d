/*
 * totals.c — GET /api/usage: how much is stored.
 *
 * Way:  Postgres -> [totals]
 */
#include "producer/totals.h"

#include <ctype.h>
#include <inttypes.h>

#include "common/buffer.h"
#include "common/sums.h"
#include "common/units.h"

#define TOTALS_MAGIC 0x544f5441u
#define DAYS_DEFAULT 30
#define DAYS_MAX     366
#define USERS_SHOWN  "20"
#define USERS_COUNT  "10001"
#define ASKED_MAX    1 /* the next one would only wait, and the sums go over many rows */

struct rb_totals {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed */
    int asked;        /* questions on their way */
};

struct asker {
    struct rb_totals *totals;
    struct rb_exchange *exchange;
};

/* -- the names of the members ----------------------------------------------------------------------------------------- */

static char *camel_of(const char *name)
{
    RB_AUTO_BUFFER text = {0};

    for (; *name != '\0'; name++) {
        bool humps = *name == '_' && name[1] != '\0';

        name += humps;
        rb_buffer_print(&text, "%c", humps ? toupper((unsigned char)*name) : *name);
    }
    return rb_buffer_steal(&text);
}

/* The same value with the names that the status API uses: "daily_bytes" becomes "dailyBytes". It is no deeper than SQL makes it. */
static json_t *in_camels(const json_t *value)
{
    json_t *copy, *member;
    const char *name;
    size_t i;

    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *)value, name, member)
        {
            RB_AUTO_TEXT *camel = camel_of(name);

            json_object_set_new(copy, camel, in_camels(member));
        }
        return copy;
    }
    if (!json_is_array(value))
        return json_deep_copy(value);
    copy = json_array();
    json_array_foreach(value, i, member)
    {
        json_array_append_new(copy, in_camels(member));
    }
    return copy;
}

/* -- the answer ------------------------------------------------------------------------------------------------------- */

static void reply_later(struct rb_exchange *exchange, const char *why)
{
    rb_exchange_reply_error(exchange, 503, why, &(struct rb_header){"Retry-After", "2"});
}

static void reply_failure(struct rb_exchange *exchange, const struct rb_error *err)
{
    if (err->code == RB_E_DB_DATA)
        rb_exchange_reply_error(exchange, 400, "user is not an id of a user", NULL);
    else if (err->code == RB_E_DB_REFUSED)
        reply_later(exchange, "the database refuses this: has setup been run with this version?");
    else
        reply_later(exchange, "the database cannot be asked now");
}

static int reply_report(struct rb_exchange *exchange, const PGresult *result, struct rb_error *err)
{
    RB_AUTO_JSON *report = NULL;

    RB_TRY(rb_sums_read(result, &report, err));

    RB_AUTO_JSON *answer = in_camels(report);
    RB_AUTO_TEXT *text = json_dumps(answer, JSON_COMPACT);

    rb_exchange_reply_json(exchange, 200, text, NULL);
    return 0;
}

static void on_report(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct asker *asker = arg;
    struct rb_error wrong = {0};

    asker->totals->asked--;
    if (err != NULL)
        reply_failure(asker->exchange, err);
    else if (reply_report(asker->exchange, result, &wrong) < 0)
        reply_failure(asker->exchange, &wrong);
    free(asker);
}

static void ask(struct rb_totals *totals, const char *user, int64_t days, struct rb_exchange *exchange)
{
    char number[24];
    const char *values[RB_SUMS_VALUES] = {user, number, USERS_SHOWN, USERS_COUNT};
    struct asker *asker = rb_xalloc(sizeof(*asker));
    struct rb_error err = {0};

    snprintf(number, sizeof(number), "%" PRId64, days);
    *asker = (struct asker){totals, exchange};
    totals->asked++;
    if (rb_pg_send(totals->pg, rb_sums_sql(), RB_SUMS_VALUES, values, on_report, asker, NULL, &err) < 0)
        on_report(NULL, &err, asker);
}

/* A form sends empty parameters, too. */
void rb_totals_serve(struct rb_exchange *exchange, void *arg)
{
    struct rb_totals *totals = RB_CAST(rb_totals, arg, TOTALS_MAGIC);
    const char *text = rb_exchange_query(exchange, "days");
    const char *user = rb_exchange_query(exchange, "user");
    int64_t days = DAYS_DEFAULT;

    if (text != NULL && text[0] != '\0' && (rb_units_parse_number(text, &days) < 0 || days < 1 || days > DAYS_MAX))
        rb_exchange_reply_error(exchange, 400, "days must be a number from 1 to 366", NULL);
    else if (totals->asked >= ASKED_MAX)
        reply_later(exchange, "others ask for this just now");
    else
        ask(totals, user != NULL && user[0] != '\0' ? user : NULL, days, exchange);
}

struct rb_totals *rb_totals_new(struct rb_pg *pg)
{
    struct rb_totals *totals = rb_xalloc(sizeof(*totals));

    *totals = (struct rb_totals){.magic = TOTALS_MAGIC, .pg = pg};
    return totals;
}

void rb_totals_free(struct rb_totals *totals)
{
    if (totals == NULL)
        return;
    totals->magic = 0;
    free(totals);
}
