/*
 * spool_look.c — what is in the spool, on its way out: read, taken, done, removed.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 */
#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "producer/spool_inside.h"

#define CHUNK_BYTES (256 << 10)

static void drop_chunk(struct rb_spool *spool)
{
    free(spool->chunk);
    spool->chunk = NULL;
    spool->chunk_bytes = spool->chunk_at = spool->taken_count = 0;
}

static int set_aside_on_pool(struct rb_spool *spool)
{
    struct rb_buffer *aside = &spool->look.aside;

    if (spool->dir.refused_bytes + aside->used > spool->max_bytes) {
        errno = EDQUOT;
        return -1;
    }
    RB_TRY(rb_spool_dir_set_aside(&spool->dir, aside->bytes, aside->used));
    rb_buffer_done(aside);
    return 0;
}

static void look_on_pool(uv_work_t *work)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, RB_SPOOL_MAGIC);
    struct look_work *look = &spool->look;

    look->failed_errno = 0;
    look->count = 0;
    if (look->aside.used > 0 && set_aside_on_pool(spool) < 0) {
        look->failed_errno = errno;
        return;
    }
    if (look->save && rb_spool_dir_save(&spool->dir, &look->position) < 0) {
        look->failed_errno = errno; /* nothing goes whose end is not on the disk */
        return;
    }
    for (size_t i = 0; i < look->remove_count; i++)
        if (rb_spool_dir_remove(&spool->dir, look->remove[i]) < 0 && errno != ENOENT)
            look->failed_errno = errno;
    if (look->segment == 0)
        return;
    look->count = rb_spool_dir_read(&spool->dir, look->segment, look->offset, look->bytes, look->room);
    if (look->count < 0)
        look->failed_errno = errno;
    else if (look->count == 0)
        look->failed_errno = EIO; /* somebody has cut the file */
}

static void begin_look(struct rb_spool *spool);

static void on_looked(uv_work_t *work, int status)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, RB_SPOOL_MAGIC);
    struct look_work *look = &spool->look;
    struct rb_error err = {0};

    look->out = false;
    if (spool->closing) {
        rb_spool_free(spool);
        return;
    }
    spool->look_failed = status < 0 || look->failed_errno != 0;
    if (spool->look_failed) {
        rb_spool_fail(spool, "go on in", look->failed_errno != 0 ? look->failed_errno : EIO, &err);
        rb_log_error(NULL, RB_EV_SPOOL_FAILS, &err, "");
        spool->changed |= look->save;
    } else {
        look->remove_count = 0;
    }
    if (look->count > 0 && look->segment == spool->position.segment && look->offset == spool->position.offset) {
        drop_chunk(spool);
        spool->want = 0;
        spool->chunk = RB_STEAL(look->bytes);
        spool->chunk_bytes = (size_t)look->count;
        spool->chunk_ends = look->offset + (uint64_t)look->count >= spool->first->bytes;
    }
    if (spool->look_again && !spool->look_failed)
        begin_look(spool);
    spool->look_again = false;
    spool->on_change(spool->arg);
}

/* May this segment go? Everything in it is done, and no write is out to it. */
static bool is_finished(const struct rb_spool *spool, const struct segment *segment)
{
    if (spool->position.segment == segment->number && spool->position.offset < segment->bytes)
        return false;
    if (spool->position.segment < segment->number)
        return false;
    return !(spool->write.out && spool->write.segment == segment->number);
}

/* They are added to those that the last look could not remove. */
static void collect_finished(struct rb_spool *spool)
{
    struct look_work *look = &spool->look;

    while (spool->first != NULL && is_finished(spool, spool->first)) {
        struct segment *segment = spool->first;

        look->remove = rb_xrealloc(look->remove, (look->remove_count + 1) * sizeof(*look->remove));
        look->remove[look->remove_count++] = segment->number;
        spool->stats.bytes -= segment->bytes;
        spool->first = segment->next;
        if (spool->first == NULL)
            spool->last = NULL;
        free(segment);
    }
    if (spool->first != NULL && spool->position.segment < spool->first->number) {
        spool->position.segment = spool->first->number;
        spool->position.offset = RB_SPOOL_HEAD_BYTES;
    }
}

/* What there is to be read at the position. */
static uint64_t unread_bytes(const struct rb_spool *spool)
{
    return spool->first != NULL && spool->first->number == spool->position.segment
               ? spool->first->bytes - RB_MIN(spool->first->bytes, spool->position.offset)
               : 0;
}

static void begin_look(struct rb_spool *spool)
{
    struct look_work *look = &spool->look;

    if (look->out) {
        spool->look_again = true;
        return;
    }
    collect_finished(spool);
    rb_buffer_add(&look->aside, spool->aside.bytes, spool->aside.used);
    rb_buffer_done(&spool->aside);
    look->save = spool->changed;
    look->position = spool->position;
    look->segment = 0;
    if (unread_bytes(spool) > 0 && spool->chunk == NULL) {
        look->segment = spool->position.segment;
        look->offset = spool->position.offset;
        look->room = (size_t)RB_MIN(unread_bytes(spool), RB_MAX(spool->want, CHUNK_BYTES));
        free(look->bytes);
        look->bytes = rb_xalloc(look->room);
    }
    if (!look->save && look->remove_count == 0 && look->segment == 0)
        return;
    spool->changed = false;
    look->out = true;
    look->work.data = spool;
    if (uv_queue_work(rb_loop_uv(spool->loop), &look->work, look_on_pool, on_looked) < 0)
        RB_BUG("libuv takes no work");
}

void rb_spool_read(struct rb_spool *spool)
{
    if (spool->chunk == NULL)
        begin_look(spool);
}

bool rb_spool_has_read(const struct rb_spool *spool)
{
    return spool->chunk != NULL;
}

bool rb_spool_has_failed(const struct rb_spool *spool)
{
    return spool->look_failed;
}

static void note_taken(struct rb_spool *spool, size_t begin, int64_t unix_ms)
{
    if (spool->taken_count == spool->taken_cap) {
        spool->taken_cap = RB_MAX(spool->taken_cap * 2, 256);
        spool->taken = rb_xrealloc(spool->taken, spool->taken_cap * sizeof(*spool->taken));
    }
    spool->taken[spool->taken_count++] = (struct taken){.begin = begin, .end = spool->chunk_at, .unix_ms = unix_ms};
}

bool rb_spool_take(struct rb_spool *spool, struct rb_spool_record *ret_record)
{
    size_t bytes;

    while (spool->chunk != NULL && spool->chunk_at < spool->chunk_bytes) {
        enum rb_spool_found found =
            rb_spool_format_parse(spool->chunk + spool->chunk_at, spool->chunk_bytes - spool->chunk_at,
                                  spool->chunk_ends, ret_record, &bytes);

        if (found == RB_SPOOL_SHORT) {
            spool->want = bytes;
            return false;
        }
        if (found == RB_SPOOL_DAMAGED)
            rb_spool_note_damage(spool, spool->position.segment, spool->position.offset + spool->chunk_at);
        spool->chunk_at += bytes;
        if (found == RB_SPOOL_GOOD) {
            note_taken(spool, spool->chunk_at - bytes, ret_record->spooled_unix_ms);
            return true;
        }
    }
    return false;
}

void rb_spool_refuse(struct rb_spool *spool, size_t index, const struct rb_error *err)
{
    struct rb_spool_record record;
    char topic[RB_LOG_QUOTE_BYTES], key[RB_LOG_QUOTE_BYTES];
    struct taken *taken = &spool->taken[index];
    size_t bytes;

    RB_ASSERT(index < spool->taken_count);
    taken->refused = true;
    if (rb_spool_format_parse(spool->chunk + taken->begin, taken->end - taken->begin, true, &record, &bytes) !=
        RB_SPOOL_GOOD)
        RB_BUG("a record in memory has changed");

    RB_AUTO_TEXT *text = rb_xstrndup(record.key != NULL ? record.key : "", record.key_bytes);

    rb_log_error(NULL, RB_EV_SPOOL_ASIDE, err, "topic=%s key=%s bytes=%zu", rb_log_quote(record.topic, topic),
                 rb_log_quote(text, key), record.value_bytes);
}

/* In the order of the records; what is refused goes to the disk before the position that is behind it. */
static void set_aside(struct rb_spool *spool, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (spool->taken[i].refused)
            rb_buffer_add(&spool->aside, spool->chunk + spool->taken[i].begin,
                          spool->taken[i].end - spool->taken[i].begin);
}

void rb_spool_done(struct rb_spool *spool, size_t count)
{
    RB_ASSERT(count <= spool->taken_count);

    /* Behind the last record of the chunk there may be what was none. */
    uint64_t bytes = count == spool->taken_count ? spool->chunk_at : count > 0 ? spool->taken[count - 1].end : 0;

    set_aside(spool, count);
    if (bytes > 0) {
        spool->position.offset += bytes;
        spool->position.sequence++;
        spool->changed = true;
    }
    if (count > 0)
        spool->stats.oldest_unix_ms = spool->taken[count - 1].unix_ms; /* the next one is not older */
    spool->stats.records -= RB_MIN(count, spool->stats.records);
    drop_chunk(spool);
    if (unread_bytes(spool) == 0 && (spool->first == NULL || spool->first->next == NULL))
        spool->stats.records = 0; /* also what was damaged after it was counted */
    begin_look(spool);
}
