/*
 * spool.c — a bounded queue of records on a disk.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 *
 * Two pieces of work may be out on the pool, one of each kind: a write, of all that was put since the last one, and a
 * look, which saves the position, removes what is done and reads on. They touch nothing of the spool but what was handed
 * to them; all else happens on the loop.
 */
#include "producer/spool.h"

#include <errno.h>
#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "producer/spool_dir.h"

#define SPOOL_MAGIC       0x53504f4cu
#define SEGMENT_MAX_BYTES (4 << 20)
#define SEGMENTS_AT_LEAST 4 /* a small spool has small ones, or its end could never be given back */
#define CHUNK_BYTES       (256 << 10)
#define WAITING_MAX_BYTES (8 << 20) /* in memory, for the write that is out */

struct segment {
    struct segment *next;
    uint64_t number;
    uint64_t bytes; /* that are good */
    bool sealed;    /* nothing is added any more */
};

struct put {
    rb_spool_put_fn fn;
    void *arg; /* borrowed */
    int64_t unix_ms;
};

/* What was put and is not on the disk yet. */
struct batch {
    struct rb_buffer bytes;
    struct put *puts; /* owned */
    size_t count;
};

struct write_work {
    uv_work_t work;
    bool out;
    struct batch batch;
    uint64_t segment;
    uint64_t offset;
    int failed_errno;
};

struct look_work {
    uv_work_t work;
    bool out;
    bool save;
    struct rb_spool_position position;
    uint64_t *remove; /* owned; segments */
    size_t remove_count;
    uint64_t segment; /* to read; 0: nothing */
    uint64_t offset;
    uint8_t *bytes; /* owned */
    size_t room;
    ssize_t count;
    int failed_errno;
};

struct rb_spool {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    rb_loop_fn on_change;
    void *arg; /* borrowed */
    struct rb_spool_dir dir;
    uint64_t max_bytes;
    uint64_t segment_bytes;
    struct segment *first; /* owned, as a list; NULL when there are none */
    struct segment *last;
    uint64_t next_number;
    struct rb_spool_position position;
    struct rb_spool_stats stats;

    struct batch waiting; /* for the next write */
    struct rb_task begin_write;
    struct write_work write;
    bool broken; /* the last write failed; logged once */

    struct look_work look;
    bool look_failed;
    bool changed;   /* the position is not on the disk yet */
    size_t want;    /* bytes that the next read must bring at least */
    uint8_t *chunk; /* owned; what was read, NULL when it is used up */
    size_t chunk_bytes;
    size_t chunk_at; /* how far it was taken */
    bool chunk_ends; /* with its segment */
    uint64_t *ends;  /* owned; in the chunk, behind each record that was taken */
    int64_t *times;  /* owned; when each of them was put */
    size_t ends_count;
    size_t ends_cap;
    bool closing;
};

static int fail_disk(struct rb_spool *spool, const char *doing, int number, struct rb_error *err)
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
static void batch_answer(struct batch *batch, const struct rb_error *err)
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

static void spool_free(struct rb_spool *spool)
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

static struct segment *add_segment(struct rb_spool *spool, uint64_t number, uint64_t bytes, bool sealed)
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
    return segment;
}

/* -- writing ------------------------------------------------------------------------------------------------------ */

static void write_on_pool(uv_work_t *work)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, SPOOL_MAGIC);
    struct write_work *write = &spool->write;

    write->failed_errno = 0;
    if (rb_spool_dir_append(&spool->dir, write->segment, write->offset, write->batch.bytes.bytes,
                            write->batch.bytes.used) < 0)
        write->failed_errno = errno != 0 ? errno : EIO;
}

static void begin_write(void *arg);

static void take_written(struct rb_spool *spool)
{
    struct write_work *write = &spool->write;
    uint64_t bytes = write->batch.bytes.used;

    if (write->offset == 0) {
        add_segment(spool, write->segment, bytes, false);
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
    fail_disk(spool, "write to", spool->write.failed_errno, err);
    if (!spool->broken)
        rb_log_error(NULL, RB_EV_SPOOL_FAILS, err, "");
    spool->broken = true;
}

static void on_written(uv_work_t *work, int status)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, SPOOL_MAGIC);
    struct rb_error err = {0};
    bool failed = status < 0 || spool->write.failed_errno != 0;

    spool->write.out = false;
    if (spool->closing) {
        spool_free(spool);
        return;
    }
    if (failed)
        take_failure(spool, &err);
    else
        take_written(spool);
    batch_answer(&spool->write.batch, failed ? &err : NULL);
    begin_write(spool);
    spool->on_change(spool->arg);
}

/* The last segment takes what comes until it is large enough; what an earlier process left is not added to. */
static void begin_write(void *arg)
{
    struct rb_spool *spool = RB_CAST(rb_spool, arg, SPOOL_MAGIC);
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

/* -- reading and what is done --------------------------------------------------------------------------------------- */

static void look_on_pool(uv_work_t *work)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, SPOOL_MAGIC);
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

static void note_damage(struct rb_spool *spool, uint64_t segment, uint64_t offset)
{
    spool->stats.damaged++;
    rb_log(NULL, RB_EV_SPOOL_DAMAGED, "segment=%016" PRIx64 " offset=%" PRIu64, segment, offset);
}

static void on_looked(uv_work_t *work, int status)
{
    struct rb_spool *spool = RB_CAST(rb_spool, work->data, SPOOL_MAGIC);
    struct look_work *look = &spool->look;
    struct rb_error err = {0};

    look->out = false;
    if (spool->closing) {
        spool_free(spool);
        return;
    }
    spool->look_failed = status < 0 || look->failed_errno != 0;
    if (spool->look_failed) {
        fail_disk(spool, "go on in", look->failed_errno != 0 ? look->failed_errno : EIO, &err);
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

    if (look->out)
        return;
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
            note_damage(spool, spool->position.segment, spool->position.offset + spool->chunk_at);
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

/* -- opening and closing -------------------------------------------------------------------------------------------- */

/* Count the records of a segment from the position on. Gives where its last record ends. */
static uint64_t scan(struct rb_spool *spool, const uint8_t *bytes, size_t count, uint64_t from)
{
    struct rb_spool_record record;
    uint64_t end = RB_MIN(from, count);
    size_t used;

    for (size_t at = (size_t)end; at < count; at += used) {
        if (rb_spool_format_parse(bytes + at, count - at, true, &record, &used) != RB_SPOOL_GOOD)
            continue;
        if (spool->stats.records++ == 0)
            spool->stats.oldest_unix_ms = record.spooled_unix_ms;
        end = at + used;
    }
    return end;
}

/* What follows the last record of the last segment was being written when its process died: nobody was promised it. */
static int cut_end(struct rb_spool *spool, uint64_t segment, uint64_t good_bytes, uint64_t bytes, struct rb_error *err)
{
    if (good_bytes == bytes)
        return 0;
    rb_log(NULL, RB_EV_SPOOL_CUT, "segment=%016" PRIx64 " bytes=%" PRIu64, segment, bytes - good_bytes);
    if (rb_spool_dir_cut(&spool->dir, segment, good_bytes) < 0)
        return fail_disk(spool, "cut a segment in", errno, err);
    return 0;
}

static int load_segment(struct rb_spool *spool, uint64_t number, bool is_last, struct rb_error *err)
{
    int64_t size = rb_spool_dir_size(&spool->dir, number);
    uint64_t from = number == spool->position.segment ? spool->position.offset : RB_SPOOL_HEAD_BYTES;
    struct rb_error head = {0};

    if (size < 0)
        return fail_disk(spool, "look into", errno, err);
    if (number < spool->position.segment || size <= RB_SPOOL_HEAD_BYTES) { /* done, or torn before its first record */
        if (rb_spool_dir_remove(&spool->dir, number) < 0)
            return fail_disk(spool, "remove a segment in", errno, err);
        return 0;
    }

    RB_AUTO_TEXT *bytes = rb_xalloc((size_t)size);
    ssize_t count = rb_spool_dir_read(&spool->dir, number, 0, bytes, (size_t)size);

    if (count < 0)
        return fail_disk(spool, "read", errno, err);
    if (rb_spool_format_check_head((const uint8_t *)bytes, (size_t)count, &head) < 0) {
        if (head.code == RB_E_BAD_OPTION)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'spool': '%.60s': %.100s", spool->dir.path, head.message);
        note_damage(spool, number, 0);
    }

    uint64_t end = scan(spool, (const uint8_t *)bytes, (size_t)count, from);

    if (is_last)
        RB_TRY(cut_end(spool, number, end, (uint64_t)count, err));
    add_segment(spool, number, is_last ? end : (uint64_t)count, true);
    return 0;
}

static int load(struct rb_spool *spool, struct rb_error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int result = 0;

    rb_spool_dir_load(&spool->dir, &spool->position);
    spool->next_number = spool->position.segment + 1;
    RB_TRY(rb_spool_dir_list(&spool->dir, &numbers, &count, err));
    for (size_t i = 0; result == 0 && i < count; i++) {
        spool->next_number = RB_MAX(spool->next_number, numbers[i] + 1);
        result = load_segment(spool, numbers[i], i + 1 == count, err);
    }
    free(numbers);
    return result;
}

int rb_spool_open(struct rb_loop *loop, const struct rb_spool_config *config, struct rb_spool **ret_spool,
                  struct rb_error *err)
{
    struct rb_spool *spool = rb_xalloc(sizeof(*spool));

    *spool = (struct rb_spool){
        .magic = SPOOL_MAGIC,
        .loop = loop,
        .on_change = config->on_change,
        .arg = config->arg,
        .dir = {.fd = -1, .lock_fd = -1, .position_fd = -1},
        .max_bytes = (uint64_t)config->max_bytes,
        .segment_bytes = (uint64_t)RB_MIN(config->max_bytes / SEGMENTS_AT_LEAST, SEGMENT_MAX_BYTES),
    };
    rb_task_init(&spool->begin_write, loop, begin_write, spool);
    if (rb_spool_dir_open(config->path, &spool->dir, err) < 0 || load(spool, err) < 0) {
        spool_free(spool);
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
    batch_answer(&spool->waiting, &err);
    for (size_t i = 0; i < spool->write.batch.count; i++) /* the bytes are still being written */
        spool->write.batch.puts[i].fn(&err, spool->write.batch.puts[i].arg);
    spool->write.batch.count = 0;
    spool_free(spool);
}
