/*
 * live_table.c — the videos that somebody looks at, by their ids.
 *
 * Way:  live -> [live_table]
 */
#include "producer/live_table.h"

#include <stdio.h>

#include "common/hash.h"

#define FIRST_BUCKETS 64

/* Ids come from whoever asks: with FNV-1a alone many can be found that share a bucket, so it begins with a seed, and its
 * high bits, which all bits of the state go into, say which. */
static size_t bucket_of(const struct rb_live_table *table, const char *id)
{
    uint64_t hash = rb_hash_more(table->seed, id, strlen(id));

    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (hash >> 32) & (table->bucket_count - 1);
}

static void grow(struct rb_live_table *table)
{
    struct rb_live_table larger = {
        .bucket_count = table->bucket_count == 0 ? FIRST_BUCKETS : table->bucket_count * 2,
        .count = table->count,
        .seed = table->bucket_count == 0 ? rb_random() : table->seed,
    };

    larger.buckets = rb_xalloc(larger.bucket_count * sizeof(struct rb_live_video *));
    for (size_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i] != NULL) {
            struct rb_live_video *video = table->buckets[i];
            struct rb_live_video **bucket = &larger.buckets[bucket_of(&larger, video->id)];

            table->buckets[i] = video->next;
            video->next = *bucket;
            *bucket = video;
        }
    }
    free(table->buckets);
    *table = larger;
}

struct rb_live_video *rb_live_table_find(const struct rb_live_table *table, const char *id)
{
    struct rb_live_video *video = table->count > 0 ? table->buckets[bucket_of(table, id)] : NULL;

    while (video != NULL && strcmp(video->id, id) != 0)
        video = video->next;
    return video;
}

struct rb_live_video *rb_live_table_put(struct rb_live_table *table, const char *id)
{
    struct rb_live_video *video = rb_live_table_find(table, id);

    if (video != NULL)
        return video;
    if (table->count >= table->bucket_count)
        grow(table);

    struct rb_live_video **bucket = &table->buckets[bucket_of(table, id)];

    video = rb_xalloc(sizeof(*video));
    snprintf(video->id, sizeof(video->id), "%s", id);
    video->next = *bucket;
    *bucket = video;
    table->count++;
    return video;
}

void rb_live_table_drop(struct rb_live_table *table, struct rb_live_video *video)
{
    struct rb_live_video **link = &table->buckets[bucket_of(table, video->id)];

    while (*link != video) {
        RB_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = video->next;
    table->count--;
    free(video);
}

void rb_live_table_each(struct rb_live_table *table, void (*fn)(struct rb_live_video *video, void *arg), void *arg)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct rb_live_video *video = table->buckets[i], *next; video != NULL; video = next) {
            next = video->next;
            fn(video, arg);
        }
    }
}

static void free_video(struct rb_live_video *video, void *arg)
{
    rb_live_table_drop(arg, video);
}

void rb_live_table_done(struct rb_live_table *table)
{
    rb_live_table_each(table, free_video, table);
    free(table->buckets);
    *table = (struct rb_live_table){0};
}
