/*
 * cleanup_orphans.c — removes objects that no row has.
 *
 * Way:  cleanup -> [cleanup_orphans] -> store, Postgres
 *
 * The store tells what is in the bucket, a page at a time, and the database what of that it does not know. What is young may be
 * an upload whose row is still to be written; what has another name than the template makes is somebody else's.
 */
#include "consumer/cleanup_orphans.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/pg_array.h"
#include "common/random.h"
#include "common/show.h"
#include "common/tables.h"
#include "consumer/command_sql.h"
#include "consumer/command_stores.h"
#include "consumer/key.h"
#include "consumer/say.h"

/* SQL reads best as SQL. */
/* clang-format off */

/* $1 kind of store, $2 bucket: is there anything of this bucket in the database? Another database would know of nothing in it. */
static const char known_sql[] = "SELECT EXISTS (SELECT FROM reelbus.video v WHERE v.store = $1 AND v.bucket = $2) AS known";

/* $1 keys, $2 the videos that they name; their places in the page are answered. $3 kind and $4 bucket of the other store. A video
 * that is being worked on may have an object already, and of one that has failed it may be the only copy. A row that names this
 * object keeps it, also by the name that a store had before it was moved: only what lies in the other store is another object. And
 * whatever the application shows stays. */
static const char orphans_template[] =
    "SELECT k.place FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k (key, video_id, place)"
    " LEFT JOIN reelbus.video v ON v.video_id = k.video_id"
    " WHERE NOT coalesce(v.state IN ('waiting', 'processing', 'failed') OR v.deleting_since IS NOT NULL"
    "  OR (v.state <> 'deleted' AND NOT coalesce(v.store = $3 AND v.bucket = $4, false) AND (v.object_key = k.key OR EXISTS"
    "   (SELECT FROM jsonb_each(v.variants) b WHERE b.value ->> 'object_key' = k.key))), false)"
    " AND NOT EXISTS (SELECT FROM {table} h WHERE h.{id} = k.video_id"
    "  AND right(h.{video_url}, length(k.key) + 1) = '/' || k.key)";
/* clang-format on */

#define GROUP      100 /* objects that the database is asked for once more, just before they are removed */
#define FAILED_MAX 20  /* in a row: the store removes nothing */
#define DOUBT_MIN  20  /* objects: of fewer than these, most may well be orphans */

_Static_assert(GROUP <= RB_STORE_REMOVE_MAX, "a group is removed by one request");

struct orphans {
    struct rb_command *command; /* borrowed, as the target */
    const struct rb_target *target;
    const struct rb_target *other; /* its store is NULL when there is none */
    const char *key_template;
    char *sql;
    int64_t old_until;
    const struct rb_listed *candidates[RB_STORE_LIST_MAX]; /* of the page: old, and of our names */
    const struct rb_listed *found[RB_STORE_LIST_MAX];      /* of these: what no row has */
    size_t candidate_count, found_count;
    const struct rb_listed *group[GROUP]; /* of these: what still no row has */
    size_t group_count;
    int64_t looked_at, removed, bytes, failed;
    int64_t all_candidates, all_found;
    unsigned failed_in_a_row;
    bool in_doubt; /* is this our bucket's database? */
};

static const struct rb_command_options *flags_of(const struct rb_command *command)
{
    return &command->options->command;
}

/* -- which they are ------------------------------------------------------------------------------------------------ */

static void pick_candidates(struct orphans *orphans, const struct rb_store_answer *page)
{
    char video_id[RB_UUID_TEXT_BYTES];

    orphans->candidate_count = 0;
    for (size_t i = 0; i < page->listed_count; i++) {
        const struct rb_listed *listed = &page->listed[i];

        if (listed->changed_unix_ms < orphans->old_until && rb_key_read(orphans->key_template, listed->key, video_id))
            orphans->candidates[orphans->candidate_count++] = listed;
    }
    orphans->looked_at += (int64_t)page->listed_count;
}

/* Which of these does no row have? There is room in ret_found for all of them. */
static int ask_database(struct orphans *orphans, const struct rb_listed *const *asked, size_t count,
                        const struct rb_listed **ret_found, size_t *ret_count, struct rb_error *err)
{
    const struct rb_target *other = orphans->other;
    RB_AUTO_BUFFER keys = {0}, videos = {0};
    RB_AUTO_RESULT *result = NULL;
    char video_id[RB_UUID_TEXT_BYTES] = "";

    *ret_count = 0;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        (void)rb_key_read(orphans->key_template, asked[i]->key, video_id);
        rb_pg_array_add(&keys, asked[i]->key);
        rb_pg_array_add(&videos, video_id);
    }

    const char *values[] = {rb_pg_array_end(&keys), rb_pg_array_end(&videos),
                            other->store != NULL ? other->store->ops->kind : NULL,
                            other->store != NULL ? other->bucket : NULL};

    RB_TRY(rb_command_query(orphans->command, orphans->sql, RB_COUNT(values), values, &result, err));
    for (int row = 0; row < PQntuples(result) && *ret_count < count; row++) {
        int64_t place = rb_pg_number(result, row, "place", 0);

        if (place >= 1 && (size_t)place <= count)
            ret_found[(*ret_count)++] = asked[place - 1];
    }
    return 0;
}

static bool are_most(int64_t found, int64_t candidates)
{
    return candidates >= DOUBT_MIN && found > candidates / 2;
}

/* A database of somebody else's, or of yesterday, knows little of what is in the bucket. */
static bool raises_doubt(struct orphans *orphans)
{
    orphans->all_candidates += (int64_t)orphans->candidate_count;
    orphans->all_found += (int64_t)orphans->found_count;
    if (flags_of(orphans->command)->orphans_most)
        return false;
    orphans->in_doubt |= are_most((int64_t)orphans->found_count, (int64_t)orphans->candidate_count) ||
                         are_most(orphans->all_found, orphans->all_candidates);
    return orphans->in_doubt;
}

/* -- away with them ------------------------------------------------------------------------------------------------ */

/* What is in it comes from the store: a terminal obeys none of it. */
static void say_one(const struct orphans *orphans, const struct rb_listed *listed, const char *result)
{
    RB_AUTO_BUFFER text = {0}, clean = {0};
    char bytes[RB_SHOW_TEXT_BYTES];

    if (flags_of(orphans->command)->json) {
        rb_command_print(orphans->command,
                         json_pack("{s{ss so sI ss}}", "orphan", "bucket", orphans->target->bucket, "key",
                                   rb_command_text(listed->key), "bytes", (json_int_t)listed->bytes, "result", result));
        return;
    }
    rb_buffer_print(&text, "orphan    %s/%s, %s: %s", orphans->target->bucket, listed->key,
                    rb_show_bytes(listed->bytes, bytes), result);
    rb_show_text(&clean, text.bytes, text.used);
    rb_bar_hide(orphans->command->bar);
    puts(clean.bytes);
}

static void note_gone(struct orphans *orphans, const struct rb_listed *listed)
{
    orphans->failed_in_a_row = 0;
    orphans->removed++;
    orphans->bytes += listed->bytes;
    rb_bar_add(orphans->command->bar, 1);
    say_one(orphans, listed, flags_of(orphans->command)->dry_run ? "would go" : "gone");
}

/* One that fails does not keep the others; a store that is away, or that removes nothing, does. */
static int note_failed(struct orphans *orphans, const struct rb_listed *listed, const struct rb_error *err)
{
    RB_AUTO_BUFFER why = {0};

    if (orphans->command->stopped || err->code == RB_E_STORE_AWAY || err->code == RB_E_STORE_BUSY)
        return -1;
    orphans->failed++;
    say_one(orphans, listed, "failed");
    if (++orphans->failed_in_a_row >= FAILED_MAX)
        return -1;
    rb_show_text(&why, err->message, strlen(err->message));
    rb_command_note(orphans->command, "%s", why.bytes);
    return 0;
}

static int remove_one(struct orphans *orphans, const struct rb_listed *listed, struct rb_error *err)
{
    const struct rb_target *target = orphans->target;
    const struct rb_object object = {target->bucket, listed->key, "", NULL};
    struct rb_ask *ask = target->store->ops->remove(target->store, &object, rb_command_wake, orphans->command);
    struct rb_store_answer answer = {0};
    int result = rb_command_answer(orphans->command, target, ask, &answer, err);

    target->store->ops->forget(ask);
    if (result < 0)
        return note_failed(orphans, listed, err);
    note_gone(orphans, listed);
    return 0;
}

/* What the one request does not say to be gone, or all when it fails, is removed one by one. */
static int remove_many(struct orphans *orphans, struct rb_error *err)
{
    const struct rb_target *target = orphans->target;
    const char *keys[GROUP];
    const struct rb_keys all = {target->bucket, keys, orphans->group_count};
    struct rb_store_answer answer = {0};
    struct rb_ask *ask;
    int result = 0;

    for (size_t i = 0; i < orphans->group_count; i++)
        keys[i] = orphans->group[i]->key;
    ask = target->store->ops->remove_many(target->store, &all, rb_command_wake, orphans->command);
    if (rb_command_answer(orphans->command, target, ask, &answer, err) < 0)
        answer.kept = NULL;
    for (size_t i = 0; i < orphans->group_count && result == 0; i++) {
        if (answer.kept != NULL && !answer.kept[i])
            note_gone(orphans, orphans->group[i]);
        else
            result = remove_one(orphans, orphans->group[i], err);
    }
    target->store->ops->forget(ask);
    return result;
}

static int remove_group(struct orphans *orphans, struct rb_error *err)
{
    if (orphans->group_count > 1 && orphans->target->store->ops->remove_many != NULL)
        return remove_many(orphans, err);
    for (size_t i = 0; i < orphans->group_count; i++)
        RB_TRY(remove_one(orphans, orphans->group[i], err));
    return 0;
}

/* A video may have been claimed while those before it were removed. */
static int remove_page(struct orphans *orphans, struct rb_error *err)
{
    for (size_t i = 0; i < orphans->found_count; i += GROUP) {
        RB_TRY(ask_database(orphans, orphans->found + i, RB_MIN(orphans->found_count - i, (size_t)GROUP),
                            orphans->group, &orphans->group_count, err));
        RB_TRY(remove_group(orphans, err));
        if (!rb_command_flush(orphans->command))
            return rb_fail(err, RB_E_SYSTEM, 0, "nobody reads what is removed");
    }
    return 0;
}

/* -- all of a bucket ----------------------------------------------------------------------------------------------- */

/* The wrong database, or an empty one, knows nothing of what is there: that must not be the end of all of it. */
static int check_database(struct orphans *orphans, struct rb_error *err)
{
    const char *values[] = {orphans->target->store->ops->kind, orphans->target->bucket};
    RB_AUTO_RESULT *result = NULL;

    RB_TRY(rb_command_query(orphans->command, known_sql, RB_COUNT(values), values, &result, err));
    if (PQntuples(result) == 1 && rb_pg_is_true(result, 0, "known"))
        return 0;
    return rb_fail(err, RB_E_BAD_OPTION, 0,
                   "the database knows of no video in bucket '%.63s': nothing is removed, for it may be another one's",
                   orphans->target->bucket);
}

static int take_page(struct orphans *orphans, const struct rb_store_answer *page, struct rb_error *err)
{
    bool dry = flags_of(orphans->command)->dry_run;

    pick_candidates(orphans, page);
    RB_TRY(ask_database(orphans, orphans->candidates, orphans->candidate_count, orphans->found, &orphans->found_count,
                        err));
    if (raises_doubt(orphans) && !dry)
        return 0;
    for (size_t i = 0; dry && i < orphans->found_count; i++)
        note_gone(orphans, orphans->found[i]);
    return dry ? 0 : remove_page(orphans, err);
}

static int walk(struct orphans *orphans, struct rb_ask *ask, struct rb_error *err)
{
    struct rb_store_answer page = {0};

    for (;;) {
        RB_TRY(rb_command_answer(orphans->command, orphans->target, ask, &page, err));
        RB_TRY(take_page(orphans, &page, err));
        if (!page.more || (orphans->in_doubt && !flags_of(orphans->command)->dry_run))
            return 0;
        orphans->target->store->ops->list_on(ask);
    }
}

static void say(const struct orphans *orphans)
{
    bool dry = flags_of(orphans->command)->dry_run;
    char looked_at[RB_SHOW_TEXT_BYTES], removed[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES];
    RB_AUTO_TEXT *words = NULL;

    rb_bar_hide(orphans->command->bar);
    if (flags_of(orphans->command)->json) {
        rb_command_print(orphans->command,
                         json_pack("{s{ss ss sI sI sI sI sb}}", "orphans", "store", orphans->target->store->ops->kind,
                                   "bucket", orphans->target->bucket, "looked_at", (json_int_t)orphans->looked_at,
                                   "removed", (json_int_t)orphans->removed, "bytes", (json_int_t)orphans->bytes,
                                   "failed", (json_int_t)orphans->failed, "dry_run", dry));
        return;
    }
    words = rb_xprintf("%s of %s objects %s, %s", rb_show_count(orphans->removed, removed),
                       rb_show_count(orphans->looked_at, looked_at), dry ? "would go" : "are gone",
                       rb_show_bytes(orphans->bytes, bytes));
    rb_say("orphans", orphans->target->bucket, words);
}

static void say_doubt(const struct orphans *orphans)
{
    rb_command_note(orphans->command,
                    "bucket '%s': the database knows nothing of most of it, of %" PRId64 " of %" PRId64
                    " objects. Does another database share this bucket, or was this one restored from an older backup?"
                    " Then these are no orphans, and nothing more is removed. --orphans-most removes them, too",
                    orphans->target->bucket, orphans->all_found, orphans->all_candidates);
}

/* Gives the status to end with when nothing fails. */
static int look_through(struct rb_command *command, const struct rb_target *target, const struct rb_target *other,
                        const char *key_template, struct rb_error *err)
{
    struct orphans *orphans = rb_xalloc(sizeof(*orphans));
    const struct consumer_options *options = command->options;
    struct rb_ask *ask = NULL;
    int result;

    *orphans = (struct orphans){
        .command = command,
        .target = target,
        .other = other,
        .key_template = key_template,
        .sql = rb_tables_sql(&options->common, orphans_template),
        .old_until = rb_clock_unix_ms() - options->command.orphan_age,
    };
    result = check_database(orphans, err);
    if (result == 0) {
        ask =
            target->store->ops->list(target->store, target->bucket, options->cleanup_prefix, rb_command_wake, command);
        result = walk(orphans, ask, err);
        target->store->ops->forget(ask);
        say(orphans);
    }
    if (result == 0 && orphans->failed > 0)
        result = rb_fail(err, RB_E_STORE_REFUSED, 0, "%" PRId64 " objects could not be removed", orphans->failed);
    if (orphans->in_doubt)
        say_doubt(orphans);
    if (result == 0 && orphans->in_doubt)
        result = RB_EXIT_FOUND;
    free(orphans->sql);
    free(orphans);
    return result;
}

static int look_through_one(struct rb_command *command, const struct rb_target *target, const struct rb_target *other,
                            const char *key_template)
{
    struct rb_error err = {0};
    int result;

    if (target->store == NULL)
        return RB_EXIT_OK;
    if (target->store->ops->list == NULL) {
        rb_say("orphans", target->bucket, "not looked for: this kind of store is not listed");
        return RB_EXIT_OK;
    }
    result = look_through(command, target, other, key_template, &err);
    return result < 0 ? rb_command_fail(command, &err) : result;
}

int rb_cleanup_orphans(struct rb_command *command)
{
    struct rb_stores stores = {0};
    struct rb_bar_config bar = rb_bar_config_of("cleanup", "orphans", -1);
    struct rb_error err = {0};
    const struct consumer_options *fallback;
    int first, second = RB_EXIT_OK;

    if (rb_stores_open(command->loop, command->all_options, &stores, &err) < 0) {
        rb_stores_close(&stores);
        return rb_command_fail(command, &err);
    }
    command->bar = rb_bar_new(command->loop, &bar);
    first = look_through_one(command, &stores.first, &stores.fallback, command->options->key_template);
    fallback = stores.fallback_options.values;
    if (fallback != NULL && !command->stopped)
        second = look_through_one(command, &stores.fallback, &stores.first, fallback->key_template);
    rb_bar_free(RB_STEAL(command->bar));
    rb_stores_close(&stores);
    return first != RB_EXIT_OK ? first : second;
}
