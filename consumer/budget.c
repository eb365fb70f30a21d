/*
 * budget.c — how many bytes may be on their way at once, over all transfers.
 *
 * Way:  download -> [budget]
 */
#include "consumer/budget.h"

static bool fits(const struct rb_budget *budget, int64_t bytes)
{
    return budget->max_bytes == 0 || budget->used_bytes == 0 ||
           budget->used_bytes + RB_MAX(bytes, 1) <= budget->max_bytes;
}

bool rb_budget_take(struct rb_budget *budget, struct rb_share *share, int64_t bytes)
{
    struct rb_share **end = &budget->waiting;

    RB_ASSERT(share->budget == NULL);
    share->budget = budget;
    share->bytes = bytes;
    share->next = NULL;
    share->waiting = budget->waiting != NULL || !fits(budget, bytes);
    if (!share->waiting) {
        budget->used_bytes += bytes;
        return true;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = share;
    return false;
}

void rb_budget_grow(struct rb_share *share, int64_t bytes)
{
    RB_ASSERT(share->budget != NULL && !share->waiting);
    share->bytes += bytes;
    share->budget->used_bytes += bytes;
}

void rb_budget_leave(struct rb_share *share)
{
    struct rb_budget *budget = share->budget;
    struct rb_share **place;

    if (budget == NULL)
        return;
    share->budget = NULL;
    if (!share->waiting)
        budget->used_bytes -= share->bytes;
    for (place = &budget->waiting; *place != NULL; place = &(*place)->next)
        if (*place == share) {
            *place = share->next;
            break;
        }
    share->waiting = false;
    while (budget->waiting != NULL && fits(budget, budget->waiting->bytes)) {
        struct rb_share *next = budget->waiting;

        budget->waiting = next->next;
        next->waiting = false;
        budget->used_bytes += next->bytes;
        next->on_turn(next->arg);
    }
}
