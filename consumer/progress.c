/*
 * progress.c — tells whoever shows a video how much of it is stored by now.
 *
 * Way:  job -> transfer -> [progress] -> Postgres
 */
#include "consumer/progress.h"

#include "common/clock.h"
#include "common/notify.h"

#define PROGRESS_MAGIC 0x50524f47u
#define LOOK_MS        1000
#define REPEAT_MS      10000
#define STEP_BYTES     (1 << 20)

static const char tell_sql[] = "SELECT pg_notify('" RB_NOTIFY_CHANNEL "', said) FROM unnest($1::text[]) AS said";

struct rb_progress {
    uint32_t magic;
    struct rb_pg *pg; /* borrowed */
    struct rb_timer *timer;
    struct rb_progress_entry *entries;
    struct rb_pg_query *query; /* on its way: no other is sent before it is answered */
};

bool rb_progress_is_news(const struct rb_progress_entry *entry, int64_t bytes, int64_t percent, int64_t now_ms)
{
    if (bytes <= 0)
        return false;
    if (entry->told_ms == 0 || now_ms - entry->told_ms >= REPEAT_MS)
        return true;
    return percent != RB_NOTIFY_UNKNOWN ? percent > entry->told_percent : bytes - entry->told_bytes >= STEP_BYTES;
}

static void on_told(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_progress *progress = RB_CAST(rb_progress, arg, PROGRESS_MAGIC);

    (void)result; /* nobody waits for it */
    (void)err;
    progress->query = NULL;
}

/* An element of an array in Postgres' text form; the payload has quotes but no backslashes. */
static void add_element(struct rb_buffer *array, const struct rb_notify *notify)
{
    RB_AUTO_BUFFER payload = {0};

    rb_notify_print(notify, &payload);
    rb_buffer_print(array, "%s\"", array->used == 0 ? "{" : ",");
    for (const char *at = payload.bytes; *at != '\0'; at++)
        rb_buffer_print(array, "%s%c", *at == '"' ? "\\" : "", *at);
    rb_buffer_print(array, "\"");
}

static bool add_entry(struct rb_buffer *array, struct rb_progress_entry *entry, int64_t now_ms)
{
    struct rb_notify notify = {.progress = true};

    rb_transfer_progress(entry->transfer, &notify.bytes, &notify.total);
    notify.percent = rb_notify_percent(notify.bytes, notify.total);
    if (!rb_progress_is_news(entry, notify.bytes, notify.percent, now_ms))
        return false;
    snprintf(notify.video_id, sizeof(notify.video_id), "%s", entry->video_id);
    add_element(array, &notify);
    entry->told_bytes = notify.bytes;
    entry->told_percent = notify.percent;
    entry->told_ms = now_ms;
    return true;
}

static void send_news(struct rb_progress *progress)
{
    RB_AUTO_BUFFER array = {0};
    struct rb_error ignored = {0};
    int64_t now_ms = rb_clock_ms();
    size_t count = 0;

    for (struct rb_progress_entry *entry = progress->entries; entry != NULL; entry = entry->next)
        count += add_entry(&array, entry, now_ms);
    if (count == 0)
        return;
    rb_buffer_print(&array, "}");
    if (rb_pg_send(progress->pg, tell_sql, 1, (const char *const[]){array.bytes}, on_told, progress, &progress->query,
                   &ignored) < 0)
        progress->query = NULL;
}

static void on_timer(void *arg)
{
    struct rb_progress *progress = RB_CAST(rb_progress, arg, PROGRESS_MAGIC);

    if (progress->entries == NULL)
        return; /* the next transfer starts the timer again */
    if (progress->query == NULL && rb_pg_is_up(progress->pg))
        send_news(progress);
    rb_timer_start(progress->timer, LOOK_MS);
}

struct rb_progress *rb_progress_new(struct rb_loop *loop, struct rb_pg *pg)
{
    struct rb_progress *progress = rb_xalloc(sizeof(*progress));

    *progress = (struct rb_progress){.magic = PROGRESS_MAGIC, .pg = pg};
    progress->timer = rb_timer_new(loop, on_timer, progress);
    return progress;
}

void rb_progress_free(struct rb_progress *progress)
{
    if (progress == NULL)
        return;
    RB_ASSERT(progress->entries == NULL);
    rb_pg_cancel(progress->query);
    rb_timer_free(progress->timer);
    progress->magic = 0;
    free(progress);
}

void rb_progress_enter(struct rb_progress *progress, struct rb_progress_entry *entry, const char *video_id,
                       const struct rb_transfer *transfer)
{
    RB_ASSERT(entry->link == NULL);
    *entry = (struct rb_progress_entry){
        .video_id = video_id, .transfer = transfer, .next = progress->entries, .link = &progress->entries};
    if (entry->next != NULL)
        entry->next->link = &entry->next;
    progress->entries = entry;
    if (!rb_timer_is_started(progress->timer))
        rb_timer_start(progress->timer, LOOK_MS);
}

void rb_progress_leave(struct rb_progress_entry *entry)
{
    if (entry->link == NULL)
        return;
    *entry->link = entry->next;
    if (entry->next != NULL)
        entry->next->link = entry->link;
    entry->link = NULL;
}
