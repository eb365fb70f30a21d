/*
 * feed.c — GET /api/video/events: videos as they change, by Server-Sent Events.
 *
 * Way:  live -> [feed]
 */
#include "producer/feed.h"

#include <inttypes.h>

#include "common/clock.h"
#include "producer/ask.h"
#include "producer/metrics_table.h"
#include "producer/view.h"

#define FEED_MAGIC      0x46454544u
#define READER_MAGIC    0x52454144u
#define QUEUED_MAX      (size_t)(256 << 10) /* that wait for one reader ... */
#define QUEUED_MAX_EACH (size_t)(24 << 10)  /* ... or this for each of its videos: their states fit, with long URLs */
#define KEEP_ALIVE_MS   15000
#define LOOK_MS         1000
#define RETRY_FIRST_MS  1000 /* what a reader is told to wait before it comes back: this, and up to as much again ... */
#define RETRY_SPREAD_MS 2000 /* ... so that they do not come back together */

/* Changes of different videos may become visible in another order than their times say, by as long as a statement may
 * take. So of several videos a little more is sent again. */
#define OVERLAP_US INT64_C(10000000)

struct rb_feed {
    uint32_t magic;
    struct rb_live *live; /* borrowed, as are the metrics */
    struct rb_metrics *metrics;
    struct rb_timer *timer; /* started while there are readers */
    struct reader *first;   /* the one that was written to the longest time ago */
    struct reader *last;
};

struct reader {
    uint32_t magic;
    bool until_terminal;
    uint8_t count;
    uint8_t missing; /* videos whose first state has not come */
    uint8_t open;    /* videos that may still change, as far as is known */
    bool ended;
    struct rb_feed *feed; /* borrowed */
    struct reader *before, *after;
    struct rb_stream *stream; /* borrowed */
    struct rb_live_watch *watch;
    int64_t written_ms;
    int64_t seen_id;    /* Last-Event-ID; -1 without */
    int64_t sent_id;    /* the largest; -1 before the first */
    uint64_t closed[2]; /* a bit for each video that has come to its end */
};

_Static_assert(RB_LIVE_IDS_MAX <= 128, "struct reader has 128 bits");

static void list_add(struct rb_feed *feed, struct reader *reader)
{
    reader->before = feed->last;
    reader->after = NULL;
    if (feed->last != NULL)
        feed->last->after = reader;
    else
        feed->first = reader;
    feed->last = reader;
}

static void list_remove(struct rb_feed *feed, struct reader *reader)
{
    if (reader->before != NULL)
        reader->before->after = reader->after;
    else
        feed->first = reader->after;
    if (reader->after != NULL)
        reader->after->before = reader->before;
    else
        feed->last = reader->before;
}

static void reader_free(struct reader *reader)
{
    struct rb_feed *feed = reader->feed;

    list_remove(feed, reader);
    rb_live_end(reader->watch);
    rb_metrics_add(feed->metrics, METRIC_FEEDS, -1);
    reader->magic = 0;
    free(reader);
}

static void on_closed(void *arg)
{
    reader_free(RB_CAST(reader, arg, READER_MAGIC));
}

/* When the reader is too slow the stream is on its way out, and on_closed comes. */
static void send_text(struct reader *reader, const char *text, size_t bytes)
{
    if (!rb_stream_write(reader->stream, text, bytes))
        return;
    reader->written_ms = rb_clock_ms();
    list_remove(reader->feed, reader);
    list_add(reader->feed, reader);
}

static void send_event(struct reader *reader, const char *name, int64_t id, const char *data)
{
    RB_AUTO_BUFFER text = {0};

    rb_ask_event(&text, name, id, data);
    send_text(reader, text.bytes, text.used);
}

/* What waits is told again in any case: the application may have written a URL into its row, which has no version. */
static bool is_news(const struct reader *reader, const struct rb_live_news *news)
{
    int64_t overlap = reader->count > 1 ? OVERLAP_US : 0;

    return !news->first || news->version > reader->seen_id - overlap ||
           strcmp(rb_json_text(news->view, "storage"), "none") == 0;
}

/*
 * Until all first states are out no id is: a reader that is cut off in between must get all of them again. Then an id
 * goes out whenever it is larger than the last one.
 */
static int64_t id_to_send(struct reader *reader, int64_t version)
{
    if (version <= reader->sent_id)
        return -1;
    reader->sent_id = version;
    return reader->missing == 0 ? version : -1;
}

static void note_end(struct reader *reader, size_t index, bool terminal)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint64_t *closed = &reader->closed[index / 64];

    if (terminal == ((*closed & bit) != 0))
        return;
    *closed ^= bit;
    reader->open = (uint8_t)(terminal ? reader->open - 1 : reader->open + 1);
}

static void send_state(struct reader *reader, const struct rb_live_news *news)
{
    bool last_of_first = news->first && --reader->missing == 0;

    note_end(reader, news->index, rb_view_is_terminal(news->view));
    if (is_news(reader, news))
        send_event(reader, "status", id_to_send(reader, news->version), news->text);
    else
        reader->sent_id = RB_MAX(reader->sent_id, news->version);
    if (last_of_first && reader->count > 1 && reader->sent_id > reader->seen_id) {
        char id[40];

        send_text(reader, id, (size_t)snprintf(id, sizeof(id), "id: %" PRId64 "\n\n", reader->sent_id));
    }
}

static void send_unknown(struct reader *reader, const struct rb_live_news *news)
{
    RB_AUTO_TEXT *data = rb_xprintf("{\"videoId\":\"%s\"}", news->id);

    if (news->first)
        reader->missing--;
    note_end(reader, news->index, true);
    send_event(reader, "unknown", -1, data);
}

static void on_news(const struct rb_live_news *news, void *arg)
{
    struct reader *reader = RB_CAST(reader, arg, READER_MAGIC);

    switch (news->what) {
    case RB_LIVE_STATE:
        send_state(reader, news);
        break;
    case RB_LIVE_UNKNOWN:
        send_unknown(reader, news);
        break;
    case RB_LIVE_PROGRESS:
        send_event(reader, "progress", -1, news->text);
        break;
    case RB_LIVE_AWAY:
        return; /* the states come when the database is back */
    }
    if (reader->until_terminal && reader->missing == 0 && reader->open == 0) {
        send_event(reader, "end", -1, "{}");
        rb_stream_end(reader->stream);
        reader_free(reader);
    }
}

/* Proxies and browsers close what is silent for too long. */
static void keep_alive(void *arg)
{
    struct rb_feed *feed = RB_CAST(rb_feed, arg, FEED_MAGIC);
    int64_t now_ms = rb_clock_ms();

    while (feed->first != NULL && now_ms - feed->first->written_ms >= KEEP_ALIVE_MS) {
        feed->first->written_ms = now_ms;
        send_text(feed->first, ": alive\n\n", 9);
    }
    if (feed->first != NULL)
        rb_timer_start(feed->timer, LOOK_MS);
}

static struct reader *reader_new(struct rb_feed *feed, struct rb_exchange *exchange, const struct rb_ask_ids *ids)
{
    struct reader *reader = rb_xalloc(sizeof(*reader));

    *reader = (struct reader){
        .magic = READER_MAGIC,
        .count = (uint8_t)ids->count,
        .missing = (uint8_t)ids->count,
        .open = (uint8_t)ids->count,
        .feed = feed,
        .written_ms = rb_clock_ms(),
        .seen_id = rb_ask_last_event(rb_exchange_header(exchange, "Last-Event-ID")),
        .sent_id = -1,
        .until_terminal = rb_exchange_query(exchange, "until") != NULL,
    };
    list_add(feed, reader);
    rb_metrics_add(feed->metrics, METRIC_FEEDS, 1);
    if (!rb_timer_is_started(feed->timer))
        rb_timer_start(feed->timer, LOOK_MS);
    return reader;
}

static void begin(struct reader *reader, struct rb_exchange *exchange)
{
    const struct rb_reply reply = {
        .status = 200,
        .content_type = "text/event-stream",
        .headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}},
    };
    char hello[40];
    int bytes = snprintf(hello, sizeof(hello), "retry: %d\n\n", RETRY_FIRST_MS + (int)(rb_random() % RETRY_SPREAD_MS));

    reader->stream =
        rb_exchange_stream(exchange, &reply, RB_MAX(QUEUED_MAX, reader->count * QUEUED_MAX_EACH), on_closed, reader);
    send_text(reader, hello, (size_t)bytes);
}

void rb_feed_serve(struct rb_exchange *exchange, void *arg)
{
    struct rb_feed *feed = RB_CAST(rb_feed, arg, FEED_MAGIC);
    const char *until = rb_exchange_query(exchange, "until");
    struct rb_ask_ids ids;
    struct rb_error err = {0};

    if (rb_ask_ids(rb_exchange_query(exchange, "videoId"), &ids, &err) < 0) {
        rb_exchange_reply_error(exchange, 400, err.message, NULL);
        return;
    }
    if (until != NULL && strcmp(until, "terminal") != 0) {
        rb_exchange_reply_error(exchange, 400, "until can only be 'terminal'", NULL);
        return;
    }

    struct reader *reader = reader_new(feed, exchange, &ids);

    reader->watch = rb_live_look(feed->live, ids.list, ids.count, on_news, reader);
    if (reader->watch != NULL) {
        begin(reader, exchange);
        return;
    }
    reader_free(reader);
    rb_exchange_reply_error(exchange, 503, "too many videos are looked at now",
                            &(struct rb_header){"Retry-After", "5"});
}

struct rb_feed *rb_feed_new(struct rb_loop *loop, struct rb_live *live, struct rb_metrics *metrics)
{
    struct rb_feed *feed = rb_xalloc(sizeof(*feed));

    *feed = (struct rb_feed){.magic = FEED_MAGIC, .live = live, .metrics = metrics};
    feed->timer = rb_timer_new(loop, keep_alive, feed);
    return feed;
}

void rb_feed_free(struct rb_feed *feed)
{
    if (feed == NULL)
        return;
    RB_ASSERT(feed->first == NULL);
    rb_timer_free(feed->timer);
    feed->magic = 0;
    free(feed);
}
