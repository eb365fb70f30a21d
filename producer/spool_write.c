/*
 * spool_write.c — what is put into the spool, on its way to the disk.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 */
#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "producer/spool_inside.h"

#define WAITING_MAX_BYTES (8 << 20) /* in memory, for the write that is out */

static void write_on_pool(uv_work_t *work)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, RB_SPOOL_MAGIC);
    struct write_work *write = &spool->write;

    write->failed_errno = 0;
    if (rb_spool_dir_append(&spool->dir, write->segment, write->offset, write->batch.bytes.bytes,
                            write->batch.bytes.used) < 0)
        write->failed_errno = errno != 0 ? errno : EIO;
}

static void take_written(struct rb_spool *spool)
{
    struct write_work *write = &spool->write;
    uint64_t bytes = write->batch.bytes.used;

    if (write->offset == 0) {
        rb_spool_add_segment(spool, write->segment, bytes, false);
    } else {
        spool->last->bytes += bytes;
        spool->stats.bytes += bytes;
    }
    if (spool->stats.records == 0)
        spool->stats.oldest_unix_ms = write->batch.puts[0].unix_ms;
    spool->stats.records += write->batch.count;
    if (spool->broken)
        rb_log(NULL, RB_EV_SPOOL_WORKS, "records=%" PRIu64, spool->stats.records);
    spool->broken = false;
}

static void take_failure(struct rb_spool *spool, struct rb_error *err)
{
    if (spool->write.offset > 0)
        spool->last->sealed = true;
    rb_spool_fail(spool, "write to", spool->write.failed_errno, err);
    if (!spool->broken)
        rb_log_error(NULL, RB_EV_SPOOL_FAILS, err, "");
    spool->broken = true;
}

static void on_written(uv_work_t *work, int status)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, RB_SPOOL_MAGIC);
    struct rb_error err = {0};
    bool failed = status < 0 || spool->write.failed_errno != 0;

    spool->write.out = false;
    if (spool->closing) {
        rb_spool_free(spool);
        return;
    }
    if (failed)
        take_failure(spool, &err);
    else
        take_written(spool);
    rb_spool_answer(&spool->write.batch, failed ? &err : NULL);
    rb_spool_begin_write(spool);
    spool->on_change(spool->arg);
}

/* The last segment takes what comes until it is large enough; what an earlier process left is not added to. */
void rb_spool_begin_write(void *arg)
{
    struct rb_spool *spool = RB_CAST(rb_spool, arg, RB_SPOOL_MAGIC);
    struct write_work *write = &spool->write;
    struct segment *last = spool->last;

    if (write->out || spool->waiting.count == 0)
        return;
    write->batch = spool->waiting;
    spool->waiting = (struct batch){0};
    if (last != NULL && !last->sealed && last->bytes < spool->segment_bytes) {
        write->segment = last->number;
        write->offset = last->bytes;
    } else {
        RB_AUTO_BUFFER bytes = {0};

        write->segment = spool->next_number++;
        write->offset = 0;
        rb_spool_format_add_head(&bytes, write->segment);
        rb_buffer_add(&bytes, write->batch.bytes.bytes, write->batch.bytes.used);
        rb_buffer_done(&write->batch.bytes);
        write->batch.bytes = bytes;
        bytes = (struct rb_buffer){0};
    }
    write->out = true;
    write->work.data = spool;
    if (uv_queue_work(rb_loop_uv(spool->loop), &write->work, write_on_pool, on_written) < 0)
        RB_BUG("libuv takes no work");
}

int rb_spool_check(const struct rb_spool *spool, size_t bytes, struct rb_error *err)
{
    size_t waiting = spool->waiting.bytes.used + RB_SPOOL_HEAD_BYTES + bytes;
    uint64_t all = spool->stats.bytes + (spool->write.out ? spool->write.batch.bytes.used : 0) + waiting;

    if (all > spool->max_bytes)
        return rb_fail(err, RB_E_SPOOL_FULL, 0, "the spool has its %" PRIu64 " bytes", spool->max_bytes);
    if (waiting > WAITING_MAX_BYTES)
        return rb_fail(err, RB_E_SPOOL_FULL, 0, "more waits for the spool's disk than memory is meant for it");
    return 0;
}

int rb_spool_put(struct rb_spool *spool, const struct rb_spool_record *record, rb_spool_put_fn fn, void *arg,
                 struct rb_error *err)
{
    struct batch *waiting = &spool->waiting;
    RB_AUTO_BUFFER frame = {0};

    RB_TRY(rb_spool_format_add(&frame, record, err));
    RB_TRY(rb_spool_check(spool, frame.used, err));
    rb_buffer_add(&waiting->bytes, frame.bytes, frame.used);
    waiting->puts = rb_xrealloc(waiting->puts, (waiting->count + 1) * sizeof(*waiting->puts));
    waiting->puts[waiting->count++] = (struct put){fn, arg, record->spooled_unix_ms};
    rb_task_queue(&spool->begin_write);
    return 0;
}
