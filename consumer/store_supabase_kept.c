/*
 * store_supabase_kept.c — the bytes of an object that are on their way: there is only so much memory for them, and whoever
 * gets none does without, and starts over after a cut.
 *
 * Way:  download -> [store_supabase] -> record
 */
#include "consumer/store_supabase_put.h"

void supabase_kept_open(struct rb_put *put)
{
    int64_t room = RB_MIN(put->length - put->taken, RB_SUPABASE_CHUNK_BYTES);

    if (put->kept != NULL || room <= 0 || room > put->store->buffers_left)
        return;
    put->store->buffers_left -= room;
    put->kept = rb_xalloc((size_t)room);
    put->kept_room = (size_t)room;
    put->kept_from = put->taken;
    put->kept_used = 0;
}

void supabase_kept_add(struct rb_put *put, const void *bytes, size_t count)
{
    put->taken += (int64_t)count;
    if (put->kept == NULL)
        return;
    RB_ASSERT(count <= put->kept_room - put->kept_used);
    memcpy(put->kept + put->kept_used, bytes, count);
    put->kept_used += count;
}

bool supabase_kept_reaches(const struct rb_put *put, int64_t offset)
{
    return offset == put->taken || (put->kept != NULL && offset >= put->kept_from && offset < put->taken);
}

void supabase_kept_forget(struct rb_put *put, int64_t offset)
{
    size_t gone;

    if (put->kept == NULL)
        return;
    gone = (size_t)(offset - put->kept_from);
    memmove(put->kept, put->kept + gone, put->kept_used - gone);
    put->kept_used -= gone;
    put->kept_from = offset;
}

void supabase_kept_close(struct rb_put *put)
{
    put->store->buffers_left += (int64_t)put->kept_room;
    free(put->kept);
    put->kept = NULL;
    put->kept_room = 0;
    put->kept_used = 0;
}
