/*
 * spool_load.c — what an earlier process left in the spool.
 *
 * Way:  publish -> outbox -> [spool] -> spool_format
 */
#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "producer/spool_inside.h"

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
        return rb_spool_fail(spool, "cut a segment in", errno, err);
    return 0;
}

static int load_segment(struct rb_spool *spool, uint64_t number, bool is_last, struct rb_error *err)
{
    int64_t size = rb_spool_dir_size(&spool->dir, number);
    uint64_t from = number == spool->position.segment ? spool->position.offset : RB_SPOOL_HEAD_BYTES;
    struct rb_error head = {0};

    if (size < 0)
        return rb_spool_fail(spool, "look into", errno, err);
    if (number < spool->position.segment || size <= RB_SPOOL_HEAD_BYTES) { /* done, or torn before its first record */
        if (rb_spool_dir_remove(&spool->dir, number) < 0)
            return rb_spool_fail(spool, "remove a segment in", errno, err);
        return 0;
    }

    RB_AUTO_TEXT *bytes = rb_xalloc((size_t)size);
    ssize_t count = rb_spool_dir_read(&spool->dir, number, 0, bytes, (size_t)size);

    if (count < 0)
        return rb_spool_fail(spool, "read", errno, err);
    if (rb_spool_format_check_head((const uint8_t *)bytes, (size_t)count, &head) < 0) {
        if (head.code == RB_E_BAD_OPTION)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'spool': '%.60s': %.100s", spool->dir.path, head.message);
        rb_spool_note_damage(spool, number, 0);
    }

    uint64_t end = scan(spool, (const uint8_t *)bytes, (size_t)count, from);

    if (is_last)
        RB_TRY(cut_end(spool, number, end, (uint64_t)count, err));
    rb_spool_add_segment(spool, number, is_last ? end : (uint64_t)count, true);
    return 0;
}

int rb_spool_load(struct rb_spool *spool, struct rb_error *err)
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
