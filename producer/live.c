/*
 * live.c — tells whoever looks at a video what it is now, and whatever it becomes.
 *
 * Way:  Postgres -> listen -> [live] -> state, feed
 */
#include "producer/live.h"

#include "common/clock.h"
#include "producer/live_inside.h"
#include "producer/metrics_table.h"

#define TICK_MS          3000  /* how often all are asked for when Postgres does not tell */
#define TICKS_TO_BE_SURE 20    /* and after so many of these when it does */
#define PROGRESS_LIFE_MS 60000 /* numbers that nobody repeats are forgotten */
#define PROGRESS_MAX     10000 /* videos whose numbers are kept although nobody looks */

bool live_has_progress(const struct rb_live_video *video)
{
    return video->progress_ms != 0 && rb_clock_ms() - video->progress_ms < PROGRESS_LIFE_MS;
}

static void drop_if_unused(struct rb_live_video *video, void *arg)
{
    struct rb_live *live = RB_CAST(rb_live, arg, LIVE_MAGIC);

    if (video->links == NULL && !video->pinned && !video->wanted && !live_has_progress(video))
        rb_live_table_drop(&live->table, video);
}

/* Each of them may end its own watch. */
void live_tell(struct rb_live *live, struct rb_live_video *video, struct rb_live_news *news,
               bool (*is_for)(const struct rb_live_link *link, const void *what), const void *what)
{
    news->id = video->id;
    video->pinned = true;
    for (struct rb_live_link *link = video->links, *next; link != NULL; link = next) {
        next = link->next;
        if (!is_for(link, what))
            continue;
        news->index = (size_t)(link - link->watch->links);
        news->first = !link->told;
        link->told = link->told || news->what == RB_LIVE_STATE || news->what == RB_LIVE_UNKNOWN;
        link->watch->fn(news, link->watch->arg);
    }
    video->pinned = false;
    drop_if_unused(video, live);
}

static bool is_told(const struct rb_live_link *link, const void *what)
{
    (void)what;
    return link->told;
}

static json_t *count_or_null(int64_t count)
{
    return count >= 0 ? json_integer(count) : json_null();
}

static char *progress_text(const struct rb_notify *notify)
{
    RB_AUTO_JSON *object =
        json_pack("{s:s, s:o, s:o, s:o}", "videoId", notify->video_id, "storedPercent", count_or_null(notify->percent),
                  "bytes", count_or_null(notify->bytes), "bytesTotal", count_or_null(notify->total));

    return json_dumps(object, JSON_COMPACT);
}

static void take_progress(struct rb_live *live, const struct rb_notify *notify)
{
    struct rb_live_video *video = rb_live_table_find(&live->table, notify->video_id);
    RB_AUTO_TEXT *text = progress_text(notify);
    struct rb_live_news news = {
        .what = RB_LIVE_PROGRESS,
        .text = text,
        .stored_bytes = notify->bytes,
        .total_bytes = notify->total,
        .percent = notify->percent,
    };

    if (video == NULL && live->table.count < live->looks_max + PROGRESS_MAX)
        video = rb_live_table_put(&live->table, notify->video_id);
    if (video == NULL)
        return;
    video->progress_ms = rb_clock_ms();
    video->stored_bytes = notify->bytes;
    video->total_bytes = notify->total;
    video->percent = notify->percent;
    live_tell(live, video, &news, is_told, NULL);
}

static void on_notify(const struct rb_notify *notify, void *arg)
{
    struct rb_live *live = RB_CAST(rb_live, arg, LIVE_MAGIC);
    struct rb_live_video *video = rb_live_table_find(&live->table, notify->video_id);

    if (notify->progress) {
        take_progress(live, notify);
    } else if (video != NULL) {
        video->progress_ms = 0; /* of a try that has ended */
        if (video->links != NULL)
            live_want(live, video);
        drop_if_unused(video, live);
    }
}

static void want_if_watched(struct rb_live_video *video, void *arg)
{
    if (video->links != NULL)
        live_want(arg, video);
}

/* From now on every change is told; what happened before may have been missed. */
static void on_listen_change(void *arg)
{
    struct rb_live *live = RB_CAST(rb_live, arg, LIVE_MAGIC);

    rb_metrics_set(live->metrics, METRIC_LISTENING, rb_listen_works(live->listen));
    if (rb_listen_works(live->listen))
        rb_live_table_each(&live->table, want_if_watched, live);
}

static void on_tick(void *arg)
{
    struct rb_live *live = RB_CAST(rb_live, arg, LIVE_MAGIC);

    rb_live_table_each(&live->table, drop_if_unused, live);
    if (!rb_listen_works(live->listen) || ++live->ticks % TICKS_TO_BE_SURE == 0)
        rb_live_table_each(&live->table, want_if_watched, live);
    rb_timer_start(live->tick, TICK_MS / 2 + (int64_t)(rb_random() % TICK_MS)); /* producers do not ask together */
}

struct rb_live *rb_live_new(struct rb_loop *loop, const struct rb_live_config *config)
{
    struct rb_live *live = rb_xalloc(sizeof(*live));

    *live = (struct rb_live){
        .magic = LIVE_MAGIC, .pg = config->pg, .metrics = config->metrics, .looks_max = config->looks_max};
    live_read_init(live, loop, config->options);
    live->tick = rb_timer_new(loop, on_tick, live);
    rb_timer_start(live->tick, TICK_MS);

    const struct rb_listen_config listen = {
        .url = config->listen_url[0] != '\0' ? config->listen_url : config->options->database_url,
        .connect_timeout_ms = config->options->db_connect_timeout_ms,
        .query_timeout_ms = config->options->db_timeout_ms,
        .pg = config->pg,
        .on_notify = on_notify,
        .on_change = on_listen_change,
        .arg = live,
    };

    live->listen = rb_listen_new(loop, &listen);
    return live;
}

void rb_live_stop(struct rb_live *live)
{
    if (live->listen == NULL)
        return;
    rb_listen_free(live->listen);
    live->listen = NULL;
    rb_timer_free(live->tick);
    live_read_done(live);
}

void rb_live_free(struct rb_live *live)
{
    if (live == NULL)
        return;
    RB_ASSERT(live->looks == 0);
    rb_live_stop(live);
    rb_live_table_done(&live->table);
    live->magic = 0;
    free(live);
}

static void link_add(struct rb_live *live, struct rb_live_link *link, const char *id)
{
    struct rb_live_video *video = rb_live_table_put(&live->table, id);

    link->video = video;
    link->since = live->next_number;
    link->next = video->links;
    link->link = &video->links;
    if (link->next != NULL)
        link->next->link = &link->next;
    video->links = link;
    live_want(live, video);
}

struct rb_live_watch *rb_live_look(struct rb_live *live, char (*ids)[RB_UUID_TEXT_BYTES], size_t count, rb_live_fn fn,
                                   void *arg)
{
    struct rb_live_watch *watch;

    RB_ASSERT(count > 0 && count <= RB_LIVE_IDS_MAX);
    if (live->looks + count > live->looks_max)
        return NULL;
    watch = rb_xalloc(sizeof(*watch) + count * sizeof(watch->links[0]));
    *watch = (struct rb_live_watch){.magic = WATCH_MAGIC, .live = live, .fn = fn, .arg = arg, .count = count};
    for (size_t i = 0; i < count; i++) {
        watch->links[i].watch = watch;
        link_add(live, &watch->links[i], ids[i]);
    }
    live->looks += count;
    rb_metrics_set(live->metrics, METRIC_LOOKS, (int64_t)live->looks);
    return watch;
}

void rb_live_end(struct rb_live_watch *watch)
{
    if (watch == NULL)
        return;
    RB_ASSERT(watch->magic == WATCH_MAGIC);

    struct rb_live *live = watch->live;

    for (size_t i = 0; i < watch->count; i++) {
        struct rb_live_link *link = &watch->links[i];

        *link->link = link->next;
        if (link->next != NULL)
            link->next->link = link->link;
        drop_if_unused(link->video, live);
    }
    live->looks -= watch->count;
    rb_metrics_set(live->metrics, METRIC_LOOKS, (int64_t)live->looks);
    watch->magic = 0;
    free(watch);
}
