/*
 * avro.h — structs to Avro records and back, by a schema and a table of fields. avro-c does the work.
 *
 * Way:  common
 */
#pragma once

#include "common/buffer.h"
#include "common/error.h"

/* An Avro record type: a schema, and what identifies it. */
struct rb_avro_type;

enum rb_field_kind {
    RB_FIELD_TEXT,         /* char *, owned by the struct */
    RB_FIELD_TEXT_OR_NULL, /* char *, NULL for null */
    RB_FIELD_LONG,         /* int64_t; int or long in the schema */
    RB_FIELD_LONG_OR_NULL, /* int64_t, RB_NO_LONG for null */
    RB_FIELD_BOOL,         /* bool */
};

#define RB_NO_LONG INT64_MIN

struct rb_field {
    const char *name; /* in the schema and in the struct */
    enum rb_field_kind kind;
    size_t offset;
};

/*
 * Read a schema.
 *
 * Takes:  json, the schema's text.
 * Gives:  ret_type, owned by the caller; rb_avro_type_free it.
 * Fails:  UNKNOWN_SCHEMA when it is none, or one that avro_shape.h does not accept.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_avro_type_new(const char *json, size_t bytes, struct rb_avro_type **ret_type,
                                   struct rb_error *err);

/*
 * Free a type. NULL is fine.
 *
 * Loop:   pure, any thread.
 */
void rb_avro_type_free(struct rb_avro_type *type);

/*
 * The type's CRC-64-AVRO fingerprint.
 *
 * Loop:   pure, any thread.
 */
uint64_t rb_avro_type_fingerprint(const struct rb_avro_type *type);

/*
 * The type's full name, for example "reelbus.VideoStored".
 *
 * Gives:  borrowed from the type.
 * Loop:   pure, any thread.
 */
const char *rb_avro_type_name(const struct rb_avro_type *type);

/*
 * Encode a struct as Avro binary. The table and the schema must agree in every field; they are compiled together.
 *
 * Takes:  values, the struct that the offsets of fields are about.
 * Gives:  the bytes, added to buffer.
 * Fails:  BAD_EVENT when a required text is missing.
 * Loop:   any thread, but one at a time for a type.
 */
RB_MUST_CHECK int rb_avro_encode(const struct rb_avro_type *type, const struct rb_field *fields, size_t count,
                                 const void *values, struct rb_buffer *buffer, struct rb_error *err);

/*
 * Decode Avro binary that was written with this type, which may be another version than ours: fields are found by name,
 * those that we do not know are passed over, those that are missing stay as an empty struct has them.
 *
 * Gives:  values, filled; rb_avro_clear it.
 * Fails:  BAD_EVENT when the bytes do not have the type's shape, or a field has another kind than ours, or a required
 *         one is missing; values is cleared then.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_avro_decode(const struct rb_avro_type *type, const uint8_t *bytes, size_t byte_count,
                                 const struct rb_field *fields, size_t count, void *values, struct rb_error *err);

/*
 * Make a struct empty: no text, RB_NO_LONG where null is allowed.
 *
 * Loop:   pure, any thread.
 */
void rb_avro_init(const struct rb_field *fields, size_t count, void *values);

/*
 * Free a struct's text and make it empty.
 *
 * Loop:   pure, any thread.
 */
void rb_avro_clear(const struct rb_field *fields, size_t count, void *values);

RB_DEFINE_AUTO(rb_avro_type);
