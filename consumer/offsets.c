/*
 * offsets.c — the offset of one partition below which everything is finished.
 *
 * Way:  [consume] <- offsets
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
    rb_offsets_init(offsets);
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

bool rb_offsets_begin(struct rb_offsets *offsets, int64_t offset)
{
    if (offset < offsets->next)
        return false;
    if (offsets->count == offsets->cap)
        grow(offsets);
    offsets->count++;
    *entry_at(offsets, offsets->count - 1) = (struct rb_offsets_entry){.offset = offset};
    offsets->next = offset + 1;
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

void rb_offsets_finish(struct rb_offsets *offsets, int64_t offset)
{
    struct rb_offsets_entry *entry = find(offsets, offset);

    RB_ASSERT(entry != NULL && !entry->finished);
    entry->finished = true;
    while (offsets->count > 0 && entry_at(offsets, 0)->finished) {
        offsets->head = (offsets->head + 1) & (offsets->cap - 1);
        offsets->count--;
    }
}

int64_t rb_offsets_committable(const struct rb_offsets *offsets)
{
    return offsets->count > 0 ? entry_at(offsets, 0)->offset : offsets->next;
}

size_t rb_offsets_count(const struct rb_offsets *offsets)
{
    return offsets->count;
}

void rb_offsets_check(const struct rb_offsets *offsets)
{
    RB_ASSERT(offsets->count <= offsets->cap);
    RB_ASSERT((offsets->cap & (offsets->cap - 1)) == 0);
    RB_ASSERT(offsets->count == 0 || !entry_at(offsets, 0)->finished);
    for (size_t i = 1; i < offsets->count; i++)
        RB_ASSERT(entry_at(offsets, i - 1)->offset < entry_at(offsets, i)->offset);
    RB_ASSERT(offsets->count == 0 || entry_at(offsets, offsets->count - 1)->offset < offsets->next);
}
