/*
 * spool_dir.h — the folder of the spool: its lock, its segments, its position. Blocks as disks do.
 *
 * Way:  publish -> outbox -> spool -> [spool_dir]
 */
#pragma once

#include <sys/types.h>

#include "producer/spool_format.h"

struct rb_spool_dir {
    char *path; /* owned */
    int fd;
    int lock_fd;
    int position_fd;
    uint64_t refused_bytes; /* of the file with what Kafka refuses */
};

/*
 * Open the folder for this process alone; it is made when it is not there. The lock goes with the process.
 *
 * Gives:  ret_dir; rb_spool_dir_close it.
 * Fails:  BAD_OPTION when it cannot be used, or another process uses it.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_open(const char *path, struct rb_spool_dir *ret_dir, struct rb_error *err);

/*
 * Close it and let others have it.
 *
 * Loop:   any thread.
 */
void rb_spool_dir_close(struct rb_spool_dir *dir);

/*
 * The numbers of its segments, in order.
 *
 * Gives:  ret_numbers, owned by the caller; free() it.
 * Fails:  SYSTEM.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_list(const struct rb_spool_dir *dir, uint64_t **ret_numbers, size_t *ret_count,
                                    struct rb_error *err);

/*
 * Add bytes behind the good ones of a segment and see them to the disk; at offset 0 the segment is made. When that fails
 * it is cut back to the good ones, and nothing should be added to it any more.
 *
 * Gives:  0, or -1 with errno.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_append(const struct rb_spool_dir *dir, uint64_t segment, uint64_t offset,
                                      const void *bytes, size_t count);

/*
 * Read bytes of a segment.
 *
 * Gives:  how many there were, or -1 with errno.
 * Loop:   any thread; blocks.
 */
ssize_t rb_spool_dir_read(const struct rb_spool_dir *dir, uint64_t segment, uint64_t offset, void *ret_bytes,
                          size_t count);

/*
 * The size of a segment.
 *
 * Gives:  bytes, or -1 with errno.
 * Loop:   any thread; blocks.
 */
int64_t rb_spool_dir_size(const struct rb_spool_dir *dir, uint64_t segment);

/*
 * Cut a segment to this size.
 *
 * Gives:  0, or -1 with errno.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_cut(const struct rb_spool_dir *dir, uint64_t segment, uint64_t bytes);

/*
 * Remove a segment.
 *
 * Gives:  0, or -1 with errno.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_remove(const struct rb_spool_dir *dir, uint64_t segment);

/*
 * Add records to those that Kafka refuses for good, and see them to the disk. Nothing reads them but people.
 *
 * Gives:  0, or -1 with errno; then the same bytes may be added again.
 * Loop:   any thread, one at a time; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_set_aside(struct rb_spool_dir *dir, const void *bytes, size_t count);

/*
 * Write the position and see it to the disk. It takes turns between two places, so that one of them is always whole.
 *
 * Gives:  0, or -1 with errno.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int rb_spool_dir_save(const struct rb_spool_dir *dir, const struct rb_spool_position *position);

/*
 * Read the position: the later one of the two that is whole; zeros when none is.
 *
 * Loop:   any thread; blocks.
 */
void rb_spool_dir_load(const struct rb_spool_dir *dir, struct rb_spool_position *ret_position);
