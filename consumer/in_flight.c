/*
 * in_flight.c — how many bytes may be on their way at once, over all transfers.
 *
 * Way:  download -> [in_flight]
 */
#include "consumer/in_flight.h"

static bool fits(const struct rb_in_flight *in_flight, int64_t bytes)
{
    return in_flight->max_bytes == 0 || in_flight->used_bytes == 0 ||
           in_flight->used_bytes + RB_MAX(bytes, 1) <= in_flight->max_bytes;
}

static void tell_full(struct rb_in_flight *in_flight, bool was_full)
{
    bool full = in_flight->waiting != NULL;

    if (in_flight->on_full != NULL && full != was_full)
        in_flight->on_full(full, in_flight->arg);
}

int64_t rb_in_flight_unsaid(const struct rb_in_flight *in_flight, int64_t most_bytes)
{
    return RB_MIN(in_flight->max_bytes, RB_MIN(most_bytes, RB_IN_FLIGHT_UNSAID_BYTES));
}

bool rb_in_flight_take(struct rb_in_flight *in_flight, struct rb_share *share, int64_t bytes)
{
    struct rb_share **place = &in_flight->waiting;
    bool was_full = in_flight->waiting != NULL;

    RB_ASSERT(share->in_flight == NULL);
    share->in_flight = in_flight;
    share->bytes = bytes;
    share->waiting = was_full || !fits(in_flight, bytes);
    if (!share->waiting) {
        in_flight->used_bytes += bytes;
        return true;
    }
    while (*place != NULL && (*place)->rank <= share->rank)
        place = &(*place)->next;
    share->next = *place;
    *place = share;
    tell_full(in_flight, was_full);
    return false;
}

void rb_in_flight_grow(struct rb_share *share, int64_t bytes)
{
    RB_ASSERT(share->in_flight != NULL && !share->waiting);
    share->bytes += bytes;
    share->in_flight->used_bytes += bytes;
}

void rb_in_flight_leave(struct rb_share *share)
{
    struct rb_in_flight *in_flight = share->in_flight;
    struct rb_share **place;
    bool was_full;

    if (in_flight == NULL)
        return;
    was_full = in_flight->waiting != NULL;
    share->in_flight = NULL;
    if (!share->waiting)
        in_flight->used_bytes -= share->bytes;
    for (place = &in_flight->waiting; *place != NULL; place = &(*place)->next)
        if (*place == share) {
            *place = share->next;
            break;
        }
    share->waiting = false;
    while (in_flight->waiting != NULL && fits(in_flight, in_flight->waiting->bytes)) {
        struct rb_share *next = in_flight->waiting;

        in_flight->waiting = next->next;
        next->waiting = false;
        in_flight->used_bytes += next->bytes;
        next->on_turn(next->arg);
    }
    tell_full(in_flight, was_full);
}
