/*
 * replay_show.c — what came of a replay, as lines and as JSON.
 *
 * Way:  replay -> [replay_show]
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/show.h"
#include "consumer/command_sql.h"
#include "consumer/replay_inside.h"

/* clang-format off: one row, one line */
#define COUNTS(X)                                                                                                      \
    /* count           unit      label             words behind it */                                                  \
    X(already_stored, "events", "already stored", "")                                                                  \
    X(finished_before, "events", "done before", "by this run, before it was ended")                                    \
    X(failed_before, "events", "failed before", "--state failed tries them again")                                     \
    X(busy, "events", "at work", "a running consumer has begun with them")                                             \
    X(later_before, "events", "put off", "running consumers try them again later")                                     \
    X(unfinished, "videos", "not finished", "by the provider")                                                         \
    X(deleted, "events", "deleted", "and stay so")                                                                     \
    X(unknown, "events", "unknown", "the application has no such video")                                               \
    X(others, "events", "of other users", "")                                                                          \
    X(unreadable, "events", "unreadable", "")                                                                          \
    X(elsewhere, "videos", "elsewhere", "in a store that is not asked")                                                \
    X(wrong, "videos", "missing", "the object is not there, or is another one")                                        \
    X(stored, "videos", "stored now", "")                                                                              \
    X(gone, "videos", "gone", "the URL is dead, and nobody has a fresh one")                                           \
    X(failed, "videos", "failed", "")                                                                                  \
    X(later, "videos", "put off now", "running consumers try them again later")                                        \
    X(left, "videos", "left", "because of --max; there may be more")
/* clang-format on */

static const struct {
    const char *name, *unit, *label, *words;
    size_t place;
} count_rows[] = {
#define ROW(count, unit, label, words) {#count, (unit), (label), (words), offsetof(struct replay_counts, count)},
    COUNTS(ROW)
#undef ROW
};

static int64_t count_at(const struct replay_counts *counts, size_t place)
{
    return *(const int64_t *)(const void *)((const char *)counts + place);
}

static bool has_done_something(const struct replay_counts *counts)
{
    return counts->stored + counts->gone + counts->failed + counts->later + counts->fetch + counts->left > 0;
}

/* -- with --dry-run ------------------------------------------------------------------------------------------------ */

static const char average_sql[] =
    "SELECT coalesce(sum(bytes) / nullif(sum(videos), 0), 0)::bigint AS average FROM reelbus.usage_in_all";

/* What videos of unknown size may be, by what those that are stored are; 0 when there are none. */
static int64_t guess_bytes(struct replay *replay)
{
    RB_AUTO_RESULT *result = NULL;
    struct rb_error ignored = {0};

    if (replay->counts.fetch_guess == 0 ||
        rb_command_query(replay->command, average_sql, 0, NULL, &result, &ignored) < 0)
        return 0;
    return rb_pg_number(result, 0, "average", 0) * replay->counts.fetch_guess;
}

/* -- lines --------------------------------------------------------------------------------------------------------- */

static void print_line(const char *label, int64_t count, const char *unit, const char *words)
{
    char text[RB_SHOW_TEXT_BYTES];

    printf("%-16s%s %s%s%s\n", label, rb_show_count(count, text), unit, words[0] != '\0' ? ": " : "", words);
}

static void print_fetch(const struct replay_counts *counts, int64_t guess)
{
    char known[RB_SHOW_TEXT_BYTES], guessed[RB_SHOW_TEXT_BYTES], dead[RB_SHOW_TEXT_BYTES];

    print_line("would fetch", counts->fetch, "videos", "");
    if (counts->fetch == 0)
        return;
    printf("%-16s%s known, %s estimated from the average\n", "bytes", rb_show_bytes(counts->fetch_bytes, known),
           rb_show_bytes(guess, guessed));
    printf("%-16s%s of these URLs have expired\n", "look dead", rb_show_count(counts->fetch_dead, dead));
}

static void print_lines(const struct replay *replay, int64_t took_ms, int64_t guess)
{
    const struct replay_counts *counts = &replay->counts;
    char read[RB_SHOW_TEXT_BYTES], took[RB_SHOW_TEXT_BYTES], rate[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES];

    printf("%-16s%s events in %s, %s a second\n", "read", rb_show_count(counts->read, read), rb_show_ms(took_ms, took),
           rb_show_count(counts->read * 1000 / RB_MAX(took_ms, (int64_t)1), rate));
    for (size_t i = 0; i < RB_COUNT(count_rows); i++) {
        int64_t count = count_at(counts, count_rows[i].place);
        const char *words = count_rows[i].words;

        if (count_rows[i].place == offsetof(struct replay_counts, stored))
            words = rb_show_bytes(counts->bytes, bytes);
        if (count > 0)
            print_line(count_rows[i].label, count, count_rows[i].unit, words);
    }
    if (replay->is_dry)
        print_fetch(counts, guess);
    else if (!has_done_something(counts))
        puts("There was nothing to do.");
}

/* -- JSON ---------------------------------------------------------------------------------------------------------- */

static json_t *as_json(const struct replay *replay, int64_t took_ms, int64_t guess)
{
    const struct replay_counts *counts = &replay->counts;
    json_t *value = json_pack("{sI}", "read", (json_int_t)counts->read);

    for (size_t i = 0; i < RB_COUNT(count_rows); i++)
        json_object_set_new(value, count_rows[i].name, json_integer(count_at(counts, count_rows[i].place)));
    json_object_set_new(value, "bytes", json_integer(counts->bytes));
    json_object_set_new(value, "took_ms", json_integer(took_ms));
    json_object_set_new(value, "dry_run", json_boolean(replay->is_dry));
    if (replay->is_dry) {
        json_object_set_new(value, "would_fetch", json_integer(counts->fetch));
        json_object_set_new(value, "would_fetch_bytes_known", json_integer(counts->fetch_bytes));
        json_object_set_new(value, "would_fetch_bytes_estimated", json_integer(guess));
        json_object_set_new(value, "look_dead", json_integer(counts->fetch_dead));
    } else {
        json_object_set_new(value, "nothing_to_do", json_boolean(!has_done_something(counts)));
    }
    return value;
}

int replay_show(struct replay *replay, int status)
{
    int64_t took_ms = rb_clock_ms() - replay->began_ms;
    int64_t guess = replay->is_dry ? guess_bytes(replay) : 0;

    if (replay->flags->json)
        rb_command_print(replay->command, as_json(replay, took_ms, guess));
    else
        print_lines(replay, took_ms, guess);
    if (status == RB_EXIT_INTERRUPTED && !replay->is_dry)
        rb_command_note(replay->command, "ended before it was through; the same command goes on from here");
    if (status == RB_EXIT_OK && !replay->is_dry && replay->counts.gone + replay->counts.failed > 0)
        status = RB_EXIT_FOUND;
    return status;
}
