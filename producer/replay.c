/*
 * replay.c — has this delivery come before?
 *
 * Way:  receive -> verify -> notice -> [replay] -> lookup -> publish
 *
 * A hash table of chains over an array of entries that never moves. Entries that are done stand in a list by age, which is
 * the order of their expiry too. Numbers instead of pointers: half the memory.
 */
#include "producer/replay.h"

#define NONE UINT32_MAX

struct entry {
    uint8_t key[RB_REPLAY_KEY_BYTES];
    void *owner;           /* borrowed; NULL when it is done */
    int64_t expires_ms;    /* when it is done */
    uint32_t chain;        /* the next with the same hash, or the next free one */
    uint32_t older, newer; /* in the list of those that are done */
};

struct rb_replays {
    struct entry *entries; /* owned; grows up to max */
    uint32_t *buckets;     /* owned; bucket_count of them */
    size_t bucket_count;   /* a power of two */
    size_t max;
    size_t used;  /* entries that were ever taken */
    size_t count; /* in the table */
    uint32_t free;
    uint32_t oldest, newest; /* of those that are done */
    int64_t keep_ms;
};

struct rb_replays *rb_replays_new(size_t max, int64_t keep_ms)
{
    struct rb_replays *replays = rb_xalloc(sizeof(*replays));
    size_t buckets = 16;

    RB_ASSERT(max > 0 && max < NONE);
    while (buckets < max)
        buckets *= 2;
    *replays = (struct rb_replays){
        .entries = rb_xalloc(max * sizeof(*replays->entries)), /* untouched pages cost nothing */
        .buckets = rb_xalloc(buckets * sizeof(*replays->buckets)),
        .bucket_count = buckets,
        .max = max,
        .free = NONE,
        .oldest = NONE,
        .newest = NONE,
        .keep_ms = keep_ms,
    };
    memset(replays->buckets, 0xff, buckets * sizeof(*replays->buckets));
    return replays;
}

void rb_replays_free(struct rb_replays *replays)
{
    if (replays == NULL)
        return;
    free(replays->entries);
    free(replays->buckets);
    free(replays);
}

static uint32_t *bucket_of(const struct rb_replays *replays, const uint8_t *key)
{
    uint32_t hash;

    memcpy(&hash, key, sizeof(hash));
    return &replays->buckets[hash & (replays->bucket_count - 1)];
}

static uint32_t find(const struct rb_replays *replays, const uint8_t *key)
{
    uint32_t at = *bucket_of(replays, key);

    while (at != NONE && memcmp(replays->entries[at].key, key, RB_REPLAY_KEY_BYTES) != 0)
        at = replays->entries[at].chain;
    return at;
}

static void leave_list(struct rb_replays *replays, uint32_t at)
{
    struct entry *entry = &replays->entries[at];

    if (entry->older != NONE)
        replays->entries[entry->older].newer = entry->newer;
    else
        replays->oldest = entry->newer;
    if (entry->newer != NONE)
        replays->entries[entry->newer].older = entry->older;
    else
        replays->newest = entry->older;
}

static void join_list(struct rb_replays *replays, uint32_t at)
{
    struct entry *entry = &replays->entries[at];

    entry->older = replays->newest;
    entry->newer = NONE;
    if (replays->newest != NONE)
        replays->entries[replays->newest].newer = at;
    else
        replays->oldest = at;
    replays->newest = at;
}

static void take_out(struct rb_replays *replays, uint32_t at)
{
    struct entry *entry = &replays->entries[at];
    uint32_t *link = bucket_of(replays, entry->key);

    while (*link != at)
        link = &replays->entries[*link].chain;
    *link = entry->chain;
    if (entry->owner == NULL)
        leave_list(replays, at);
    entry->chain = replays->free;
    replays->free = at;
    replays->count--;
}

/* A place for a new entry: a free one, or that of the oldest that is done. */
static uint32_t make_room(struct rb_replays *replays)
{
    uint32_t at;

    if (replays->free == NONE && replays->used == replays->max && replays->oldest != NONE)
        take_out(replays, replays->oldest);
    if (replays->free == NONE)
        return replays->used < replays->max ? (uint32_t)replays->used++ : NONE;
    at = replays->free;
    replays->free = replays->entries[at].chain;
    return at;
}

static void expire(struct rb_replays *replays, int64_t now_ms)
{
    while (replays->oldest != NONE && replays->entries[replays->oldest].expires_ms <= now_ms)
        take_out(replays, replays->oldest);
}

enum rb_replay rb_replays_begin(struct rb_replays *replays, const uint8_t key[RB_REPLAY_KEY_BYTES], void *owner,
                                int64_t now_ms, void **ret_owner)
{
    uint32_t *bucket = bucket_of(replays, key);
    uint32_t at;

    expire(replays, now_ms);
    at = find(replays, key);
    if (at != NONE) {
        *ret_owner = replays->entries[at].owner;
        return replays->entries[at].owner != NULL ? RB_REPLAY_BUSY : RB_REPLAY_DONE;
    }
    at = make_room(replays);
    if (at == NONE)
        return RB_REPLAY_NEW;
    replays->entries[at] = (struct entry){.owner = owner, .chain = *bucket, .older = NONE, .newer = NONE};
    memcpy(replays->entries[at].key, key, RB_REPLAY_KEY_BYTES);
    *bucket = at;
    replays->count++;
    return RB_REPLAY_NEW;
}

void rb_replays_end(struct rb_replays *replays, const uint8_t key[RB_REPLAY_KEY_BYTES], const void *owner,
                    bool remember, int64_t now_ms)
{
    uint32_t at = find(replays, key);

    if (at == NONE || replays->entries[at].owner != owner)
        return;
    if (!remember) {
        take_out(replays, at);
        return;
    }
    replays->entries[at].owner = NULL;
    replays->entries[at].expires_ms = now_ms + replays->keep_ms;
    join_list(replays, at);
}

size_t rb_replays_count(const struct rb_replays *replays)
{
    return replays->count;
}

bool rb_replays_check(const struct rb_replays *replays)
{
    size_t chained = 0, done = 0, listed = 0, unused = 0;
    uint32_t before = NONE;

    for (size_t i = 0; i < replays->bucket_count; i++) {
        for (uint32_t at = replays->buckets[i]; at != NONE; at = replays->entries[at].chain) {
            chained++;
            done += replays->entries[at].owner == NULL;
        }
    }
    for (uint32_t at = replays->oldest; at != NONE; at = replays->entries[at].newer) {
        if (replays->entries[at].older != before || replays->entries[at].owner != NULL)
            return false;
        before = at;
        listed++;
    }
    for (uint32_t at = replays->free; at != NONE; at = replays->entries[at].chain)
        unused++;
    return chained == replays->count && done == listed && before == replays->newest &&
           chained + unused == replays->used && replays->used <= replays->max;
}
