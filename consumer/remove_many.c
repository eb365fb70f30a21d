/*
 * remove_many.c — removes the objects of many videos by one request, where the store can do that.
 *
 * Way:  make_room -> [remove] -> store
 *
 * Events are acknowledged in groups; so those whose objects may go are gathered for a moment. What the request does not say to be
 * gone is removed one by one, which also tells why it cannot be.
 */
#include "consumer/remove_internal.h"

#define BATCH_MAGIC     0x52424154u
#define GATHER_MS       5

#define NOT_IMPLEMENTED 501

static void batch_free(struct removal_batch *batch)
{
    if (batch->ask != NULL)
        batch->target->store->ops->forget(batch->ask);
    batch->magic = 0;
    free(batch);
}

void removal_drop_batches(struct rb_remove *remove)
{
    while (remove->batches != NULL) {
        struct removal_batch *batch = remove->batches;

        remove->batches = batch->next;
        batch_free(batch);
    }
    if (remove->gathering != NULL)
        batch_free(RB_STEAL(remove->gathering));
}

static bool is_kept(const struct removal_batch *batch, const struct removal *removal, const bool *kept)
{
    for (size_t i = 0; i < batch->key_count; i++)
        if (batch->owners[i] == removal && kept[i])
            return true;
    return false;
}

/* A store that is away, or has no time, is not asked for each of them now; one that does not know such a request is. */
static bool is_out(const struct rb_error *err)
{
    return err->code == RB_E_STORE_BUSY || (err->code == RB_E_STORE_AWAY && err->detail != NOT_IMPLEMENTED);
}

static void take_answer(struct removal_batch *batch, const bool *kept, const struct rb_error *err)
{
    struct removal *removal = batch->removals;

    while (removal != NULL) {
        struct removal *next = removal->next_in_batch;

        if (kept == NULL && is_out(err))
            removal_end(removal, err);
        else if (kept == NULL || is_kept(batch, removal, kept))
            removal_remove(removal);
        else
            removal_gone(removal);
        removal = next;
    }
}

static void on_removed(void *arg)
{
    struct removal_batch *batch = RB_CAST(removal_batch, arg, BATCH_MAGIC);
    struct removal_batch **place = &batch->remove->batches;
    struct rb_store_answer answer = {0};
    struct rb_error err = {0};
    enum rb_poll polled = batch->target->store->ops->answer(batch->ask, &answer, &err);

    if (polled == RB_POLL_WAIT)
        return;
    while (*place != batch)
        place = &(*place)->next;
    *place = batch->next;
    take_answer(batch, polled == RB_POLL_DONE ? answer.kept : NULL, &err);
    batch_free(batch);
}

void removal_flush(void *arg)
{
    struct rb_remove *remove = RB_CAST(rb_remove, arg, REMOVE_MAGIC);
    struct removal_batch *batch = RB_STEAL(remove->gathering);

    rb_timer_stop(remove->gather_timer);
    if (batch == NULL)
        return;
    if (batch->count == 1) {
        struct removal *removal = batch->removals;

        batch_free(batch);
        removal_remove(removal);
        return;
    }

    const struct rb_keys keys = {batch->target->bucket, batch->keys, batch->key_count};

    batch->next = remove->batches;
    remove->batches = batch;
    batch->ask = batch->target->store->ops->remove_many(batch->target->store, &keys, on_removed, batch);
}

static void add_removal(struct removal_batch *batch, struct removal *removal)
{
    for (size_t i = 0; i < removal->key_count; i++) {
        batch->keys[batch->key_count] = removal->keys[i];
        batch->owners[batch->key_count++] = removal;
    }
    removal->next_in_batch = batch->removals;
    batch->removals = removal;
    batch->count++;
}

static bool has_room(const struct removal_batch *batch, const struct removal *removal)
{
    return batch->target == removal->target && batch->key_count + removal->key_count <= BATCH_KEYS_MAX;
}

void removal_gather(struct removal *removal)
{
    struct rb_remove *remove = removal->remove;

    if (removal->target->store->ops->remove_many == NULL || removal->key_count > BATCH_KEYS_MAX) {
        removal_remove(removal);
        return;
    }
    if (remove->gathering != NULL && !has_room(remove->gathering, removal))
        removal_flush(remove);
    if (remove->gathering == NULL) {
        remove->gathering = rb_xalloc(sizeof(*remove->gathering));
        *remove->gathering = (struct removal_batch){.magic = BATCH_MAGIC, .remove = remove, .target = removal->target};
        rb_timer_start(remove->gather_timer, GATHER_MS);
    }
    add_removal(remove->gathering, removal);
}
