/*
 * redrive_rows.c — final failures once more: their records are sent again, and name the attempt that is to be followed.
 *
 * Way:  consumer redrive -> [redrive] -> Kafka -> consume
 *
 * The row stays a failure until a consumer takes the record and claims the video (`$17` in record_sql.h): what is sent in vain, or
 * twice, changes nothing. A page of them is marked, with a number, then sent in a transaction that has this number, too. A page that is
 * marked and whose number was never committed was not sent: the marks are taken off by the next run.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/pg_array.h"
#include "consumer/command_sql.h"
#include "consumer/redrive_event.h"
#include "consumer/redrive_inside.h"

#define PAGE        "100" /* REDRIVE_BATCH_MAX */
#define PATIENCE_MS 30000
#define PAUSE_MS    200

_Static_assert(REDRIVE_BATCH_MAX == 100, "as many as PAGE");

/* $1 group, $2 the last page that was sent. */
static const char undo_sql[] =
    "UPDATE reelbus.video SET redrives = greatest(redrives - 1, 0), redriven_attempt = NULL, redrive_page = NULL"
    " WHERE redrive_group = $1 AND redrive_page > $2::bigint AND state = 'failed' AND redriven_attempt = attempt";

/* $1 group, $2 a page that was not sent. */
static const char unmark_sql[] =
    "UPDATE reelbus.video SET redrives = greatest(redrives - 1, 0), redriven_attempt = NULL, redrive_page = NULL"
    " WHERE redrive_group = $1 AND redrive_page = $2::bigint AND state = 'failed' AND redriven_attempt = attempt";

/* $1 behind this video; $2 ids, NULL for all; $3 class, $4 code, "" for all; $5 from and $6 to, NULL for none. What the provider could
 * not make does not come by asking once more, so that has to be asked for. */
static const char page_sql[] =
    "SELECT" RB_REDRIVE_COLUMNS ", " RB_REDRIVE_SENT " AS is_sent FROM reelbus.video v"
    " WHERE state = 'failed' AND ($1::uuid IS NULL OR video_id > $1::uuid)"
    " AND ($2::uuid[] IS NULL OR video_id = ANY ($2::uuid[])) AND ($3 = '' OR error_class = $3) AND ($4 = '' OR error_code = $4)"
    " AND ($5::bigint IS NULL OR failed_at >= to_timestamp($5::bigint / 1000.0))"
    " AND ($6::bigint IS NULL OR failed_at < to_timestamp($6::bigint / 1000.0))"
    " AND ($2::uuid[] IS NOT NULL OR (NOT " RB_REDRIVE_SENT
    " AND (error_code <> 'generation_failed' OR $3 <> '' OR $4 <> '')))"
    " ORDER BY video_id LIMIT " PAGE;

/* $1 group, $2 videos, $3 their attempts. Those of another run are not ours. */
static const char mark_sql[] =
    "WITH page AS MATERIALIZED (SELECT nextval('reelbus.redrive_page') AS number),"
    " marked AS (UPDATE reelbus.video v SET redriven_attempt = v.attempt, redrives = v.redrives + 1,"
    "  redrive_page = page.number, redrive_group = $1, redriven_at = now() FROM page, unnest($2::uuid[], $3::int[]) AS u (id, attempt)"
    "  WHERE v.video_id = u.id AND v.attempt = u.attempt AND v.state = 'failed'"
    "  AND NOT " RB_REDRIVE_SENT " RETURNING v.video_id)"
    " SELECT (SELECT number FROM page) AS number, coalesce(string_agg(video_id::text, ' '), '') AS ids FROM marked";

static int take_back_marks(struct redrive *redrive, struct rb_error *err)
{
    char page[24];
    const char *values[] = {redrive->group, page};
    RB_AUTO_RESULT *result = NULL;

    snprintf(page, sizeof(page), "%" PRId64, redrive->page);
    return rb_command_query(redrive->command, undo_sql, RB_COUNT(values), values, &result, err);
}

/* -- one failure --------------------------------------------------------------------------------------------------- */

static int encode(struct redrive *redrive, const PGresult *page, int row, struct redrive_item *item,
                  struct rb_error *err)
{
    struct rb_record *record = &item->send.record;

    RB_TRY(rb_redrive_event(redrive->codec, redrive->topics[0], "reelbus-consumer redrive", page, row,
                            rb_pg_number(page, row, "redrives", 0) + 1, &item->value, record, err));
    record->key = item->video_id; /* which stays longer than the page */
    return 0;
}

/* A registry may be away for a moment. */
static int encode_patiently(struct redrive *redrive, const PGresult *page, int row, struct redrive_item *item,
                            struct rb_error *err)
{
    int64_t until_ms = rb_clock_ms() + PATIENCE_MS;
    int result;

    while ((result = encode(redrive, page, row, item, err)) < 0 && err->class == RB_OUTAGE &&
           rb_clock_ms() < until_ms && rb_command_pause(redrive->command, PAUSE_MS))
        item->value.used = 0;
    return result;
}

static json_t *line_of(const PGresult *page, int row)
{
    json_t *line = json_object();

    json_object_set_new(line, "source", json_string("failed"));
    json_object_set_new(line, "video_id", rb_command_text(rb_pg_text(page, row, "video_id")));
    json_object_set_new(line, "attempt", json_integer(rb_pg_number(page, row, "attempt", 0)));
    json_object_set_new(line, "class", rb_command_text(rb_pg_text(page, row, "error_class")));
    json_object_set_new(line, "code", rb_command_text(rb_pg_text(page, row, "error_code")));
    json_object_set_new(line, "redrives", json_integer(rb_pg_number(page, row, "redrives", 0)));
    return line;
}

/* Why it is left; NULL when it is sent. */
static const char *why_left(const struct redrive *redrive, const PGresult *page, int row)
{
    if (rb_pg_is_true(page, row, "is_sent"))
        return "its record was sent again, and nobody has taken it yet";
    if (rb_pg_text(page, row, "source_url") == NULL && rb_pg_text(page, row, "provider_video_id") == NULL)
        return "nobody knows its source";
    if (rb_pg_number(page, row, "redrives", 0) >= redrive->command->options->redrives_max)
        return "it was sent again as often as redrives_max says";
    return NULL;
}

static int take_row(struct redrive *redrive, const PGresult *page, int row, struct rb_error *err)
{
    const char *because = why_left(redrive, page, row);
    struct redrive_item *item;

    if (because != NULL) {
        redrive->left++;
        redrive_say(redrive, line_of(page, row), because);
        return 0;
    }
    item = rb_xalloc(sizeof(*item));
    *item = (struct redrive_item){.line = line_of(page, row)};
    snprintf(item->video_id, sizeof(item->video_id), "%s", rb_pg_text(page, row, "video_id"));
    if (encode_patiently(redrive, page, row, item, err) < 0) {
        redrive_item_free(item);
        return -1;
    }
    redrive_add(redrive, item);
    return 0;
}

/* -- a page -------------------------------------------------------------------------------------------------------- */

static int mark(struct redrive *redrive, PGresult **ret_marked, struct rb_error *err)
{
    RB_AUTO_BUFFER ids = {0}, attempts = {0};

    for (size_t i = 0; i < redrive->item_count; i++) {
        RB_AUTO_TEXT *attempt =
            rb_xprintf("%lld", (long long)json_integer_value(json_object_get(redrive->items[i]->line, "attempt")));

        rb_pg_array_add(&ids, redrive->items[i]->video_id);
        rb_pg_array_add(&attempts, attempt);
    }

    const char *const values[] = {redrive->group, rb_pg_array_end(&ids), rb_pg_array_end(&attempts)};

    return rb_command_query(redrive->command, mark_sql, RB_COUNT(values), values, ret_marked, err);
}

/* Somebody else has been faster with the others. */
static void keep_marked(struct redrive *redrive, const char *ids)
{
    size_t kept = 0;

    for (size_t i = 0; i < redrive->item_count; i++) {
        if (strstr(ids, redrive->items[i]->video_id) != NULL)
            redrive->items[kept++] = redrive->items[i];
        else
            redrive_item_free(redrive->items[i]);
    }
    redrive->item_count = kept;
}

/* What is known not to have gone; else the next run finds out. */
static void unmark_page(struct redrive *redrive, int64_t number)
{
    char page[24];
    const char *values[] = {redrive->group, page};
    RB_AUTO_RESULT *result = NULL;
    struct rb_error ignored = {0};

    snprintf(page, sizeof(page), "%" PRId64, number);
    if (rb_command_query(redrive->command, unmark_sql, RB_COUNT(values), values, &result, &ignored) < 0)
        return;
}

static int send_page(struct redrive *redrive, struct rb_error *err)
{
    RB_AUTO_RESULT *marked = NULL;
    int64_t number;
    bool aborted;
    int result;

    if (redrive->item_count == 0 || redrive->txn == NULL)
        return redrive_flush(redrive, NULL, 0, err);
    RB_TRY(mark(redrive, &marked, err));
    keep_marked(redrive, rb_pg_text(marked, 0, "ids"));
    number = rb_pg_number(marked, 0, "number", 0);
    result = redrive_flush(redrive, NULL, number, err);
    aborted = redrive->ended && !redrive->fatal && redrive->end == RB_TXN_ABORTED;
    if (redrive->page != number && (result == 0 || aborted))
        unmark_page(redrive, number);
    return result;
}

static int ask_page(struct redrive *redrive, const char *after, PGresult **ret_page, struct rb_error *err)
{
    const struct redrive_filter *filter = &redrive->filter;
    char since[24], until[24];
    RB_AUTO_BUFFER ids = {0};

    for (size_t i = 0; i < filter->video_count; i++)
        rb_pg_array_add(&ids, filter->videos[i]);
    snprintf(since, sizeof(since), "%" PRId64, filter->since_ms);
    snprintf(until, sizeof(until), "%" PRId64, filter->until_ms);

    const char *const values[] = {
        after[0] != '\0' ? after : NULL,
        filter->video_count > 0 ? rb_pg_array_end(&ids) : NULL,
        filter->class,
        filter->code,
        filter->since_ms != RB_NO_LONG ? since : NULL,
        filter->until_ms != RB_NO_LONG ? until : NULL,
    };

    return rb_command_query(redrive->command, page_sql, RB_COUNT(values), values, ret_page, err);
}

static int take_page(struct redrive *redrive, const PGresult *page, struct rb_error *err)
{
    bool one_by_one = redrive_flags(redrive)->rate > 0;

    for (int i = 0; i < PQntuples(page) && !redrive_is_enough(redrive); i++) {
        RB_TRY(take_row(redrive, page, i, err));
        if (one_by_one)
            RB_TRY(send_page(redrive, err));
    }
    return send_page(redrive, err);
}

int redrive_rows(struct redrive *redrive, struct rb_error *err)
{
    char after[RB_UUID_TEXT_BYTES] = "";
    int count = 1;

    if (redrive->txn != NULL)
        RB_TRY(take_back_marks(redrive, err));
    while (count > 0 && !redrive_is_enough(redrive) && !redrive->no_room) {
        RB_AUTO_RESULT *page = NULL;

        if (redrive->command->stopped)
            return rb_fail(err, RB_E_SYSTEM, 0, "ended before it was through");
        RB_TRY(ask_page(redrive, after, &page, err));
        count = PQntuples(page);
        RB_TRY(take_page(redrive, page, err));
        if (count > 0)
            snprintf(after, sizeof(after), "%s", rb_pg_text(page, count - 1, "video_id"));
    }
    return 0;
}
