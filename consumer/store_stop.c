/*
 * store_stop.c — stops everything that goes to a store when it says that nobody may write.
 *
 * Way:  store_supabase -> [store_stop]
 */
#include "consumer/store_stop.h"

#define TRIAL_MS 60000 /* for the one that was let through; then another one may */

void rb_store_stop_init(struct rb_store_stop *stop, int64_t first_ms, int64_t max_ms)
{
    *stop = (struct rb_store_stop){.backoff = {first_ms, max_ms, 0}};
}

int rb_store_stop_look(const struct rb_store_stop *stop, int64_t now_ms, struct rb_error *err)
{
    if (stop->why.code == RB_E_NONE || now_ms >= stop->until_ms)
        return 0;
    *err = stop->why;
    return -1;
}

int rb_store_stop_pass(struct rb_store_stop *stop, int64_t now_ms, struct rb_error *err)
{
    RB_TRY(rb_store_stop_look(stop, now_ms, err));
    if (stop->why.code != RB_E_NONE) {
        stop->trying = true;
        stop->until_ms = now_ms + TRIAL_MS;
    }
    return 0;
}

enum rb_store_stop_change rb_store_stop_note(struct rb_store_stop *stop, const struct rb_error *error, int64_t now_ms,
                                             uint64_t random)
{
    bool stopped = stop->why.code != RB_E_NONE;
    bool stops = error->code == RB_E_STORE_FULL || error->code == RB_E_STORE_DENIED;
    bool news = !stopped || stop->trying || now_ms >= stop->until_ms; /* else it was on its way when the stop began */

    if (error->code == RB_E_NONE && stopped) {
        rb_backoff_reset(&stop->backoff);
        stop->why = (struct rb_error){0};
        stop->trying = false;
        return RB_STORE_STOP_ENDS;
    }
    if (stops && news) {
        stop->why = *error;
        stop->trying = false;
        stop->until_ms = now_ms + rb_backoff_next_ms(&stop->backoff, random);
        return stopped ? RB_STORE_STOP_SAME : RB_STORE_STOP_BEGINS;
    }
    return RB_STORE_STOP_SAME;
}
