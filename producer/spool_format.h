/*
 * spool_format.h — records for Kafka as bytes on a disk that may have been cut off at any point, or changed.
 *
 * Way:  publish -> outbox -> spool -> [spool_format]
 *
 * A segment is a head, then records: "RBr1", checksum, length, payload. Numbers are little-endian. The checksum is the
 * first 8 bytes of the SHA-256 of length and payload. Whatever is damaged costs what it hit: the next record is found by
 * its first four bytes, and believed because of its checksum.
 */
#pragma once

#include "common/buffer.h"
#include "common/error.h"

#define RB_SPOOL_HEAD_BYTES       24
#define RB_SPOOL_FRAME_BYTES      16 /* in front of a payload */
#define RB_SPOOL_RECORD_MAX_BYTES (2 << 20)
#define RB_SPOOL_HEADERS_MAX      32
#define RB_SPOOL_POSITION_BYTES   40

struct rb_spool_header {
    const char *name;
    const void *value; /* NULL for none */
    size_t value_bytes;
};

/* All of it borrowed, from whoever made it or from the bytes that were read. */
struct rb_spool_record {
    int64_t spooled_unix_ms;
    const char *topic;
    const void *key; /* NULL for none */
    size_t key_bytes;
    const void *value; /* NULL for none */
    size_t value_bytes;
    struct rb_spool_header headers[RB_SPOOL_HEADERS_MAX];
    size_t header_count;
};

/* Where to go on: everything before it is on Kafka. */
struct rb_spool_position {
    uint64_t sequence; /* the larger, the later it was written */
    uint64_t segment;
    uint64_t offset; /* in the segment's file */
};

/*
 * SHORT    more bytes are needed to tell.
 * GOOD     a record.
 * DAMAGED  no record begins here; the next one may a few bytes on.
 */
enum rb_spool_found { RB_SPOOL_SHORT, RB_SPOOL_GOOD, RB_SPOOL_DAMAGED };

/*
 * Write the head of a segment.
 *
 * Loop:   pure, any thread.
 */
void rb_spool_format_add_head(struct rb_buffer *buffer, uint64_t segment);

/*
 * Is this the head of a segment that we can read?
 *
 * Fails:  BAD_EVENT when it is cut or damaged, BAD_OPTION when a later version of this program wrote it.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_spool_format_check_head(const uint8_t *bytes, size_t count, struct rb_error *err);

/*
 * Write one record.
 *
 * Fails:  BAD_EVENT when it is larger than RB_SPOOL_RECORD_MAX_BYTES; nothing was added then.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_spool_format_add(struct rb_buffer *buffer, const struct rb_spool_record *record,
                                      struct rb_error *err);

/*
 * Read the record that begins at the first byte.
 *
 * Takes:  bytes, at least one; all_there, no more will follow them: what is cut off is damaged then.
 * Gives:  GOOD with ret_record, borrowed from bytes, and ret_bytes, its size. DAMAGED with ret_bytes, at least one: how
 *         far it is to where the next one may begin. SHORT with ret_bytes, how many are needed.
 * Loop:   pure, any thread.
 */
enum rb_spool_found rb_spool_format_parse(const uint8_t *bytes, size_t count, bool all_there,
                                          struct rb_spool_record *ret_record, size_t *ret_bytes);

/*
 * Write a position.
 *
 * Takes:  ret_bytes, RB_SPOOL_POSITION_BYTES of them.
 * Loop:   pure, any thread.
 */
void rb_spool_format_put_position(const struct rb_spool_position *position, uint8_t *ret_bytes);

/*
 * Read a position.
 *
 * Takes:  bytes, RB_SPOOL_POSITION_BYTES of them.
 * Gives:  0 and ret_position, or -1 when it was cut or damaged.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_spool_format_get_position(const uint8_t *bytes, struct rb_spool_position *ret_position);
