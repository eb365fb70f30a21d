/*
 * cleanup_videos.c — removes videos by rules of retention, once, and says how many.
 *
 * Way:  cleanup -> [cleanup_videos] -> retain
 */
#include "consumer/cleanup_videos.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/show.h"
#include "consumer/announcer.h"
#include "consumer/erase.h"

#define AT_ONCE     64 /* more that are being removed would keep consumers from making room */
#define STORE_COUNT 2

/* $1 rule, $2 store, $3 bucket, then the limits, and no number at most. */
static const char count_sql[] =
    "SELECT count(*) AS videos, coalesce(sum(d.due_bytes), 0)::bigint AS bytes FROM reelbus.due_to_go($1, $2, $3, $4::bigint,"
    " $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint) AS d";

struct cleanup {
    struct rb_command *command; /* borrowed */
    struct rb_retain_limits limits;
    struct rb_stores stores;
    struct rb_announcer *announcer;
    struct rb_remove *remove;
    struct rb_retain *retain;
    struct rb_retain_sum due[STORE_COUNT][RB_RETAIN_RULE_COUNT]; /* by each rule alone */
    int64_t begun_ms;
    bool ended;
    bool knows_user;       /* whose videos go */
    struct rb_error error; /* that ended it */
};

static bool is_dry(const struct cleanup *cleanup)
{
    return cleanup->command->options->command.dry_run;
}

static const struct rb_target *target_of(const struct cleanup *cleanup, int store)
{
    return store == 0 ? &cleanup->stores.first : &cleanup->stores.fallback;
}

/* -- what is said -------------------------------------------------------------------------------------------------- */

static void print_rule(const struct cleanup *cleanup, int store, enum rb_retain_rule rule)
{
    const struct rb_target *target = target_of(cleanup, store);
    struct rb_retain_sum sum =
        is_dry(cleanup) ? cleanup->due[store][rule] : rb_retain_sum_of(cleanup->retain, store == 1, rule);
    char videos[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES];

    if (target->store == NULL || sum.videos == 0)
        return;
    if (cleanup->command->options->command.json)
        rb_command_print(cleanup->command,
                         json_pack("{ss ss ss sI sI sb}", "rule", rb_retain_rule_name(rule), "store",
                                   target->store->ops->kind, "bucket", target->bucket, "videos", (json_int_t)sum.videos,
                                   "bytes", (json_int_t)sum.bytes, "dry_run", is_dry(cleanup)));
    else
        printf("%-9s %-28s %s videos, %s %s\n", rb_retain_rule_name(rule), target->bucket,
               rb_show_count(sum.videos, videos), rb_show_bytes(sum.bytes, bytes),
               is_dry(cleanup) ? "would go" : "were let go");
}

static void print_rules(const struct cleanup *cleanup)
{
    rb_bar_hide(cleanup->command->bar);
    for (int store = 0; store < STORE_COUNT; store++)
        for (int rule = 0; rule < RB_RETAIN_RULE_COUNT; rule++)
            print_rule(cleanup, store, (enum rb_retain_rule)rule);
}

static void print_sums(const struct cleanup *cleanup)
{
    int64_t failed = 0, took_ms = rb_clock_ms() - cleanup->begun_ms;
    struct rb_retain_sum gone = rb_retain_gone(cleanup->retain, &failed);
    char videos[RB_SHOW_TEXT_BYTES], bytes[RB_SHOW_TEXT_BYTES], time[RB_SHOW_TEXT_BYTES];

    print_rules(cleanup);
    if (cleanup->command->options->command.json)
        rb_command_print(cleanup->command, json_pack("{s{sI sI sI sI}}", "summary", "removed", (json_int_t)gone.videos,
                                                     "bytes", (json_int_t)gone.bytes, "failed", (json_int_t)failed,
                                                     "took_ms", (json_int_t)took_ms));
    else
        printf("%s videos are gone, %s, %" PRId64 " failed; %s\n", rb_show_count(gone.videos, videos),
               rb_show_bytes(gone.bytes, bytes), failed, rb_show_ms(took_ms, time));
    if (failed > 0)
        rb_command_note(cleanup->command,
                        "what failed is tried again each minute by a running consumer that has its store");
}

/* -- how many it will be ------------------------------------------------------------------------------------------- */

static int count_rule(struct cleanup *cleanup, int store, enum rb_retain_rule rule, struct rb_error *err)
{
    const struct rb_target *target = target_of(cleanup, store);
    char texts[RB_RETAIN_VALUES][24];
    const char *values[3 + RB_RETAIN_VALUES] = {rb_retain_rule_name(rule), target->store->ops->kind, target->bucket};
    RB_AUTO_RESULT *result = NULL;

    if (rule == RB_RETAIN_ERASE)
        return store == 0 && cleanup->limits.user != NULL
                   ? rb_erase_count(cleanup->command, cleanup->limits.user, &cleanup->due[store][rule], err)
                   : 0;
    rb_retain_values(&cleanup->limits, 0, texts, values + 3);
    RB_TRY(rb_command_query(cleanup->command, count_sql, RB_COUNT(values), values, &result, err));
    cleanup->due[store][rule].videos = rb_pg_number(result, 0, "videos", 0);
    cleanup->due[store][rule].bytes = rb_pg_number(result, 0, "bytes", 0);
    return 0;
}

/* A video may be due by more than one rule. How many it is in all is not known then, but that it is no fewer than this. */
static int count_all(struct cleanup *cleanup, int64_t *ret_most, struct rb_error *err)
{
    *ret_most = 0;
    for (int store = 0; store < STORE_COUNT; store++)
        for (int rule = 0; rule < RB_RETAIN_RULE_COUNT && target_of(cleanup, store)->store != NULL; rule++) {
            RB_TRY(count_rule(cleanup, store, (enum rb_retain_rule)rule, err));
            *ret_most = RB_MAX(*ret_most, cleanup->due[store][rule].videos);
        }
    return 0;
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

static void on_done(const struct rb_error *err, void *arg)
{
    struct cleanup *cleanup = arg;

    cleanup->ended = true;
    if (err != NULL)
        cleanup->error = *err;
    rb_command_wake(cleanup->command);
}

static void on_gone(void *arg)
{
    struct cleanup *cleanup = arg;

    rb_bar_add(cleanup->command->bar, 1);
}

static int open_removal(struct cleanup *cleanup, struct rb_error *err)
{
    struct rb_command *command = cleanup->command;

    RB_TRY(rb_announcer_new(command, &cleanup->announcer, err));
    RB_TRY(rb_announcer_wait(cleanup->announcer, err));

    const struct rb_remove_config remove = {
        .pg = command->pg,
        .announcer = rb_announcer_of(cleanup->announcer),
        .stores = &cleanup->stores,
        .every_ms = command->options->quota_check_ms,
    };
    struct rb_retain_config retain = {
        .pg = command->pg,
        .stores = &cleanup->stores,
        .options = &command->options->common,
        .limits = cleanup->limits,
        .at_once = AT_ONCE,
        .on_done = on_done,
        .on_gone = on_gone,
        .arg = cleanup,
    };

    cleanup->remove = rb_remove_new(command->loop, &remove);
    retain.remove = cleanup->remove;
    cleanup->retain = rb_retain_new(command->loop, &retain);
    return 0;
}

/* Each row has been told what became of its video once the database has answered all that was sent. */
static int wait_for_rows(struct cleanup *cleanup, struct rb_error *err)
{
    RB_AUTO_RESULT *result = NULL;

    return rb_command_query(cleanup->command, "SELECT 1", 0, NULL, &result, err);
}

static int remove_all(struct cleanup *cleanup, struct rb_error *err)
{
    struct rb_bar_config bar = rb_bar_config_of("cleanup", "videos", -1);

    RB_TRY(rb_stores_open(cleanup->command->loop, cleanup->command->all_options, &cleanup->stores, err));
    if (cleanup->limits.user != NULL)
        RB_TRY(rb_erase_look(cleanup->command, cleanup->limits.user, &cleanup->knows_user, err));
    RB_TRY(count_all(cleanup, &bar.total, err));
    if (is_dry(cleanup)) {
        print_rules(cleanup);
        return 0;
    }
    RB_TRY(open_removal(cleanup, err));
    cleanup->command->bar = rb_bar_new(cleanup->command->loop, &bar);
    if (cleanup->limits.user != NULL)
        RB_TRY(rb_erase_begin(cleanup->command, cleanup->limits.user, err));
    rb_retain_start(cleanup->retain);
    while (!cleanup->ended && rb_command_wait(cleanup->command))
        continue;
    if (!cleanup->ended)
        return rb_fail(err, RB_E_SYSTEM, 0, "ended before it was through");
    if (cleanup->error.code != RB_E_NONE) {
        *err = cleanup->error;
        return -1;
    }
    return cleanup->limits.user != NULL ? rb_erase_end(cleanup->command, &cleanup->stores, cleanup->limits.user, err)
                                        : wait_for_rows(cleanup, err);
}

static int say_unknown(struct rb_command *command)
{
    rb_command_note(command,
                    "nobody knows this user: neither a row of ours nor the application's table; is it the right one,"
                    " or forgotten already?");
    return RB_EXIT_FOUND;
}

int rb_cleanup_videos(struct rb_command *command, const struct rb_retain_limits *limits)
{
    struct cleanup cleanup = {.command = command, .limits = *limits, .begun_ms = rb_clock_ms()};
    struct rb_error err = {0};
    int status = RB_EXIT_OK;
    int64_t failed = 0;

    if (remove_all(&cleanup, &err) < 0)
        status = rb_command_fail(command, &err);
    else if (limits->user != NULL && !cleanup.knows_user)
        status = say_unknown(command);
    if (cleanup.retain != NULL) {
        print_sums(&cleanup);
        (void)rb_retain_gone(cleanup.retain, &failed);
    }
    rb_bar_free(RB_STEAL(command->bar));
    rb_retain_free(cleanup.retain);
    rb_announcer_free(cleanup.announcer);
    rb_remove_free(cleanup.remove);
    rb_stores_close(&cleanup.stores);
    return status == RB_EXIT_OK && failed > 0 ? RB_EXIT_FAILED : status;
}
