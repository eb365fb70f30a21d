/*
 * backfill.c — videos of the application that nobody has ever told of: they are put on the bus.
 *
 * Way:  consumer backfill -> [backfill] -> resend -> consume; replay
 */
#include "consumer/backfill.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/pg_array.h"
#include "common/show.h"
#include "common/tables.h"
#include "common/url_expiry.h"
#include "consumer/command_sql.h"
#include "consumer/replay.h"
#include "consumer/resend.h"
#include "consumer/stores.h"

#define PAGE        "500"
#define PLACEHOLDER "reelbus-any-key"

/*
 * $1 behind this video; $2 what our own URLs begin with; $3 user, $4 video, "" for all. A row of ours that waits without a URL
 * is one that a provider was asked for: nobody has told where it is.
 */
static const char page_template[] =
    "SELECT h.{id}::text AS id, h.{user_id}::text AS user_id, h.{video_url} AS video_url, %s AS provider, %s AS provider_id"
    " FROM {table} h WHERE ($1::uuid IS NULL OR h.{id} > $1::uuid) AND h.{video_url} ~* '^https?://'"
    " AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS ours (prefix) WHERE starts_with(h.{video_url}, ours.prefix))"
    " AND ($3 = '' OR h.{user_id}::text = $3) AND ($4 = '' OR h.{id}::text = $4)"
    " AND NOT EXISTS (SELECT FROM reelbus.video v WHERE v.video_id = h.{id}"
    " AND (v.state <> 'waiting' OR v.source_url IS NOT NULL)) ORDER BY h.{id} LIMIT " PAGE;

/* $1 videos, $2 their users, $3 their URLs. Who has been faster with one knows better. */
static const char heard_sql[] =
    "INSERT INTO reelbus.video AS v (video_id, user_id, state, source_url, received_at)"
    " SELECT u.id, u.user_id, 'waiting', u.url, now() FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u (id, user_id, url)"
    " ORDER BY u.id ON CONFLICT (video_id) DO UPDATE SET source_url = excluded.source_url, received_at = excluded.received_at,"
    " updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')"
    " WHERE v.state = 'waiting' AND v.source_url IS NULL";

struct backfill {
    struct rb_command *command; /* borrowed */
    char *sql;
    char *ours;               /* what our own URLs begin with, as an array */
    struct rb_resend *resend; /* NULL with --dry-run */
    char after[RB_UUID_TEXT_BYTES];
    int64_t published;
    int64_t dead; /* of these, those whose URL says that it has expired */
    int64_t began_ms;
    bool enough;
};

static const struct rb_command_options *flags_of(const struct backfill *backfill)
{
    return &backfill->command->options->command;
}

/* -- a record ------------------------------------------------------------------------------------------------------ */

/* The same video at the same URL is the same event, however often it is published. */
static char *event_id(const char *video_id, const char *url, char ret_id[RB_UUID_TEXT_BYTES])
{
    RB_AUTO_TEXT *name = rb_xprintf("backfill %s %s", video_id, url);

    return rb_uuid_of_name(name, ret_id);
}

static int send_row(struct backfill *backfill, const PGresult *page, int row, struct rb_error *err)
{
    char id[RB_UUID_TEXT_BYTES];
    const struct rb_resend_video video = {
        .event_id = event_id(rb_pg_text(page, row, "id"), rb_pg_text(page, row, "video_url"), id),
        .video_id = rb_pg_text(page, row, "id"),
        .user_id = rb_pg_text(page, row, "user_id"),
        .url = rb_pg_text(page, row, "video_url"),
        .provider = rb_pg_text(page, row, "provider"),
        .provider_video_id = rb_pg_text(page, row, "provider_id"),
        .expires_at = rb_url_expiry(rb_pg_text(page, row, "video_url")),
    };

    return rb_resend_video(backfill->resend, &video, err);
}

/* -- a page -------------------------------------------------------------------------------------------------------- */

static int ask_page(struct backfill *backfill, PGresult **ret_page, struct rb_error *err)
{
    const struct rb_command_options *flags = flags_of(backfill);
    char video[RB_UUID_TEXT_BYTES] = "";
    const char *const values[] = {backfill->after[0] != '\0' ? backfill->after : NULL, backfill->ours, flags->user,
                                  video};

    if (flags->video[0] != '\0' && !rb_uuid_parse(flags->video, video))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'video' is '%.40s', expected a UUID", flags->video);
    return rb_command_query(backfill->command, backfill->sql, RB_COUNT(values), values, ret_page, err);
}

/* Only once the brokers have them all. Somebody who dies before that publishes them again, as the same events. */
static int note_heard(struct backfill *backfill, const PGresult *page, int count, struct rb_error *err)
{
    RB_AUTO_BUFFER ids = {0}, users = {0}, urls = {0};
    RB_AUTO_RESULT *result = NULL;

    for (int i = 0; i < count; i++) {
        rb_pg_array_add(&ids, rb_pg_text(page, i, "id"));
        rb_pg_array_add(&users, rb_pg_text(page, i, "user_id"));
        rb_pg_array_add(&urls, rb_pg_text(page, i, "video_url"));
    }

    const char *const values[] = {rb_pg_array_end(&ids), rb_pg_array_end(&users), rb_pg_array_end(&urls)};

    return rb_command_query(backfill->command, heard_sql, RB_COUNT(values), values, &result, err);
}

/* When the next one may go, by --rate. */
static bool wait_for_turn(struct backfill *backfill)
{
    int64_t rate = flags_of(backfill)->rate;
    int64_t due_ms = rate > 0 ? backfill->began_ms + backfill->published * 1000 / rate : 0;
    int64_t left_ms = due_ms - rb_clock_ms();

    return left_ms <= 0 || rb_command_pause(backfill->command, left_ms);
}

static void count_row(struct backfill *backfill, const PGresult *page, int row)
{
    int64_t expires_at = rb_url_expiry(rb_pg_text(page, row, "video_url"));

    backfill->published++;
    backfill->dead += expires_at != RB_NO_LONG && expires_at <= rb_clock_unix_ms();
}

static int publish_page(struct backfill *backfill, const PGresult *page, struct rb_error *err)
{
    int64_t max = flags_of(backfill)->max;
    int count = 0;

    for (; count < PQntuples(page) && !backfill->enough; count++) {
        backfill->enough = max > 0 && backfill->published >= max;
        if (backfill->enough || (backfill->resend != NULL && !wait_for_turn(backfill)))
            break;
        if (backfill->resend != NULL)
            RB_TRY(send_row(backfill, page, count, err));
        count_row(backfill, page, count);
    }
    if (backfill->resend == NULL || count == 0)
        return 0;
    RB_TRY(rb_resend_finish(backfill->resend, err));
    RB_TRY(note_heard(backfill, page, count, err));
    rb_bar_add(backfill->command->bar, count);
    return 0;
}

static int publish_all(struct backfill *backfill, struct rb_error *err)
{
    int count = 1;

    while (count > 0 && !backfill->enough && !backfill->command->stopped) {
        RB_AUTO_RESULT *page = NULL;

        RB_TRY(ask_page(backfill, &page, err));
        count = PQntuples(page);
        RB_TRY(publish_page(backfill, page, err));
        if (count > 0)
            snprintf(backfill->after, sizeof(backfill->after), "%s", rb_pg_text(page, count - 1, "id"));
    }
    return 0;
}

/* -- from the beginning to the end --------------------------------------------------------------------------------- */

/* What stands before the key in a URL of this store. Shorter than a host, it would be everybody's. */
static void add_own(struct rb_buffer *ours, const struct rb_target *target)
{
    const struct rb_object object = {.bucket = target->bucket, .key = PLACEHOLDER};
    RB_AUTO_TEXT *url = target->store != NULL ? target->store->ops->url(target->store, &object) : NULL;
    char *key = url != NULL ? strstr(url, PLACEHOLDER) : NULL;

    if (key == NULL || key - url < (ptrdiff_t)strlen("http://a/"))
        return;
    *key = '\0';
    rb_pg_array_add(ours, url);
}

static int find_ours(struct backfill *backfill, struct rb_error *err)
{
    struct rb_stores stores = {0};
    RB_AUTO_BUFFER ours = {0};
    int result = rb_stores_open(backfill->command->loop, backfill->command->all_options, &stores, err);

    if (result == 0) {
        add_own(&ours, &stores.first);
        add_own(&ours, &stores.fallback);
        backfill->ours = rb_xstrdup(rb_pg_array_end(&ours));
    }
    rb_stores_close(&stores);
    return result;
}

static int backfill_open(struct backfill *backfill, struct rb_error *err)
{
    struct rb_command *command = backfill->command;
    const struct rb_common_options *options = &command->options->common;
    RB_AUTO_TEXT *sql =
        rb_xprintf(page_template, options->column_provider[0] != '\0' ? "h.{provider}::text" : "NULL",
                   options->column_provider_video_id[0] != '\0' ? "h.{provider_video_id}::text" : "NULL");
    const struct rb_bar_config bar = rb_bar_config_of("backfill", "events", -1);

    if (!flags_of(backfill)->from_database)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'from_database' is needed: there is nothing else to fill from yet");
    backfill->sql = rb_tables_sql(options, sql);
    RB_TRY(find_ours(backfill, err));
    if (flags_of(backfill)->dry_run)
        return 0;
    command->bar = rb_bar_new(command->loop, &bar);
    return rb_resend_new(command, &backfill->resend, err);
}

static void backfill_close(struct backfill *backfill)
{
    rb_bar_free(RB_STEAL(backfill->command->bar));
    rb_resend_free(backfill->resend);
    free(backfill->sql);
    free(backfill->ours);
}

static void show(const struct backfill *backfill)
{
    bool is_dry = flags_of(backfill)->dry_run;
    char count[RB_SHOW_TEXT_BYTES], dead[RB_SHOW_TEXT_BYTES];

    if (flags_of(backfill)->json) {
        rb_command_print(backfill->command,
                         json_pack("{sb sI sI sI}", "dry_run", is_dry, is_dry ? "would_publish" : "published",
                                   (json_int_t)backfill->published, "look_dead", (json_int_t)backfill->dead, "took_ms",
                                   (json_int_t)(rb_clock_ms() - backfill->began_ms)));
        return;
    }
    printf("%s %s videos; the URLs of %s have expired\n", is_dry ? "would publish" : "published",
           rb_show_count(backfill->published, count), rb_show_count(backfill->dead, dead));
    if (backfill->published == 0)
        puts("There was nothing to do.");
}

int rb_backfill(struct rb_command *command)
{
    struct backfill backfill = {.command = command, .began_ms = rb_clock_ms()};
    struct rb_error err = {0};
    bool opened = backfill_open(&backfill, &err) == 0;
    int status = opened && publish_all(&backfill, &err) == 0 ? RB_EXIT_OK : RB_EXIT_FAILED;

    if (command->stopped)
        status = RB_EXIT_INTERRUPTED;
    else if (status != RB_EXIT_OK)
        status = rb_command_fail(command, &err);
    if (opened)
        show(&backfill);
    backfill_close(&backfill);
    if (status == RB_EXIT_OK && command->options->command.store_now && !command->options->command.dry_run)
        status = rb_replay(command); /* of all that is not stored: an earlier run may have been ended between the two */
    return status;
}
