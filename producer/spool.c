/*
 * spool.c — a bounded queue of records on a disk.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 *
 * Two pieces of work may be out on the pool, one of each kind: a write (spool_write.c), of all that was put since the last
 * one, and a look (spool_look.c), which saves the position, removes what is done and reads on. They touch nothing of the spool but what was handed
 * to them; all else happens on the loop.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "producer/spool_inside.h"

#define SEGMENT_MAX_BYTES (4 << 20)
#define SEGMENTS_AT_LEAST 4 /* a small spool has small ones, or its end could never be given back */

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
    free(spool->chunk);
    free(spool->taken);
    rb_buffer_done(&spool->aside);
    rb_buffer_done(&spool->look.aside);
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

bool rb_spool_is_empty(const struct rb_spool *spool)
{
    return spool->stats.records == 0 && spool->waiting.count == 0 && !spool->write.out;
}

bool rb_spool_is_read(const struct rb_spool *spool)
{
    return spool->chunk != NULL && spool->chunk_ends && spool->first->next == NULL &&
           spool->first->bytes == spool->position.offset + spool->chunk_bytes && spool->waiting.count == 0 &&
           !spool->write.out;
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
