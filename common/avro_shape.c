/*
 * avro_shape.c — do these bytes have the shape of this schema?
 *
 * Way:  common
 */
#include "common/avro_shape.h"

#include <jansson.h>

#define MAX_DEPTH 8

static int accept_type(avro_schema_t schema, unsigned depth, struct rb_error *err)
{
    if (depth > MAX_DEPTH)
        return rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "the schema is nested more than %d deep", MAX_DEPTH);
    switch (avro_typeof(schema)) {
    case AVRO_RECORD:
        for (size_t i = 0; i < avro_schema_record_size(schema); i++)
            RB_TRY(accept_type(avro_schema_record_field_get_by_index(schema, (int)i), depth + 1, err));
        return 0;
    case AVRO_UNION:
        for (size_t i = 0; i < avro_schema_union_size(schema); i++)
            RB_TRY(accept_type(avro_schema_union_branch(schema, (int)i), depth + 1, err));
        return 0;
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_LINK:
        return rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "the schema has an array, a map or a named type used twice: '%s'",
                       avro_schema_type_name(schema));
    default:
        return 0;
    }
}

int rb_avro_shape_accept(avro_schema_t schema, struct rb_error *err)
{
    if (!is_avro_record(schema))
        return rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "the schema is no record");
    return accept_type(schema, 0, err);
}

struct walk {
    const uint8_t *at;
    const uint8_t *end;
    const char *field; /* for messages */
    struct rb_error *err;
};

static int refuse(struct walk *walk, const char *what)
{
    return rb_fail(walk->err, RB_E_BAD_EVENT, 0, "field '%s' of the record: %s", walk->field, what);
}

/* Zigzag variable-length integer, at most 10 bytes. */
static int walk_number(struct walk *walk, int64_t *ret_number)
{
    uint64_t bits = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (walk->at == walk->end)
            return refuse(walk, "the bytes end in a number");

        uint8_t byte = *walk->at++;

        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_number = (int64_t)(bits >> 1 ^ -(bits & 1));
            return 0;
        }
    }
    return refuse(walk, "a number of more than 64 bits");
}

static int walk_skip(struct walk *walk, int64_t count)
{
    if (count < 0 || count > walk->end - walk->at)
        return refuse(walk, "the bytes end before the value does");
    walk->at += count;
    return 0;
}

static int walk_bytes(struct walk *walk, bool text)
{
    int64_t length;

    RB_TRY(walk_number(walk, &length));
    if (length < 0 || length > RB_AVRO_MAX_TEXT_BYTES)
        return refuse(walk, "a length below zero or above the limit");

    const char *bytes = (const char *)walk->at;

    RB_TRY(walk_skip(walk, length));
    if (text && memchr(bytes, '\0', (size_t)length) != NULL)
        return refuse(walk, "text with a NUL");
    if (text) {
        json_t *value = json_stringn(bytes, (size_t)length); /* NULL when it is no UTF-8 */

        if (value == NULL)
            return refuse(walk, "text that is no UTF-8");
        json_decref(value);
    }
    return 0;
}

static int walk_index(struct walk *walk, size_t count, int64_t *ret_index)
{
    RB_TRY(walk_number(walk, ret_index));
    if (*ret_index < 0 || (uint64_t)*ret_index >= count)
        return refuse(walk, "a branch or symbol that the schema does not have");
    return 0;
}

static int walk_int(struct walk *walk)
{
    int64_t number;

    RB_TRY(walk_number(walk, &number));
    return number < INT32_MIN || number > INT32_MAX ? refuse(walk, "an int of more than 32 bits") : 0;
}

static int walk_bool(struct walk *walk)
{
    if (walk->at != walk->end && *walk->at > 1)
        return refuse(walk, "a boolean that is neither 0 nor 1");
    return walk_skip(walk, 1);
}

static int walk_value(struct walk *walk, avro_schema_t schema);

static int walk_record(struct walk *walk, avro_schema_t schema)
{
    for (size_t i = 0; i < avro_schema_record_size(schema); i++) {
        walk->field = avro_schema_record_field_name(schema, (int)i);
        RB_TRY(walk_value(walk, avro_schema_record_field_get_by_index(schema, (int)i)));
    }
    return 0;
}

/* The depth of the recursion is that of the schema, which rb_avro_shape_accept has bounded. */
static int walk_value(struct walk *walk, avro_schema_t schema)
{
    int64_t number;

    switch (avro_typeof(schema)) {
    case AVRO_NULL:
        return 0;
    case AVRO_BOOLEAN:
        return walk_bool(walk);
    case AVRO_INT32:
        return walk_int(walk);
    case AVRO_INT64:
        return walk_number(walk, &number);
    case AVRO_FLOAT:
        return walk_skip(walk, 4);
    case AVRO_DOUBLE:
        return walk_skip(walk, 8);
    case AVRO_BYTES:
        return walk_bytes(walk, false);
    case AVRO_STRING:
        return walk_bytes(walk, true);
    case AVRO_FIXED:
        return walk_skip(walk, avro_schema_fixed_size(schema));
    case AVRO_ENUM:
        return walk_index(walk, (size_t)avro_schema_enum_number_of_symbols(schema), &number);
    case AVRO_UNION:
        RB_TRY(walk_index(walk, avro_schema_union_size(schema), &number));
        return walk_value(walk, avro_schema_union_branch(schema, (int)number));
    case AVRO_RECORD:
        return walk_record(walk, schema);
    default:
        return refuse(walk, "a type that we do not read");
    }
}

int rb_avro_shape_check(avro_schema_t schema, const uint8_t *bytes, size_t count, struct rb_error *err)
{
    struct walk walk = {.at = bytes, .end = bytes + count, .field = "", .err = err};

    if (count > RB_AVRO_MAX_BYTES)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "the record has %zu bytes, more than %d", count, RB_AVRO_MAX_BYTES);
    RB_TRY(walk_value(&walk, schema));
    if (walk.at != walk.end)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "%zu bytes follow the end of the record", (size_t)(walk.end - walk.at));
    return 0;
}
