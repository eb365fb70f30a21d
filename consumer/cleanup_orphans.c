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

/* $3 keys, $4 the videos that they name; their places in the page are answered. A video that is being worked on may have an object
 * already; and whatever the application shows stays. */
static const char orphans_template[] =
    "SELECT k.place FROM unnest($3::text[], $4::uuid[]) WITH ORDINALITY AS k (key, video_id, place)"
    " LEFT JOIN reelbus.video v ON v.video_id = k.video_id"
    " WHERE NOT coalesce(v.state IN ('waiting', 'processing') OR v.deleting_since IS NOT NULL"
    "  OR (v.state <> 'deleted' AND v.store = $1 AND v.bucket = $2 AND (v.object_key = k.key OR EXISTS"
    "   (SELECT FROM jsonb_each(v.variants) b WHERE b.value ->> 'object_key' = k.key))), false)"
    " AND NOT EXISTS (SELECT FROM {table} h WHERE h.{id} = k.video_id"
    "  AND right(h.{video_url}, length(k.key) + 1) = '/' || k.key)";
/* clang-format on */

_Static_assert(RB_STORE_LIST_MAX <= RB_STORE_REMOVE_MAX, "what a page lists is removed by one request");

struct orphans {
    struct rb_command *command; /* borrowed, as the target */
    const struct rb_target *target;
    const char *key_template;
    char *sql;
    int64_t old_until;
    const struct rb_listed *candidates[RB_STORE_LIST_MAX]; /* of the page: old, and of our names */
    size_t candidate_count;
    struct rb_buffer keys, videos;                    /* the same, as lists of SQL */
    const struct rb_listed *found[RB_STORE_LIST_MAX]; /* of these: what no row has */
    size_t found_count;
    int64_t looked_at, removed, bytes, failed;
};

static const struct rb_command_options *flags_of(const struct rb_command *command)
{
    return &command->options->command;
}

/* -- which they are ------------------------------------------------------------------------------------------------ */

static void pick_candidates(struct orphans *orphans, const struct rb_store_answer *page)
{
    orphans->candidate_count = 0;
    orphans->keys.used = orphans->videos.used = 0;
    for (size_t i = 0; i < page->listed_count; i++) {
        const struct rb_listed *listed = &page->listed[i];
        char video_id[RB_UUID_TEXT_BYTES];

        if (listed->changed_unix_ms >= orphans->old_until || !rb_key_read(orphans->key_template, listed->key, video_id))
            continue;
        orphans->candidates[orphans->candidate_count++] = listed;
        rb_pg_array_add(&orphans->keys, listed->key);
        rb_pg_array_add(&orphans->videos, video_id);
    }
    orphans->looked_at += (int64_t)page->listed_count;
}

static int ask_database(struct orphans *orphans, struct rb_error *err)
{
    const char *values[] = {orphans->target->store->ops->kind, orphans->target->bucket, rb_pg_array_end(&orphans->keys),
                            rb_pg_array_end(&orphans->videos)};
    RB_AUTO_RESULT *result = NULL;

    orphans->found_count = 0;
    if (orphans->candidate_count == 0)
        return 0;
    RB_TRY(rb_command_query(orphans->command, orphans->sql, RB_COUNT(values), values, &result, err));
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t place = rb_pg_number(result, row, "place", 0);

        if (place >= 1 && (size_t)place <= orphans->candidate_count)
            orphans->found[orphans->found_count++] = orphans->candidates[place - 1];
    }
    return 0;
}

/* -- away with them ------------------------------------------------------------------------------------------------ */

static void note_gone(struct orphans *orphans, const struct rb_listed *listed)
{
    orphans->removed++;
    orphans->bytes += listed->bytes;
    rb_bar_add(orphans->command->bar, 1);
}

/* One that fails does not keep the others; a store that is away does. */
static int remove_one(struct orphans *orphans, const struct rb_listed *listed, struct rb_error *err)
{
    const struct rb_target *target = orphans->target;
    const struct rb_object object = {target->bucket, listed->key, "", NULL};
    struct rb_ask *ask = target->store->ops->remove(target->store, &object, rb_command_wake, orphans->command);
    struct rb_store_answer answer = {0};
    int result = rb_command_answer(orphans->command, target, ask, &answer, err);

    target->store->ops->forget(ask);
    if (result == 0) {
        note_gone(orphans, listed);
        return 0;
    }
    if (orphans->command->stopped || err->code == RB_E_STORE_AWAY || err->code == RB_E_STORE_BUSY)
        return -1;
    orphans->failed++;
    rb_command_note(orphans->command, "%s", err->message);
    return 0;
}

/* What the one request does not say to be gone, or all when it fails, is removed one by one. */
static int remove_many(struct orphans *orphans, struct rb_error *err)
{
    const struct rb_target *target = orphans->target;
    const char *keys[RB_STORE_REMOVE_MAX];
    const struct rb_keys all = {target->bucket, keys, orphans->found_count};
    struct rb_store_answer answer = {0};
    struct rb_ask *ask;
    int result = 0;

    for (size_t i = 0; i < orphans->found_count; i++)
        keys[i] = orphans->found[i]->key;
    ask = target->store->ops->remove_many(target->store, &all, rb_command_wake, orphans->command);
    if (rb_command_answer(orphans->command, target, ask, &answer, err) < 0)
        answer.kept = NULL;
    for (size_t i = 0; i < orphans->found_count && result == 0; i++) {
        if (answer.kept != NULL && !answer.kept[i])
            note_gone(orphans, orphans->found[i]);
        else
            result = remove_one(orphans, orphans->found[i], err);
    }
    target->store->ops->forget(ask);
    return result;
}

static int remove_page(struct orphans *orphans, struct rb_error *err)
{
    bool dry = flags_of(orphans->command)->dry_run;

    if (!dry && orphans->found_count > 1 && orphans->target->store->ops->remove_many != NULL)
        return remove_many(orphans, err);
    for (size_t i = 0; i < orphans->found_count; i++) {
        if (dry)
            note_gone(orphans, orphans->found[i]);
        else
            RB_TRY(remove_one(orphans, orphans->found[i], err));
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

static int walk(struct orphans *orphans, struct rb_ask *ask, struct rb_error *err)
{
    struct rb_store_answer page = {0};

    for (;;) {
        RB_TRY(rb_command_answer(orphans->command, orphans->target, ask, &page, err));
        pick_candidates(orphans, &page);
        RB_TRY(ask_database(orphans, err));
        RB_TRY(remove_page(orphans, err));
        if (!page.more)
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

static int look_through(struct rb_command *command, const struct rb_target *target, const char *key_template,
                        struct rb_error *err)
{
    struct orphans *orphans = rb_xalloc(sizeof(*orphans));
    const struct consumer_options *options = command->options;
    struct rb_ask *ask = NULL;
    int result;

    *orphans = (struct orphans){
        .command = command,
        .target = target,
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
    free(orphans->sql);
    rb_buffer_done(&orphans->keys);
    rb_buffer_done(&orphans->videos);
    free(orphans);
    return result;
}

static int look_through_one(struct rb_command *command, const struct rb_target *target, const char *key_template)
{
    struct rb_error err = {0};

    if (target->store == NULL)
        return RB_EXIT_OK;
    if (target->store->ops->list == NULL) {
        rb_say("orphans", target->bucket, "not looked for: this kind of store is not listed");
        return RB_EXIT_OK;
    }
    return look_through(command, target, key_template, &err) < 0 ? rb_command_fail(command, &err) : RB_EXIT_OK;
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
    first = look_through_one(command, &stores.first, command->options->key_template);
    fallback = stores.fallback_options.values;
    if (fallback != NULL && !command->stopped)
        second = look_through_one(command, &stores.fallback, fallback->key_template);
    rb_bar_free(RB_STEAL(command->bar));
    rb_stores_close(&stores);
    return first != RB_EXIT_OK ? first : second;
}
