/*
 * lines.c — a line for each video: records about one video follow each other.
 *
 * Way:  job -> [lines]
 */
#include "consumer/lines.h"

#include "common/hash.h"

#define BUCKETS 4096 /* more than the records that are worked on at once */

/* The first place of a key's line is in; the others wait in their order. Lines of one bucket stand behind each other. */
struct rb_turns {
    struct rb_place *buckets[BUCKETS];
};

struct rb_turns *rb_turns_new(void)
{
    return rb_xalloc(sizeof(struct rb_turns));
}

void rb_turns_free(struct rb_turns *turns)
{
    for (size_t i = 0; turns != NULL && i < BUCKETS; i++)
        RB_ASSERT(turns->buckets[i] == NULL);
    free(turns);
}

static struct rb_place **bucket_of(struct rb_turns *turns, const char *key)
{
    return &turns->buckets[rb_hash_text(key) % BUCKETS];
}

static void insert_last(struct rb_place **list, struct rb_place *place)
{
    while (*list != NULL)
        list = &(*list)->next;
    place->next = NULL;
    *list = place;
}

static void unlink_place(struct rb_place **list, struct rb_place *place)
{
    while (*list != place) {
        RB_ASSERT(*list != NULL);
        list = &(*list)->next;
    }
    *list = place->next;
    place->next = NULL;
}

bool rb_turns_enter(struct rb_turns *turns, struct rb_place *place)
{
    struct rb_place **bucket = bucket_of(turns, place->key);
    bool taken = false;

    RB_ASSERT(place->state == RB_PLACE_OUT);
    for (const struct rb_place *other = *bucket; other != NULL; other = other->next)
        taken = taken || strcmp(other->key, place->key) == 0;
    insert_last(bucket, place);
    place->state = taken ? RB_PLACE_WAITING : RB_PLACE_IN;
    return !taken;
}

void rb_turns_leave(struct rb_turns *turns, struct rb_place *place)
{
    struct rb_place **bucket;
    bool was_in = place->state == RB_PLACE_IN;
    struct rb_place *next;

    if (place->state == RB_PLACE_OUT)
        return;
    bucket = bucket_of(turns, place->key);
    unlink_place(bucket, place);
    place->state = RB_PLACE_OUT;
    for (next = *bucket; was_in && next != NULL; next = next->next) {
        if (strcmp(next->key, place->key) == 0) {
            next->state = RB_PLACE_IN;
            next->on_turn(next->arg);
            return;
        }
    }
}
