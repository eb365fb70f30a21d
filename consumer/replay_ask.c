/*
 * replay_ask.c — what the database says about the videos of a batch, and what that means for each of them.
 *
 * Way:  replay_read -> [replay_ask] -> replay_video
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/tables.h"
#include "consumer/history.h"
#include "consumer/replay_inside.h"

#define ASK_AGAIN_MS 500

/* SQL reads best as SQL. */
/* clang-format off */

/* Is it noted that the row's outcome was announced? The note does not name the attempt, so it says nothing about a failure after another
 * one, whose event may have come late. */
#define IS_SAID                                                                                                        \
    "CASE v.state WHEN 'stored' THEN " RB_HISTORY_SAYS_STORED                                                          \
    " WHEN 'failed' THEN v.superseded IS NULL AND EXISTS (SELECT FROM reelbus.history a WHERE a.video_id = v.video_id" \
    " AND a.what = 'announced' AND a.at >= v.failed_at AND right(a.topic, 18) = 'video.store_failed') ELSE false END"

/*
 * $1 videos; $2 what names this run behind a topic; $3 whether it goes on with what was ended; $4 whether stored ones are wanted,
 * too; $5 what names runs of this group; $6 milliseconds since 1970 when the run began.
 *
 * One look at the primary key for each video, at no more of its row than that it is stored: mostly that is all. Whatever the
 * planner believes about them: OFFSET 0 keeps it from joining the tables, and an array that it does not see the length of, from
 * compiling code first.
 */
static const char ask_template[] =
    "SELECT m.n, v.state, coalesce(v.attempt, 0) AS attempt, h.id IS NOT NULL AS known,"
    " coalesce(v.user_id, h.user_id) AS user_id, v.source_url IS NOT NULL AS has_url, v.store, v.bucket, v.object_key, v.sha256,"
    " v.bytes, (extract(epoch FROM v.expires_at) * 1000)::bigint AS expires_at,"
    " coalesce(right(v.owner_topic, length($2::text)) = $2::text, false) AS ours,"
    " coalesce(v.superseded::text LIKE '%' || $2::text || '/%', false) AS put_aside,"
    " coalesce(extract(epoch FROM CASE v.state WHEN 'failed' THEN v.failed_at ELSE v.stored_at END) * 1000 < $6::bigint, true)"
    " AS before,"
    " CASE WHEN $3::bool THEN " IS_SAID " END AS said,"
    " CASE WHEN v.state = 'stored' THEN " RB_HISTORY_STORED_IS_OVER " END AS announced,"
    " v.state = 'processing' AND v.put_off > 0 AND v.next_try_at > now() - interval '1 hour' AS put_off,"
    " v.state = 'processing' AND v.updated_at > now() - interval '5 minutes' AND NOT coalesce((SELECT"
    " position($5::text IN c.topic) > 0 FROM reelbus.history c WHERE c.video_id = m.id AND c.what = 'claimed'"
    " ORDER BY c.id DESC LIMIT 1), true) AS busy"
    " FROM (SELECT u.n, u.id FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS u (id, n)"
    " LEFT JOIN LATERAL (SELECT r.state, CASE WHEN $3::bool THEN right(r.owner_topic, length($2::text)) = $2::text"
    " OR r.superseded::text LIKE '%' || $2::text || '/%' END AS ours FROM reelbus.video r WHERE r.video_id = u.id OFFSET 0) AS s ON true"
    " WHERE s.state IS DISTINCT FROM 'stored' OR $4::bool OR s.ours OFFSET 0) AS m"
    " LEFT JOIN LATERAL (SELECT r.* FROM reelbus.video r WHERE r.video_id = m.id OFFSET 0) AS v ON true"
    " LEFT JOIN LATERAL (SELECT h.{id} AS id, h.{user_id}::text AS user_id FROM {table} h WHERE h.{id} = m.id OFFSET 0) AS h"
    " ON true";
/* clang-format on */

char *replay_ask_sql(const struct replay *replay)
{
    return rb_tables_sql(&replay->command->options->common, ask_template);
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

static bool is_in(const PGresult *result, int row, const char *state)
{
    const char *text = rb_pg_text(result, row, "state");

    return text != NULL && strcmp(text, state) == 0;
}

/*
 * Of this run, and perhaps not announced: it must not be taken for somebody else's. What is noted as announced is not announced
 * again, even when Kafka has forgotten by now how far the run was.
 */
static bool may_be_unannounced(const struct replay *replay, const PGresult *result, int row)
{
    bool is_unsaid = rb_pg_is_true(result, row, "ours") && !rb_pg_is_true(result, row, "said");

    return replay->resumed && (is_unsaid || rb_pg_is_true(result, row, "put_aside"));
}

static enum replay_case case_of_failed(const struct replay *replay, const PGresult *result, int row)
{
    if (rb_pg_is_true(result, row, "ours") && !replay->resumed)
        return REPLAY_STORE; /* by a record of this run; a newer one may have another URL */
    return replay->filter.failed && rb_pg_is_true(result, row, "before") ? REPLAY_AGAIN : REPLAY_FAILED;
}

/* Another attempt would leave the one before without its event: whoever has stored it may still have to announce it. */
static enum replay_case case_of_stored(const struct replay *replay, const PGresult *result, int row)
{
    if (!replay->filter.missing || !rb_pg_is_true(result, row, "before"))
        return REPLAY_STORED;
    return rb_pg_is_true(result, row, "announced") ? REPLAY_LOOK : REPLAY_BUSY;
}

static enum replay_case case_of(const struct replay *replay, const PGresult *result, int row)
{
    const char *user = rb_pg_text(result, row, "user_id");

    bool by_user = replay->filter.user[0] != '\0' && !replay->only_announces;

    if (by_user && (user == NULL || strcmp(user, replay->filter.user) != 0))
        return REPLAY_OTHER;
    if (may_be_unannounced(replay, result, row))
        return REPLAY_OURS;
    if (is_in(result, row, "stored"))
        return case_of_stored(replay, result, row);
    if (is_in(result, row, "deleted"))
        return REPLAY_DELETED;
    if (is_in(result, row, "failed"))
        return case_of_failed(replay, result, row);
    if (!rb_pg_is_true(result, row, "known"))
        return REPLAY_UNKNOWN;
    if (rb_pg_is_true(result, row, "put_off"))
        return REPLAY_LATER;
    return rb_pg_is_true(result, row, "busy") ? REPLAY_BUSY : REPLAY_STORE;
}

static struct replay_row *read_row(const struct replay *replay, const PGresult *result, int row)
{
    struct replay_row *found = rb_xalloc(sizeof(*found));
    const char *hash = rb_pg_text(result, row, "sha256");

    found->is = case_of(replay, result, row);
    found->attempt = rb_pg_number(result, row, "attempt", 0);
    found->keep_url =
        found->is != REPLAY_STORE || (rb_pg_is_true(result, row, "has_url") && !is_in(result, row, "failed"));
    found->expires_at = rb_pg_number(result, row, "expires_at", RB_NO_LONG);
    found->bytes = rb_pg_number(result, row, "bytes", -1);
    snprintf(found->sha256, sizeof(found->sha256), "%s", hash != NULL ? hash : "");
    found->store = rb_xstrdup(rb_pg_text(result, row, "store"));
    found->bucket = rb_xstrdup(rb_pg_text(result, row, "bucket"));
    found->key = rb_xstrdup(rb_pg_text(result, row, "object_key"));
    return found;
}

void replay_row_free(struct replay_row *row)
{
    if (row == NULL)
        return;
    free(row->store);
    free(row->bucket);
    free(row->key);
    free(row);
}

static void ask_now(struct replay_batch *batch);

static void ask_later(struct replay *replay, const struct rb_error *err)
{
    if (rb_clock_ms() - replay->moved_ms > REPLAY_AWAY_MS || err->code != RB_E_DB_AWAY) {
        replay_fail(replay, err);
        return;
    }
    replay->asks_again = true;
    rb_timer_start(replay->again_timer, ASK_AGAIN_MS);
}

/* Records of what is stored: the next ones are waiting in memory already. */
static void drop_stored(struct replay_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct replay_entry *entry = &batch->entries[i];

        if (batch->named[entry->video].row != NULL)
            continue;
        rd_kafka_message_destroy(entry->message);
        entry->message = NULL;
    }
}

static void on_answer(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct replay_batch *batch = arg;
    struct replay *replay = batch->replay;

    batch->query = NULL;
    if (err != NULL) {
        ask_later(replay, err);
        return;
    }
    for (int i = 0; i < PQntuples(result); i++) {
        int64_t number = rb_pg_number(result, i, "n", 0);

        if (number >= 1 && (size_t)number <= batch->named_count)
            batch->named[number - 1].row = read_row(replay, result, i);
    }
    drop_stored(batch);
    batch->answered = true;
    replay->moved_ms = rb_clock_ms();
    replay_poke(replay);
}

static void ask_now(struct replay_batch *batch)
{
    struct replay *replay = batch->replay;
    RB_AUTO_TEXT *of_group = rb_xprintf("#%s/", replay->group);
    RB_AUTO_TEXT *began = rb_xprintf("%" PRId64, replay->started_ms);
    const char *const values[] = {
        batch->ids.bytes, replay->suffix, replay->resumed ? "true" : "false", replay->filter.missing ? "true" : "false",
        of_group,         began};
    struct rb_error err = {0};

    if (rb_pg_send(replay->parts.pg, replay->sql, RB_COUNT(values), values, on_answer, batch, &batch->query, &err) < 0)
        ask_later(replay, &err);
}

void replay_ask(struct replay_batch *batch)
{
    if (!batch->replay->asks_again)
        ask_now(batch);
}

/* Those that are without an answer and not asked about any more. */
static void ask_again(struct replay *replay)
{
    if (!replay->asks_again || rb_timer_is_started(replay->again_timer))
        return;
    replay->asks_again = false;
    for (struct replay_batch *batch = replay->first; batch != NULL && !replay->asks_again; batch = batch->next)
        if (!batch->answered && batch->query == NULL)
            ask_now(batch);
}

/* -- what it means ------------------------------------------------------------------------------------------------- */

/* Which count a video goes to for which nothing is done; NULL when there may be something to do. */
static int64_t *count_of(struct replay *replay, enum replay_case is)
{
    struct replay_counts *counts = &replay->counts;

    switch (is) {
    case REPLAY_STORED:
        return &counts->already_stored;
    case REPLAY_BUSY:
        return &counts->busy;
    case REPLAY_LATER:
        return &counts->later_before;
    case REPLAY_FAILED:
        return &counts->failed_before;
    case REPLAY_DELETED:
        return &counts->deleted;
    case REPLAY_UNKNOWN:
        return &counts->unknown;
    case REPLAY_OTHER:
        return &counts->others;
    case REPLAY_STORE:
    case REPLAY_AGAIN:
    case REPLAY_LOOK:
    case REPLAY_OURS:
        break;
    }
    return NULL;
}

/* Is it one to be counted only? What others have left is not this run's business when it only announces. */
static int64_t *passed_over(struct replay *replay, const struct replay_named *named)
{
    if (named->row == NULL)
        return &replay->counts.already_stored;
    if (replay->only_announces && named->row->is != REPLAY_OURS)
        return &replay->counts.ignored;
    return count_of(replay, named->row->is);
}

/* One more record in the offsets, unless the map would not fit any more whatever ends next. */
static bool has_room(struct replay *replay, size_t part)
{
    return replay->started_count == 0 ||
           (replay->started_count < REPLAY_VIDEOS_MAX && rb_offsets_has_room(&replay->parts_of[part].offsets, 1));
}

/* A record of a video that may need something. */
static void take_entry(struct replay_batch *batch, size_t at)
{
    struct replay *replay = batch->replay;
    struct replay_entry *entry = &batch->entries[at];
    struct replay_named *named = &batch->named[entry->video];

    if (rb_offsets_begin(&replay->parts_of[entry->part].offsets, entry->message->offset) == RB_OFFSETS_NEW) {
        if (named->unstored == NULL)
            named->unstored = replay_video_new(replay, named->id, named->row);
        replay_video_add(named->unstored, entry);
    } else {
        replay->counts.finished_before++;
    }
    if (at == named->last && named->unstored != NULL)
        replay_video_start(RB_STEAL(named->unstored));
}

/* Gives false when there is no room for more now. */
static bool take_batch(struct replay_batch *batch)
{
    struct replay *replay = batch->replay;

    for (; batch->at < batch->count && !replay->enough; batch->at++) {
        struct replay_entry *entry = &batch->entries[batch->at];
        struct replay_named *named = &batch->named[entry->video];
        int64_t *count = passed_over(replay, named);

        if (count == NULL && !has_room(replay, entry->part))
            return false;
        replay->counts.read++;
        if (count != NULL)
            (*count)++;
        else
            take_entry(batch, batch->at);
    }
    return true;
}

static void finish_batch(struct replay *replay, struct replay_batch *batch)
{
    int64_t passed = 0;

    replay->first = batch->next;
    if (replay->first == NULL)
        replay->last = &replay->first;
    replay->counts.read += batch->odd;
    replay->counts.unreadable += batch->odd;
    for (size_t i = 0; i < batch->named_count && replay->enough; i++)
        if (batch->named[i].unstored != NULL)
            replay_video_start(RB_STEAL(batch->named[i].unstored));
    for (size_t i = 0; i < replay->range.part_count && !replay->enough; i++) {
        struct replay_part *of = &replay->parts_of[i];

        passed += batch->reach[i] - of->reached;
        of->reached = batch->reach[i];
        of->changed = rb_offsets_reach(&of->offsets, batch->reach[i]) || of->changed;
    }
    if (replay->command->bar != NULL)
        rb_bar_add(replay->command->bar, passed);
}

void replay_take_answers(struct replay *replay)
{
    ask_again(replay);
    while (replay->first != NULL && replay->first->answered && take_batch(replay->first))
        finish_batch(replay, replay->first);
}
