/*
 * state.c — GET /api/video/status: what one or many videos are now, or once they have changed.
 *
 * Way:  live -> [state]
 */
#include "producer/state.h"

#include "common/units.h"
#include "producer/ask.h"
#include "producer/view.h"

#define STATE_MAGIC 0x53544154u
#define ASKER_MAGIC 0x41534b52u
#define WAIT_MAX_S  60
#define WAIT_SPREAD 500 /* ms, so that those who came together do not all ask again together */

struct rb_state {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed, as is live */
    struct rb_live *live;
    struct asker *askers; /* owned */
    bool drained;
};

struct video {
    json_t *view; /* owned; NULL while it has not come, and when it is not known */
    bool came;
};

struct asker {
    uint32_t magic;
    struct rb_state *state; /* borrowed */
    struct asker *next;
    struct asker **link; /* what points at this one */
    struct rb_exchange *exchange;
    struct rb_live_watch *watch;
    struct rb_timer *timer; /* NULL when it does not wait for a change */
    int64_t wait_ms;
    const char *if_none_match; /* borrowed from the exchange; NULL when it is absent */
    struct rb_ask_ids *ids;    /* owned */
    size_t missing;            /* videos whose first state has not come */
    struct video videos[];
};

static void asker_free(struct asker *asker)
{
    *asker->link = asker->next;
    if (asker->next != NULL)
        asker->next->link = asker->link;
    rb_live_end(asker->watch);
    rb_timer_free(asker->timer);
    for (size_t i = 0; i < asker->ids->count; i++)
        json_decref(asker->videos[i].view);
    free(asker->ids);
    asker->magic = 0;
    free(asker);
}

static json_t *answer_many(const struct asker *asker)
{
    json_t *object = json_object(), *videos = json_array(), *unknown = json_array();

    for (size_t i = 0; i < asker->ids->count; i++) {
        if (asker->videos[i].view != NULL)
            json_array_append(videos, asker->videos[i].view);
        else
            json_array_append_new(unknown, json_string(asker->ids->list[i]));
    }
    json_object_set_new(object, "videos", videos);
    json_object_set_new(object, "unknown", unknown);
    return object;
}

static void reply_not_modified(struct asker *asker, const char *etag)
{
    const struct rb_reply reply = {
        .status = 304, .body = "", .headers = {{"ETag", etag}, {"Cache-Control", "private, no-cache"}}};

    rb_exchange_reply(asker->exchange, &reply);
    asker_free(asker);
}

static void reply_text(struct asker *asker, const char *text, const char *etag)
{
    const struct rb_reply reply = {
        .status = 200,
        .content_type = "application/json",
        .body = text,
        .body_bytes = strlen(text),
        .headers = {{"ETag", etag}, {"Cache-Control", "private, no-cache"}},
    };

    rb_exchange_reply(asker->exchange, &reply);
    asker_free(asker);
}

static void reply_error(struct asker *asker, unsigned status, const char *message, const struct rb_header *header)
{
    rb_exchange_reply_error(asker->exchange, status, message, header);
    asker_free(asker);
}

/* What happened to an asker that its answer may depend on. */
enum reason { FIRST_STATES, CHANGED_STATE, CHANGED_NUMBERS, TIME_IS_UP };

static void settle(struct asker *asker, enum reason reason)
{
    bool may_wait = asker->wait_ms > 0 && reason != TIME_IS_UP && !asker->state->drained;
    char etag[RB_ASK_ETAG_BYTES];

    if (!asker->ids->many && asker->videos[0].view == NULL) {
        reply_error(asker, 404, "videoId is not known", NULL);
        return;
    }
    if (may_wait && asker->if_none_match == NULL && reason != CHANGED_STATE)
        return; /* for a change of state */

    RB_AUTO_JSON *object = asker->ids->many ? answer_many(asker) : json_incref(asker->videos[0].view);
    RB_AUTO_TEXT *text = json_dumps(object, JSON_COMPACT);

    RB_ASSERT(text != NULL);
    if (!rb_ask_has_etag(asker->if_none_match, rb_ask_etag(text, etag)))
        reply_text(asker, text, etag);
    else if (!may_wait)
        reply_not_modified(asker, etag);
}

static void on_timer(void *arg)
{
    settle(RB_CAST(asker, arg, ASKER_MAGIC), TIME_IS_UP);
}

static void wait_for_change(struct asker *asker)
{
    asker->timer = rb_timer_new(asker->state->loop, on_timer, asker);
    rb_timer_start(asker->timer, RB_MAX(asker->wait_ms - (int64_t)(rb_random() % WAIT_SPREAD), 1));
}

static void take_state(struct asker *asker, const struct rb_live_news *news)
{
    struct video *video = &asker->videos[news->index];

    json_decref(video->view);
    video->view = news->view != NULL ? json_copy((json_t *)(uintptr_t)news->view) : NULL; /* its numbers are ours */
    if (video->came) {
        if (asker->missing == 0)
            settle(asker, CHANGED_STATE);
        return;
    }
    video->came = true;
    if (--asker->missing > 0)
        return;
    if (asker->wait_ms > 0)
        wait_for_change(asker);
    settle(asker, FIRST_STATES);
}

static void take_numbers(struct asker *asker, const struct rb_live_news *news)
{
    json_t *view = asker->videos[news->index].view;

    if (view == NULL)
        return;
    rb_view_set_stored(view, news->stored_bytes, news->total_bytes, news->percent);
    if (asker->missing == 0)
        settle(asker, CHANGED_NUMBERS);
}

static void on_news(const struct rb_live_news *news, void *arg)
{
    struct asker *asker = RB_CAST(asker, arg, ASKER_MAGIC);

    switch (news->what) {
    case RB_LIVE_STATE:
    case RB_LIVE_UNKNOWN:
        take_state(asker, news);
        break;
    case RB_LIVE_PROGRESS:
        take_numbers(asker, news);
        break;
    case RB_LIVE_AWAY:
        reply_error(asker, 503, "the database cannot be asked now", &(struct rb_header){"Retry-After", "2"});
        break;
    }
}

static struct asker *asker_new(struct rb_state *state, struct rb_exchange *exchange, struct rb_ask_ids *ids)
{
    struct asker *asker = rb_xalloc(sizeof(*asker) + ids->count * sizeof(asker->videos[0]));

    *asker = (struct asker){
        .magic = ASKER_MAGIC,
        .state = state,
        .next = state->askers,
        .link = &state->askers,
        .exchange = exchange,
        .if_none_match = rb_exchange_header(exchange, "If-None-Match"),
        .ids = ids,
        .missing = ids->count,
    };
    if (asker->next != NULL)
        asker->next->link = &asker->next;
    state->askers = asker;
    return asker;
}

static int read_wait(struct rb_exchange *exchange, int64_t *ret_ms, struct rb_error *err)
{
    const char *text = rb_exchange_query(exchange, "wait");
    int64_t wait_s = 0;

    if (text != NULL && (rb_units_parse_number(text, &wait_s) < 0 || wait_s < 0 || wait_s > WAIT_MAX_S))
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "wait must be a number of seconds from 0 to %d", WAIT_MAX_S);
    *ret_ms = wait_s * 1000;
    return 0;
}

void rb_state_serve(struct rb_exchange *exchange, void *arg)
{
    struct rb_state *state = RB_CAST(rb_state, arg, STATE_MAGIC);
    struct rb_ask_ids *ids = rb_xalloc(sizeof(*ids));
    struct rb_error err = {0};
    int64_t wait_ms = 0;

    if (rb_ask_ids(rb_exchange_query(exchange, "videoId"), ids, &err) < 0 || read_wait(exchange, &wait_ms, &err) < 0) {
        rb_exchange_reply_error(exchange, 400, err.message, NULL);
        free(ids);
        return;
    }

    struct asker *asker = asker_new(state, exchange, ids);

    asker->wait_ms = wait_ms;
    asker->watch = rb_live_look(state->live, ids->list, ids->count, on_news, asker);
    if (asker->watch == NULL)
        reply_error(asker, 503, "too many videos are looked at now", &(struct rb_header){"Retry-After", "5"});
}

struct rb_state *rb_state_new(struct rb_loop *loop, struct rb_live *live)
{
    struct rb_state *state = rb_xalloc(sizeof(*state));

    *state = (struct rb_state){.magic = STATE_MAGIC, .loop = loop, .live = live};
    return state;
}

void rb_state_free(struct rb_state *state)
{
    if (state == NULL)
        return;
    while (state->askers != NULL)
        asker_free(state->askers);
    state->magic = 0;
    free(state);
}

void rb_state_drain(struct rb_state *state)
{
    state->drained = true;
    for (struct asker *asker = state->askers, *next; asker != NULL; asker = next) {
        next = asker->next;
        if (asker->missing == 0)
            settle(asker, TIME_IS_UP);
    }
}
