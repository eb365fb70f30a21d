/*
 * slots.c — who may transfer next.
 *
 * Way:  job -> [slots] -> heap
 */
#include "consumer/slots.h"

#include "common/hash.h"

#define BUCKETS 256
#define ROUND   8 /* turns of one user, before others who wait get theirs */

/* How many transfers a user, or a host, has running. Kept as long as a lane needs it. */
struct tally {
    char *name; /* owned */
    size_t running;
    uint64_t turns; /* a user's; who comes anew has as many as who has had the fewest */
    size_t lanes;
    struct tally *next;
};

/* Who waits for one host on behalf of one user, and how many of them run. */
struct rb_slots_lane {
    struct tally *user; /* borrowed, as is the host, from their tables */
    struct tally *host;
    struct rb_heap waiting;
    size_t members; /* that wait or run */
    struct rb_slots_lane *next;
    struct rb_slots_lane **link; /* what points at this one */
};

struct rb_slots {
    size_t max;
    size_t host_max;
    size_t limit;
    unsigned holders; /* a bit for each that holds them */
    size_t used;
    size_t waiting;
    struct rb_slots_lane *lanes;
    struct tally *users[BUCKETS];
    struct tally *hosts[BUCKETS];
};

struct rb_slots *rb_slots_new(size_t max, size_t host_max)
{
    struct rb_slots *slots = rb_xalloc(sizeof(*slots));

    *slots = (struct rb_slots){.max = max, .host_max = host_max, .limit = SIZE_MAX};
    return slots;
}

void rb_slots_free(struct rb_slots *slots)
{
    if (slots == NULL)
        return;
    RB_ASSERT(slots->lanes == NULL);
    free(slots);
}

static struct tally **bucket_of(struct tally **table, const char *name)
{
    return &table[rb_hash_text(name) % BUCKETS];
}

static struct tally *tally_find(struct tally **table, const char *name)
{
    struct tally **bucket = bucket_of(table, name);

    for (struct tally *tally = *bucket; tally != NULL; tally = tally->next)
        if (strcmp(tally->name, name) == 0)
            return tally;

    struct tally *tally = rb_xalloc(sizeof(*tally));

    *tally = (struct tally){.name = rb_xstrdup(name), .next = *bucket};
    *bucket = tally;
    return tally;
}

static void tally_drop(struct tally **table, struct tally *tally)
{
    struct tally **at = bucket_of(table, tally->name);

    if (--tally->lanes > 0)
        return;
    while (*at != tally)
        at = &(*at)->next;
    *at = tally->next;
    free(tally->name);
    free(tally);
}

static uint64_t fewest_turns(const struct rb_slots *slots)
{
    uint64_t fewest = slots->lanes != NULL ? UINT64_MAX : 0;

    for (const struct rb_slots_lane *lane = slots->lanes; lane != NULL; lane = lane->next)
        fewest = RB_MIN(fewest, lane->user->turns);
    return fewest;
}

static struct rb_slots_lane *lane_find(struct rb_slots *slots, const char *user, const char *host)
{
    struct tally *of_user = tally_find(slots->users, user);
    struct tally *of_host = tally_find(slots->hosts, host);

    for (struct rb_slots_lane *lane = slots->lanes; lane != NULL; lane = lane->next)
        if (lane->user == of_user && lane->host == of_host)
            return lane;

    struct rb_slots_lane *lane = rb_xalloc(sizeof(*lane));

    if (of_user->lanes == 0)
        of_user->turns = fewest_turns(slots);
    *lane = (struct rb_slots_lane){.user = of_user, .host = of_host, .next = slots->lanes, .link = &slots->lanes};
    of_user->lanes++;
    of_host->lanes++;
    if (lane->next != NULL)
        lane->next->link = &lane->next;
    slots->lanes = lane;
    return lane;
}

static void lane_drop(struct rb_slots *slots, struct rb_slots_lane *lane)
{
    if (--lane->members > 0)
        return;
    *lane->link = lane->next;
    if (lane->next != NULL)
        lane->next->link = lane->link;
    tally_drop(slots->users, lane->user);
    tally_drop(slots->hosts, lane->host);
    rb_heap_done(&lane->waiting);
    free(lane);
}

static bool lane_goes_before(const struct rb_slots_lane *a, const struct rb_slots_lane *b)
{
    const struct rb_heap_node *first = rb_heap_first(&a->waiting), *other = rb_heap_first(&b->waiting);

    if (a->user->running != b->user->running)
        return a->user->running < b->user->running;
    if (a->user->turns / ROUND != b->user->turns / ROUND)
        return a->user->turns < b->user->turns;
    return first->rank < other->rank;
}

static struct rb_slots_lane *next_lane(const struct rb_slots *slots)
{
    struct rb_slots_lane *best = NULL;

    for (struct rb_slots_lane *lane = slots->lanes; lane != NULL; lane = lane->next)
        if (rb_heap_first(&lane->waiting) != NULL && lane->host->running < slots->host_max &&
            (best == NULL || lane_goes_before(lane, best)))
            best = lane;
    return best;
}

static bool may_enter(const struct rb_slots *slots)
{
    return slots->holders == 0 && slots->used < RB_MIN(slots->max, slots->limit);
}

/* Let the next one in. NULL when nobody waits, or nobody may. */
static struct rb_slot *let_in(struct rb_slots *slots)
{
    struct rb_slots_lane *lane = slots->waiting > 0 && may_enter(slots) ? next_lane(slots) : NULL;
    struct rb_heap_node *node = lane != NULL ? rb_heap_first(&lane->waiting) : NULL;

    if (node == NULL)
        return NULL;

    struct rb_slot *slot = node->owner;

    rb_heap_remove(&lane->waiting, node);
    slots->waiting--;
    slots->used++;
    lane->user->running++;
    lane->user->turns++;
    lane->host->running++;
    slot->state = RB_SLOT_IN;
    return slot;
}

static void let_in_all(struct rb_slots *slots)
{
    struct rb_slot *slot;

    while ((slot = let_in(slots)) != NULL)
        slot->on_turn(slot->arg);
}

bool rb_slots_enter(struct rb_slots *slots, struct rb_slot *slot)
{
    RB_ASSERT(slot->state == RB_SLOT_OUT);
    slot->lane = lane_find(slots, slot->user, slot->host);
    slot->lane->members++;
    slot->node.rank = slot->rank;
    slot->node.owner = slot;
    slot->state = RB_SLOT_WAITING;
    rb_heap_add(&slot->lane->waiting, &slot->node);
    slots->waiting++;
    for (struct rb_slot *in; (in = let_in(slots)) != NULL;)
        if (in != slot)
            in->on_turn(in->arg);
    return slot->state == RB_SLOT_IN;
}

void rb_slots_leave(struct rb_slots *slots, struct rb_slot *slot)
{
    struct rb_slots_lane *lane = slot->lane;
    bool was_in = slot->state == RB_SLOT_IN;

    if (slot->state == RB_SLOT_OUT)
        return;
    slot->state = RB_SLOT_OUT;
    slot->lane = NULL;
    if (was_in) {
        slots->used--;
        lane->user->running--;
        lane->host->running--;
    } else {
        rb_heap_remove(&lane->waiting, &slot->node);
        slots->waiting--;
    }
    lane_drop(slots, lane);
    let_in_all(slots);
}

void rb_slots_limit(struct rb_slots *slots, size_t limit)
{
    slots->limit = limit;
    let_in_all(slots);
}

void rb_slots_hold(struct rb_slots *slots, enum rb_slots_holder holder, bool hold)
{
    slots->holders = hold ? slots->holders | 1u << holder : slots->holders & ~(1u << holder);
    let_in_all(slots);
}

size_t rb_slots_used(const struct rb_slots *slots)
{
    return slots->used;
}

size_t rb_slots_waiting(const struct rb_slots *slots)
{
    return slots->waiting;
}
