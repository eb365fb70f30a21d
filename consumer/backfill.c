/*
 * backfill.c — videos of the application that nobody has ever told of: they are put on the bus.
 *
 * Way:  consumer backfill -> [backfill] -> Kafka -> consume, or replay
 */
#include "consumer/backfill.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/outgoing.h"
#include "common/pg_array.h"
#include "common/random.h"
#include "common/show.h"
#include "common/tables.h"
#include "common/url_expiry.h"
#include "consumer/command_sql.h"
#include "consumer/stores.h"

#define PAGE        "500"
#define DELIVERY_MS 60000
#define OPEN_MS     30000 /* for the first connection, and for the registry */
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

static const enum rb_event written_event = RB_EVENT_VIDEO_WEBHOOK_RECEIVED;

struct backfill {
    struct rb_command *command; /* borrowed */
    char *sql;
    char *ours; /* what our own URLs begin with, as an array */
    char *topic;
    struct rb_codec *codec;
    struct rb_producer *producer; /* NULL with --dry-run */
    size_t on_their_way;
    struct rb_error error; /* the first one of those */
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

static void on_delivered(const struct rb_delivery *delivery, const struct rb_error *err, void *arg)
{
    struct backfill *backfill = arg;

    (void)delivery;
    if (err != NULL && backfill->error.code == RB_E_NONE)
        backfill->error = *err;
    backfill->on_their_way--;
    rb_command_wake(backfill->command);
}

/* The same video at the same URL is the same event, however often it is published. */
static char *event_id(const char *video_id, const char *url, char ret_id[RB_UUID_TEXT_BYTES])
{
    RB_AUTO_TEXT *name = rb_xprintf("backfill %s %s", video_id, url);

    return rb_uuid_of_name(name, ret_id);
}

static char *text_of(const PGresult *page, int row, const char *column)
{
    return (char *)(uintptr_t)rb_pg_text(page, row, column); /* borrowed: the event is not cleared */
}

static int send_row(struct backfill *backfill, const PGresult *page, int row, struct rb_error *err)
{
    char id[RB_UUID_TEXT_BYTES];
    struct rb_trace trace;
    RB_AUTO_BUFFER value = {0};
    struct rb_record record;
    const struct rb_video_webhook_received event = {
        .event_id = event_id(text_of(page, row, "id"), text_of(page, row, "video_url"), id),
        .video_id = text_of(page, row, "id"),
        .user_id = text_of(page, row, "user_id"),
        .status = (char[]){"completed"},
        .video_url = text_of(page, row, "video_url"),
        .scheme = (char[]){"backfill"},
        .provider = text_of(page, row, "provider"),
        .provider_video_id = text_of(page, row, "provider_id"),
        .expires_at = rb_url_expiry(text_of(page, row, "video_url")),
        .checked = true,
        .received_at = rb_clock_unix_ms(),
    };
    const struct rb_outgoing outgoing = {
        .event = written_event,
        .values = &event,
        .topic = backfill->topic,
        .source = "reelbus-consumer backfill",
        .id = event.event_id,
        .video_id = event.video_id,
        .time_unix_ms = event.received_at,
        .trace = &trace,
    };

    rb_trace_continue(NULL, &trace);
    RB_TRY(rb_outgoing_record(backfill->codec, &outgoing, &value, &record, err));
    RB_TRY(rb_producer_send(backfill->producer, &record, on_delivered, backfill, err));
    backfill->on_their_way++;
    return 0;
}

static bool pause_ms(struct backfill *backfill, int64_t ms)
{
    struct rb_timer *timer = rb_timer_new(backfill->command->loop, rb_command_wake, backfill->command);
    bool goes_on = true;

    rb_timer_start(timer, ms);
    while (rb_timer_is_started(timer) && (goes_on = rb_command_wait(backfill->command)))
        continue;
    rb_timer_free(timer);
    return goes_on;
}

/* Who has just begun is not connected yet. */
static int send_patiently(struct backfill *backfill, const PGresult *page, int row, struct rb_error *err)
{
    struct rb_backoff pause = {.first_ms = 20, .max_ms = 1000};
    int64_t until_ms = rb_clock_ms() + OPEN_MS;
    int result;

    while ((result = send_row(backfill, page, row, err)) < 0 && err->class == RB_OUTAGE && rb_clock_ms() < until_ms)
        if (!pause_ms(backfill, rb_backoff_next_ms(&pause, rb_random())))
            break;
    return result;
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

static int wait_for_brokers(struct backfill *backfill, struct rb_error *err)
{
    while (backfill->on_their_way > 0 && rb_command_wait(backfill->command))
        continue;
    if (backfill->on_their_way > 0)
        return rb_fail(err, RB_E_KAFKA_AWAY, 0, "ended before all records were acknowledged");
    *err = backfill->error;
    return err->code == RB_E_NONE ? 0 : -1;
}

/* When the next one may go, by --rate. */
static bool wait_for_turn(struct backfill *backfill)
{
    int64_t rate = flags_of(backfill)->rate;
    int64_t due_ms = rate > 0 ? backfill->began_ms + backfill->published * 1000 / rate : 0;
    int64_t left_ms = due_ms - rb_clock_ms();

    return left_ms <= 0 || pause_ms(backfill, left_ms);
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
        if (backfill->enough || (backfill->producer != NULL && !wait_for_turn(backfill)))
            break;
        if (backfill->producer != NULL)
            RB_TRY(send_patiently(backfill, page, count, err));
        count_row(backfill, page, count);
    }
    if (backfill->producer == NULL || count == 0)
        return 0;
    RB_TRY(wait_for_brokers(backfill, err));
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
    const struct rb_kafka_config kafka = {options->kafka_brokers, "reelbus-backfill", options->kafka};
    const struct rb_codec_config codec = rb_codec_config_of(options, &written_event, 1);
    RB_AUTO_TEXT *sql =
        rb_xprintf(page_template, options->column_provider[0] != '\0' ? "h.{provider}::text" : "NULL",
                   options->column_provider_video_id[0] != '\0' ? "h.{provider_video_id}::text" : "NULL");
    const struct rb_bar_config bar = rb_bar_config_of("backfill", "events", -1);

    if (!flags_of(backfill)->from_database)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'from_database' is needed: there is nothing else to fill from yet");
    backfill->sql = rb_tables_sql(options, sql);
    backfill->topic = rb_xprintf("%s%s", options->topic_prefix, rb_event_info(written_event)->topic);
    RB_TRY(find_ours(backfill, err));
    if (flags_of(backfill)->dry_run)
        return 0;
    command->bar = rb_bar_new(command->loop, &bar);
    backfill->codec = rb_codec_new(command->loop, &codec, rb_command_wake, command);
    return rb_producer_new(command->loop, &kafka, (const char *const[]){backfill->topic, NULL}, DELIVERY_MS,
                           &backfill->producer, err);
}

static void backfill_close(struct backfill *backfill)
{
    rb_producer_free(backfill->producer);
    rb_codec_free(backfill->codec);
    free(backfill->sql);
    free(backfill->ours);
    free(backfill->topic);
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
    return status;
}
