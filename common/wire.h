/*
 * wire.h — how a record's value says which schema wrote it: Confluent's wire formats, or Avro's single-object encoding.
 *
 * Way:  common
 *
 * Sources: Confluent, "Wire format" (a zero byte and a 4-byte id; or the header __value_schema_id with an id or a GUID);
 * Apache Avro specification 1.11, "Single-object encoding" (C3 01 and the little-endian fingerprint).
 */
#pragma once

#include "common/buffer.h"
#include "common/error.h"

#define RB_WIRE_ID_HEADER  "__value_schema_id"
#define RB_WIRE_GUID_BYTES 16

enum rb_wire_kind { RB_WIRE_ID, RB_WIRE_GUID, RB_WIRE_FINGERPRINT };

struct rb_wire {
    enum rb_wire_kind kind;
    uint32_t id;                      /* of RB_WIRE_ID */
    uint8_t guid[RB_WIRE_GUID_BYTES]; /* of RB_WIRE_GUID */
    uint64_t fingerprint;             /* of RB_WIRE_FINGERPRINT */
    const uint8_t *data;              /* the Avro binary; borrowed from the value */
    size_t data_bytes;
};

/*
 * Find out which schema a value names, by the header first, then by the value's first bytes.
 *
 * Takes:  value, borrowed; header, of the name RB_WIRE_ID_HEADER, NULL when there is none.
 * Gives:  ret_wire, its data borrowed from value.
 * Fails:  BAD_EVENT when the value is in none of the formats.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_wire_parse(const uint8_t *value, size_t value_bytes, const uint8_t *header, size_t header_bytes,
                                struct rb_wire *ret_wire, struct rb_error *err);

/*
 * Write the prefix of Confluent's format.
 *
 * Loop:   pure, any thread.
 */
void rb_wire_put_id(struct rb_buffer *buffer, uint32_t id);

/*
 * Write the prefix of Avro's single-object encoding.
 *
 * Loop:   pure, any thread.
 */
void rb_wire_put_fingerprint(struct rb_buffer *buffer, uint64_t fingerprint);
