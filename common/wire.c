/*
 * wire.c — how a record's value says which schema wrote it.
 *
 * Way:  common
 */
#include "common/wire.h"

#include <endian.h>

#define ID_BYTES          5  /* a zero byte and the id */
#define FINGERPRINT_BYTES 10 /* C3 01 and the fingerprint */

static uint32_t read_id(const uint8_t *bytes)
{
    uint32_t id;

    memcpy(&id, bytes, sizeof(id));
    return be32toh(id);
}

/* The header form: 00 and an id, or 01 and a GUID. The value is then Avro from its first byte. */
static bool parse_header(const uint8_t *header, size_t header_bytes, struct rb_wire *ret_wire)
{
    if (header_bytes == ID_BYTES && header[0] == 0x00) {
        ret_wire->kind = RB_WIRE_ID;
        ret_wire->id = read_id(header + 1);
        return true;
    }
    if (header_bytes == 1 + RB_WIRE_GUID_BYTES && header[0] == 0x01) {
        ret_wire->kind = RB_WIRE_GUID;
        memcpy(ret_wire->guid, header + 1, RB_WIRE_GUID_BYTES);
        return true;
    }
    return false;
}

static void cut_prefix(const uint8_t *value, size_t value_bytes, size_t prefix_bytes, struct rb_wire *ret_wire)
{
    ret_wire->data = value + prefix_bytes;
    ret_wire->data_bytes = value_bytes - prefix_bytes;
}

int rb_wire_parse(const uint8_t *value, size_t value_bytes, const uint8_t *header, size_t header_bytes,
                  struct rb_wire *ret_wire, struct rb_error *err)
{
    struct rb_wire wire = {0};

    if (value == NULL)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "the record has no value");
    if (header != NULL && parse_header(header, header_bytes, &wire)) {
        cut_prefix(value, value_bytes, 0, &wire);
    } else if (value_bytes >= FINGERPRINT_BYTES && value[0] == 0xc3 && value[1] == 0x01) {
        wire.kind = RB_WIRE_FINGERPRINT;
        memcpy(&wire.fingerprint, value + 2, sizeof(wire.fingerprint));
        wire.fingerprint = le64toh(wire.fingerprint);
        cut_prefix(value, value_bytes, FINGERPRINT_BYTES, &wire);
    } else if (value_bytes >= ID_BYTES && value[0] == 0x00) {
        wire.kind = RB_WIRE_ID;
        wire.id = read_id(value + 1);
        cut_prefix(value, value_bytes, ID_BYTES, &wire);
    } else {
        return rb_fail(err, RB_E_BAD_EVENT, 0,
                       "the value of %zu bytes begins neither as Confluent's format nor as single-object encoding",
                       value_bytes);
    }
    *ret_wire = wire;
    return 0;
}

void rb_wire_put_id(struct rb_buffer *buffer, uint32_t id)
{
    uint32_t big = htobe32(id);

    rb_buffer_add(buffer, "\0", 1);
    rb_buffer_add(buffer, &big, sizeof(big));
}

void rb_wire_put_fingerprint(struct rb_buffer *buffer, uint64_t fingerprint)
{
    uint64_t little = htole64(fingerprint);

    rb_buffer_add(buffer, "\xc3\x01", 2);
    rb_buffer_add(buffer, &little, sizeof(little));
}
