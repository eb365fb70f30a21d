/*
 * pace.c — how fast one provider may be asked.
 *
 * Way:  poll -> [pace]
 */
#include "producer/pace.h"

#define FIRST_PAUSE_MS     1000
#define MAX_PAUSE_MS       300000
#define MAX_RETRY_AFTER_MS 3600000

void rb_pace_init(struct rb_pace *pace, int64_t window_max)
{
    RB_ASSERT(window_max >= 1);
    *pace = (struct rb_pace){
        .window = 1,
        .window_max = window_max,
        .slowed_ms = INT64_MIN,
        .backoff = {.first_ms = FIRST_PAUSE_MS, .max_ms = MAX_PAUSE_MS},
    };
}

int64_t rb_pace_closed_ms(const struct rb_pace *pace, int64_t now_ms)
{
    return RB_MAX(pace->not_before_ms - now_ms, 0);
}

int64_t rb_pace_room(const struct rb_pace *pace, int64_t now_ms)
{
    return rb_pace_closed_ms(pace, now_ms) > 0 ? 0 : RB_MAX(pace->window - pace->in_flight, 0);
}

void rb_pace_begin(struct rb_pace *pace)
{
    pace->in_flight++;
}

void rb_pace_end(struct rb_pace *pace)
{
    RB_ASSERT(pace->in_flight > 0);
    pace->in_flight--;
}

bool rb_pace_good(struct rb_pace *pace, int64_t begun_ms)
{
    rb_pace_end(pace);
    if (begun_ms <= pace->slowed_ms)
        return false;
    rb_backoff_reset(&pace->backoff);
    pace->window = RB_MIN(pace->window + 1, pace->window_max);
    return true;
}

/* What the provider asks for is kept to, and a little more, so that several of us do not come back together. */
static int64_t pause_ms(struct rb_pace *pace, int64_t retry_after_ms, uint64_t random)
{
    int64_t asked_ms = RB_MIN(RB_MAX(retry_after_ms, 0), MAX_RETRY_AFTER_MS);
    int64_t backoff_ms = rb_backoff_next_ms(&pace->backoff, random);

    return asked_ms == 0 ? backoff_ms : RB_MAX(backoff_ms, asked_ms + (int64_t)(random % (uint64_t)(asked_ms / 5 + 1)));
}

bool rb_pace_bad(struct rb_pace *pace, int64_t begun_ms, int64_t now_ms, int64_t retry_after_ms, uint64_t random)
{
    rb_pace_end(pace);
    if (begun_ms <= pace->slowed_ms)
        return false;
    pace->window = 1;
    pace->slowed_ms = now_ms;
    pace->not_before_ms = now_ms + pause_ms(pace, retry_after_ms, random);
    return true;
}
