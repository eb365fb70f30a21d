/*
 * spool.c — a bounded queue of records on a disk.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 *
 * Two pieces of work may be out on the pool, one of each kind: a write, of all that was put since the last one, and a
 * look, which saves the position, removes what is done and reads on. They touch nothing of the spool but what was handed
 * to them; all else happens on the loop.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "producer/spool_inside.h"

#define SEGMENT_MAX_BYTES (4 << 20)
#define SEGMENTS_AT_LEAST 4 /* a small spool has small ones, or its end could never be given back */
#define CHUNK_BYTES       (256 << 10)

int rb_spool_fail(const struct rb_spool *spool, const char *doing, int number, struct rb_error *err)
{
    enum rb_code code = number == ENOSPC || number == EDQUOT ? RB_E_SPOOL_FULL : RB_E_SPOOL_BROKEN;

    return rb_fail(err, code, number, "cannot %s '%.100s': %s", doing, spool->dir.path, strerror(number));
}

static void batch_done(struct batch *batch)
{
    rb_buffer_done(&batch->bytes);
    free(batch->puts);
    *batch = (struct batch){0};
}

/* Tell all of a batch. They may put again at once, so the batch is out of the way first. */
void rb_spool_answer(struct batch *batch, const struct rb_error *err)
{
    struct batch mine = *batch;

    *batch = (struct batch){0};
    for (size_t i = 0; i < mine.count; i++)
        mine.puts[i].fn(err, mine.puts[i].arg);
    batch_done(&mine);
}

static void drop_chunk(struct rb_spool *spool)
{
    free(spool->chunk);
    spool->chunk = NULL;
    spool->chunk_bytes = spool->chunk_at = spool->ends_count = 0;
}

void rb_spool_free(struct rb_spool *spool)
{
    if (spool->write.out || spool->look.out)
        return; /* the last one that comes back does it */
    for (struct segment *segment; (segment = spool->first) != NULL;) {
        spool->first = segment->next;
        free(segment);
    }
    batch_done(&spool->waiting);
    batch_done(&spool->write.batch);
    drop_chunk(spool);
    free(spool->ends);
    free(spool->times);
    free(spool->look.bytes);
    free(spool->look.remove);
    rb_spool_dir_close(&spool->dir);
    spool->magic = 0;
    free(spool);
}

void rb_spool_add_segment(struct rb_spool *spool, uint64_t number, uint64_t bytes, bool sealed)
{
    struct segment *segment = rb_xalloc(sizeof(*segment));

    *segment = (struct segment){.number = number, .bytes = bytes, .sealed = sealed};
    if (spool->last != NULL)
        spool->last->next = segment;
    else
        spool->first = segment;
    spool->last = segment;
    spool->stats.bytes += bytes;
    spool->next_number = RB_MAX(spool->next_number, number + 1);
}

void rb_spool_note_damage(struct rb_spool *spool, uint64_t segment, uint64_t offset)
{
    spool->stats.damaged++;
    rb_log(NULL, RB_EV_SPOOL_DAMAGED, "segment=%016" PRIx64 " offset=%" PRIu64, segment, offset);
}

static void look_on_pool(uv_work_t *work)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, RB_SPOOL_MAGIC);
    struct look_work *look = &spool->look;

    look->failed_errno = 0;
    look->count = 0;
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

static void collect_finished(struct rb_spool *spool)
{
    struct look_work *look = &spool->look;

    look->remove_count = 0;
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

static void note_end(struct rb_spool *spool, int64_t unix_ms)
{
    if (spool->ends_count == spool->ends_cap) {
        spool->ends_cap = RB_MAX(spool->ends_cap * 2, 256);
        spool->ends = rb_xrealloc(spool->ends, spool->ends_cap * sizeof(*spool->ends));
        spool->times = rb_xrealloc(spool->times, spool->ends_cap * sizeof(*spool->times));
    }
    spool->ends[spool->ends_count] = spool->chunk_at;
    spool->times[spool->ends_count++] = unix_ms;
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
            note_end(spool, ret_record->spooled_unix_ms);
            return true;
        }
    }
    return false;
}

void rb_spool_done(struct rb_spool *spool, size_t count)
{
    RB_ASSERT(count <= spool->ends_count);

    /* Behind the last record of the chunk there may be what was none. */
    uint64_t bytes = count == spool->ends_count ? spool->chunk_at : count > 0 ? spool->ends[count - 1] : 0;

    if (bytes > 0) {
        spool->position.offset += bytes;
        spool->position.sequence++;
        spool->changed = true;
    }
    if (count > 0)
        spool->stats.oldest_unix_ms = spool->times[count - 1]; /* the next one is not older */
    spool->stats.records -= RB_MIN(count, spool->stats.records);
    drop_chunk(spool);
    if (unread_bytes(spool) == 0 && (spool->first == NULL || spool->first->next == NULL))
        spool->stats.records = 0; /* also what was damaged after it was counted */
    begin_look(spool);
}

bool rb_spool_is_empty(const struct rb_spool *spool)
{
    return spool->stats.records == 0 && spool->waiting.count == 0 && !spool->write.out;
}

bool rb_spool_is_taken(const struct rb_spool *spool)
{
    return spool->chunk != NULL && spool->chunk_at == spool->chunk_bytes && spool->chunk_ends &&
           spool->first->next == NULL && spool->first->bytes == spool->position.offset + spool->chunk_bytes &&
           spool->waiting.count == 0 && !spool->write.out;
}

struct rb_spool_stats rb_spool_stats(const struct rb_spool *spool)
{
    struct rb_spool_stats stats = spool->stats;

    if (stats.records == 0)
        stats.oldest_unix_ms = 0;
    return stats;
}

int rb_spool_open(struct rb_loop *loop, const struct rb_spool_config *config, struct rb_spool **ret_spool,
                  struct rb_error *err)
{
    struct rb_spool *spool = rb_xalloc(sizeof(*spool));

    *spool = (struct rb_spool){
        .magic = RB_SPOOL_MAGIC,
        .loop = loop,
        .on_change = config->on_change,
        .arg = config->arg,
        .dir = {.fd = -1, .lock_fd = -1, .position_fd = -1},
        .max_bytes = (uint64_t)config->max_bytes,
        .segment_bytes = (uint64_t)RB_MIN(config->max_bytes / SEGMENTS_AT_LEAST, SEGMENT_MAX_BYTES),
    };
    rb_task_init(&spool->begin_write, loop, rb_spool_begin_write, spool);
    if (rb_spool_dir_open(config->path, &spool->dir, err) < 0 || rb_spool_load(spool, err) < 0) {
        rb_spool_free(spool);
        return -1;
    }
    rb_log(NULL, RB_EV_SPOOL_OPENED, "records=%" PRIu64 " bytes=%" PRIu64, spool->stats.records, spool->stats.bytes);
    *ret_spool = spool;
    return 0;
}

void rb_spool_close(struct rb_spool *spool)
{
    struct rb_error err = {0};

    if (spool == NULL)
        return;
    rb_fail(&err, RB_E_SPOOL_BROKEN, 0, "the program stops");
    spool->closing = true;
    rb_task_done(&spool->begin_write);
    rb_spool_answer(&spool->waiting, &err);
    for (size_t i = 0; i < spool->write.batch.count; i++) /* the bytes are still being written */
        spool->write.batch.puts[i].fn(&err, spool->write.batch.puts[i].arg);
    spool->write.batch.count = 0;
    rb_spool_free(spool);
}
