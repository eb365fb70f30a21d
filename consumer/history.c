/*
 * history.c — notes in reelbus.history where on Kafka outcomes were announced.
 *
 * Way:  emit -> [history] -> Postgres
 */
#include "consumer/history.h"

#include <inttypes.h>

#include "common/buffer.h"

#define HISTORY_MAGIC 0x48495354u
#define FLUSH_MS      200
#define BATCH_MAX     500

static const char announced_sql[] =
    "INSERT INTO reelbus.history (video_id, at, what, topic, partition, \"offset\")"
    " SELECT video_id, clock_timestamp(), 'announced', topic, partition, \"offset\""
    " FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[]) AS said (video_id, topic, partition, \"offset\")";

/* The columns of what is collected, as Postgres writes arrays. */
enum { VIDEOS, TOPICS, PARTITIONS, OFFSETS, COLUMN_COUNT };

struct rb_history {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed */
    struct rb_timer *timer;
    struct rb_buffer columns[COLUMN_COUNT];
    size_t count;
    struct rb_pg_query *query; /* on its way */
};

static void on_written(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_history *history = RB_CAST(rb_history, arg, HISTORY_MAGIC);

    (void)result; /* nobody waits for it */
    (void)err;
    history->query = NULL;
    if (history->count > 0)
        rb_timer_start(history->timer, FLUSH_MS);
}

void rb_history_flush(struct rb_history *history)
{
    const char *values[COLUMN_COUNT];
    struct rb_error ignored = {0};

    if (history->count == 0 || history->query != NULL)
        return;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        rb_buffer_print(&history->columns[i], "}");
        values[i] = history->columns[i].bytes;
    }
    if (rb_pg_send(history->pg, announced_sql, COLUMN_COUNT, values, on_written, history, &history->query, &ignored) <
        0)
        history->query = NULL;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        rb_buffer_done(&history->columns[i]);
    history->count = 0;
}

static void on_timer(void *arg)
{
    rb_history_flush(RB_CAST(rb_history, arg, HISTORY_MAGIC));
}

struct rb_history *rb_history_new(struct rb_loop *loop, struct rb_pg *pg)
{
    struct rb_history *history = rb_xalloc(sizeof(*history));

    *history = (struct rb_history){.magic = HISTORY_MAGIC, .pg = pg};
    history->timer = rb_timer_new(loop, on_timer, history);
    return history;
}

void rb_history_free(struct rb_history *history)
{
    if (history == NULL)
        return;
    rb_pg_cancel(history->query);
    rb_timer_free(history->timer);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        rb_buffer_done(&history->columns[i]);
    history->magic = 0;
    free(history);
}

void rb_history_add(struct rb_history *history, const struct rb_history_announced *announced)
{
    const char *comma = history->count == 0 ? "{" : ",";

    if (history->count == BATCH_MAX)
        return; /* the database does not keep up; these are notes, not promises */
    rb_buffer_print(&history->columns[VIDEOS], "%s%s", comma, announced->video_id);
    rb_buffer_print(&history->columns[TOPICS], "%s\"%s\"", comma, announced->topic);
    rb_buffer_print(&history->columns[PARTITIONS], "%s%" PRId32, comma, announced->partition);
    rb_buffer_print(&history->columns[OFFSETS], "%s%" PRId64, comma, announced->offset);
    history->count++;
    if (!rb_timer_is_started(history->timer) && history->query == NULL)
        rb_timer_start(history->timer, FLUSH_MS);
}

bool rb_history_is_idle(const struct rb_history *history)
{
    return history->count == 0 && history->query == NULL;
}
