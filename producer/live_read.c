/*
 * live_read.c — reads the videos that somebody looks at: one query for all that are wanted in one turn.
 *
 * Way:  Postgres -> [live] -> state, feed
 */
#include "common/log.h"
#include "producer/live_inside.h"
#include "producer/view_row.h"

#define BATCH_MAGIC 0x4c424154u
#define READ_MAX    500  /* videos in one query */
#define READS_MAX   4    /* queries at once */
#define RETRY_MS    1000 /* after the database did not answer, a half more or less */

struct batch {
    uint32_t magic;
    struct rb_live *live; /* borrowed */
    uint64_t number;
    struct rb_pg_query *query; /* NULL when it was not sent */
    struct batch *next;
    size_t count;
    char ids[][RB_UUID_TEXT_BYTES];
};

static const char sql_template[] = "SELECT asked.id::text AS asked, " RB_VIEW_COLUMNS
                                   " FROM unnest($1::uuid[]) AS asked (id)" RB_VIEW_ROWS("asked.id");

void live_want(struct rb_live *live, struct rb_live_video *video)
{
    if (video->wanted || live->listen == NULL)
        return;
    video->wanted = true;
    video->next_wanted = NULL;
    *live->wanted_end = video;
    live->wanted_end = &video->next_wanted;
    live->wanted_count++;
    rb_task_queue(&live->read);
}

static struct rb_live_video *take_wanted(struct rb_live *live)
{
    struct rb_live_video *video = live->wanted;

    live->wanted = video->next_wanted;
    if (live->wanted == NULL)
        live->wanted_end = &live->wanted;
    live->wanted_count--;
    video->wanted = false;
    return video;
}

/* What a row says, and made into a view when the first one wants to see it. */
struct reading {
    const struct batch *batch;
    bool changed; /* since it was read before */
};

/* Those who were told hear of changes; the others hear of it when they were there before it was asked for. */
static bool is_for_reader(const struct rb_live_link *link, const void *what)
{
    const struct reading *reading = what;

    return link->told ? reading->changed : reading->batch->number >= link->since;
}

static bool is_untold(const struct rb_live_link *link, const void *what)
{
    (void)what;
    return !link->told;
}

static bool somebody_wants(const struct rb_live_video *video, const struct reading *reading)
{
    for (const struct rb_live_link *link = video->links; link != NULL; link = link->next)
        if (is_for_reader(link, reading))
            return true;
    return false;
}

static json_t *view_of(const struct rb_live_video *video, const PGresult *result, int row)
{
    const struct rb_view view = rb_view_of_row(result, row);
    json_t *object = rb_view_json(&view);

    if (live_has_progress(video))
        rb_view_set_stored(object, video->stored_bytes, video->total_bytes, video->percent);
    return object;
}

static void take_row(struct rb_live *live, const struct batch *batch, const PGresult *result, int row)
{
    struct rb_live_video *video = rb_live_table_find(&live->table, rb_pg_text(result, row, "asked"));
    uint64_t hash = rb_view_row_hash(result, row);

    if (video == NULL)
        return; /* nobody looks any more */

    const struct reading reading = {batch, !video->read || video->row_hash != hash};

    video->read = true;
    video->row_hash = hash;
    if (!somebody_wants(video, &reading))
        return;

    bool exists = rb_pg_text(result, row, "video_id") != NULL;
    RB_AUTO_JSON *view = exists ? view_of(video, result, row) : NULL;
    RB_AUTO_TEXT *text = exists ? json_dumps(view, JSON_COMPACT) : NULL;
    struct rb_live_news news = {
        .what = exists ? RB_LIVE_STATE : RB_LIVE_UNKNOWN,
        .version = rb_pg_number(result, row, "version", 0),
        .view = view,
        .text = text,
    };

    live_tell(live, video, &news, is_for_reader, &reading);
}

/* Those who wait for their first state hear that it cannot be had; it is asked for again. */
static void take_failure(struct rb_live *live, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct rb_live_video *video = rb_live_table_find(&live->table, batch->ids[i]);
        struct rb_live_news news = {.what = RB_LIVE_AWAY};

        if (video == NULL)
            continue;
        live_want(live, video);
        live_tell(live, video, &news, is_untold, NULL);
    }
}

static void log_trouble(struct rb_live *live, const struct rb_error *err)
{
    if (err != NULL && !live->troubled)
        rb_log_error(NULL, RB_EV_VIDEOS_UNREAD, err, "retry_ms=%d", RETRY_MS);
    live->troubled = err != NULL;
}

static void batch_free(struct batch *batch)
{
    struct batch **link = &batch->live->batches;

    while (*link != batch)
        link = &(*link)->next;
    *link = batch->next;
    batch->live->batch_count--;
    rb_pg_cancel(batch->query);
    batch->magic = 0;
    free(batch);
}

static void on_read(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct batch *batch = RB_CAST(batch, arg, BATCH_MAGIC);
    struct rb_live *live = batch->live;

    batch->query = NULL;
    log_trouble(live, err);
    if (err != NULL) {
        rb_timer_start(live->retry, RETRY_MS / 2 + (int64_t)(rb_random() % RETRY_MS));
        take_failure(live, batch);
    } else {
        for (int row = 0; row < PQntuples(result); row++)
            take_row(live, batch, result, row);
    }
    batch_free(batch);
    if (live->wanted != NULL)
        rb_task_queue(&live->read);
}

static void send_batch(struct rb_live *live)
{
    size_t room = RB_MIN(live->wanted_count, READ_MAX);
    struct batch *batch = rb_xalloc(sizeof(*batch) + room * sizeof(batch->ids[0]));
    RB_AUTO_BUFFER ids = {0};
    struct rb_error err = {0};

    *batch = (struct batch){.magic = BATCH_MAGIC, .live = live, .number = live->next_number++, .next = live->batches};
    live->batches = batch;
    live->batch_count++;
    while (batch->count < room) {
        const struct rb_live_video *video = take_wanted(live);

        rb_buffer_print(&ids, "%s%s", batch->count == 0 ? "{" : ",", video->id);
        memcpy(batch->ids[batch->count++], video->id, RB_UUID_TEXT_BYTES);
    }
    rb_buffer_print(&ids, "}");
    if (rb_pg_send(live->pg, live->sql, 1, (const char *const[]){ids.bytes}, on_read, batch, &batch->query, &err) < 0)
        on_read(NULL, &err, batch);
}

static void read_wanted(void *arg)
{
    struct rb_live *live = RB_CAST(rb_live, arg, LIVE_MAGIC);

    while (live->wanted != NULL && live->batch_count < READS_MAX && !rb_timer_is_started(live->retry))
        send_batch(live);
}

void live_read_init(struct rb_live *live, struct rb_loop *loop, const struct rb_common_options *options)
{
    live->sql = rb_tables_sql(options, sql_template);
    live->wanted_end = &live->wanted;
    rb_task_init(&live->read, loop, read_wanted, live);
    live->retry = rb_timer_new(loop, read_wanted, live);
}

void live_read_done(struct rb_live *live)
{
    while (live->batches != NULL)
        batch_free(live->batches);
    while (live->wanted != NULL)
        take_wanted(live);
    rb_task_done(&live->read);
    rb_timer_free(live->retry);
    free(live->sql);
}
