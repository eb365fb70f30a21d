/*
 * offsets.c — which records of one partition are finished.
 *
 * Way:  [consume] <- offsets <- offset_map
 */
#include "consumer/offsets.h"

static struct rb_offsets_entry *entry_at(const struct rb_offsets *offsets, size_t index)
{
    return &offsets->ring[(offsets->head + index) & (offsets->cap - 1)];
}

void rb_offsets_init(struct rb_offsets *offsets)
{
    *offsets = (struct rb_offsets){.next = -1};
}

void rb_offsets_done(struct rb_offsets *offsets)
{
    free(offsets->ring);
    rb_offset_map_done(&offsets->before);
    rb_offsets_init(offsets);
}

void rb_offsets_resume(struct rb_offsets *offsets, int64_t next, struct rb_offset_map *before)
{
    RB_ASSERT(offsets->count == 0 && offsets->before.count == 0);
    offsets->next = next;
    offsets->before = *before;
    *before = (struct rb_offset_map){0};
}

static void grow(struct rb_offsets *offsets)
{
    size_t cap = RB_MAX(offsets->cap * 2, 64);
    struct rb_offsets_entry *ring = rb_xalloc(cap * sizeof(*ring));

    for (size_t i = 0; i < offsets->count; i++)
        ring[i] = *entry_at(offsets, i);
    free(offsets->ring);
    offsets->ring = ring;
    offsets->cap = cap;
    offsets->head = 0;
}

static void push(struct rb_offsets *offsets, int64_t offset, enum rb_offset_state state)
{
    if (offsets->count == offsets->cap)
        grow(offsets);
    offsets->count++;
    *entry_at(offsets, offsets->count - 1) = (struct rb_offsets_entry){offset, state};
    offsets->unfinished += state != RB_OFFSET_FINISHED;
}

/* The ring begins with an unfinished record. */
static void trim(struct rb_offsets *offsets)
{
    while (offsets->count > 0 && entry_at(offsets, 0)->state == RB_OFFSET_FINISHED) {
        offsets->head = (offsets->head + 1) & (offsets->cap - 1);
        offsets->count--;
    }
}

enum rb_offsets_begun rb_offsets_begin(struct rb_offsets *offsets, int64_t offset)
{
    bool finished = rb_offset_map_find(&offsets->before, offset) != NULL;

    if (offset < offsets->next)
        return RB_OFFSETS_SEEN;
    if (!finished || offsets->count > 0)
        push(offsets, offset, finished ? RB_OFFSET_FINISHED : RB_OFFSET_UNFINISHED);
    offsets->next = offset + 1;
    return finished ? RB_OFFSETS_FINISHED : RB_OFFSETS_NEW;
}

bool rb_offsets_reach(struct rb_offsets *offsets, int64_t offset)
{
    if (offset <= RB_MAX(offsets->next, 0))
        return false;
    offsets->next = offset;
    return true;
}

static struct rb_offsets_entry *find(const struct rb_offsets *offsets, int64_t offset)
{
    size_t low = 0, high = offsets->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (entry_at(offsets, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < offsets->count && entry_at(offsets, low)->offset == offset ? entry_at(offsets, low) : NULL;
}

bool rb_offsets_is_open(const struct rb_offsets *offsets, int64_t offset)
{
    const struct rb_offsets_entry *entry = find(offsets, offset);

    return entry != NULL && entry->state == RB_OFFSET_UNFINISHED;
}

static struct rb_offsets_entry *find_unfinished(const struct rb_offsets *offsets, int64_t offset)
{
    struct rb_offsets_entry *entry = find(offsets, offset);

    RB_ASSERT(entry != NULL && entry->state == RB_OFFSET_UNFINISHED);
    return entry;
}

void rb_offsets_finish(struct rb_offsets *offsets, int64_t offset)
{
    find_unfinished(offsets, offset)->state = RB_OFFSET_FINISHED;
    offsets->unfinished--;
    trim(offsets);
}

void rb_offsets_stage(struct rb_offsets *offsets, int64_t offset)
{
    find_unfinished(offsets, offset)->state = RB_OFFSET_STAGED;
    offsets->staged++;
}

void rb_offsets_settle(struct rb_offsets *offsets, bool committed)
{
    for (size_t i = 0; i < offsets->count && offsets->staged > 0; i++) {
        struct rb_offsets_entry *entry = entry_at(offsets, i);

        if (entry->state != RB_OFFSET_STAGED)
            continue;
        entry->state = committed ? RB_OFFSET_FINISHED : RB_OFFSET_UNFINISHED;
        offsets->unfinished -= committed;
        offsets->staged--;
    }
    trim(offsets);
}

/* The offset itself, or the first one above it that nobody has finished before us. */
static int64_t past_before(const struct rb_offsets *offsets, int64_t offset)
{
    const struct rb_offset_run *run = rb_offset_map_find(&offsets->before, offset);

    return run != NULL ? run->to : offset;
}

int64_t rb_offsets_committable(const struct rb_offsets *offsets)
{
    return offsets->count > 0 ? entry_at(offsets, 0)->offset : past_before(offsets, offsets->next);
}

/* What was finished before us and has not come again yet. */
static void add_before(const struct rb_offsets *offsets, int64_t from, struct rb_offset_map *map)
{
    for (size_t i = 0; i < offsets->before.count; i++) {
        const struct rb_offset_run *run = &offsets->before.runs[i];

        if (run->to > from)
            rb_offset_map_add(map, RB_MAX(run->from, from), run->to);
    }
}

/* A gap between two records goes with the one below it: what is no record is neither. */
int64_t rb_offsets_snapshot(const struct rb_offsets *offsets, struct rb_offset_map *ret_map)
{
    int64_t base = -1, from = -1, last = -1; /* a run of finished records began at from, and ends with last */

    for (size_t i = 0; i < offsets->count; i++) {
        const struct rb_offsets_entry *entry = entry_at(offsets, i);
        bool finished = entry->state != RB_OFFSET_UNFINISHED;

        if (base < 0 && finished)
            continue;
        base = base < 0 ? entry->offset : base;
        if (!finished && from >= 0)
            rb_offset_map_add(ret_map, from, entry->offset);
        from = !finished ? -1 : from < 0 ? entry->offset : from;
        last = entry->offset;
    }
    if (from >= 0)
        rb_offset_map_add(ret_map, from, last + 1);
    base = base < 0 ? past_before(offsets, offsets->next) : base;
    add_before(offsets, RB_MAX(base, offsets->next), ret_map);
    return base;
}

bool rb_offsets_has_room(const struct rb_offsets *offsets, size_t share)
{
    const struct rb_offset_map *before = &offsets->before;
    int64_t behind = before->count > 0 ? before->runs[before->count - 1].to : 0;

    if (offsets->count == 0 || offsets->next < behind)
        return true; /* what comes is in the map that there was: it does not become longer by that */
    return rb_offset_map_would_fit(offsets->next + 1 - entry_at(offsets, 0)->offset, offsets->unfinished + 1, share);
}

size_t rb_offsets_count(const struct rb_offsets *offsets)
{
    return offsets->count;
}

void rb_offsets_check(const struct rb_offsets *offsets)
{
    size_t unfinished = 0, staged = 0;

    RB_ASSERT(offsets->count <= offsets->cap);
    RB_ASSERT((offsets->cap & (offsets->cap - 1)) == 0);
    RB_ASSERT(offsets->count == 0 || entry_at(offsets, 0)->state != RB_OFFSET_FINISHED);
    for (size_t i = 0; i < offsets->count; i++) {
        RB_ASSERT(i == 0 || entry_at(offsets, i - 1)->offset < entry_at(offsets, i)->offset);
        unfinished += entry_at(offsets, i)->state != RB_OFFSET_FINISHED;
        staged += entry_at(offsets, i)->state == RB_OFFSET_STAGED;
    }
    RB_ASSERT(offsets->unfinished == unfinished && offsets->staged == staged);
    RB_ASSERT(offsets->count == 0 || entry_at(offsets, offsets->count - 1)->offset < offsets->next);
}
