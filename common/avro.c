/*
 * avro.c — structs to Avro records and back.
 *
 * Way:  common
 */
#include "common/avro.h"

#include "common/avro_shape.h"
#include "common/schema.h"

struct rb_avro_type {
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t record; /* what is encoded goes through this one: making a record costs more than filling it */
    char *name;
    uint64_t fingerprint;
};

int rb_avro_type_new(const char *json, size_t bytes, struct rb_avro_type **ret_type, struct rb_error *err)
{
    RB_AUTO(rb_avro_type) *type = rb_xalloc(sizeof(*type));
    RB_AUTO_TEXT *form = NULL;

    RB_TRY(rb_schema_canonical(json, bytes, &form, err));
    if (avro_schema_from_json_length(json, bytes, &type->schema) != 0) {
        type->schema = NULL;
        return rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "avro-c cannot read the schema: %.150s", avro_strerror());
    }
    RB_TRY(rb_avro_shape_accept(type->schema, err));
    type->fingerprint = rb_schema_fingerprint(form, strlen(form));
    type->class = avro_generic_class_from_schema(type->schema);
    if (avro_generic_value_new(type->class, &type->record) != 0)
        RB_BUG("avro-c cannot make a value of a schema that it has taken");

    const char *space = avro_schema_namespace(type->schema);

    type->name =
        rb_xprintf("%s%s%s", space != NULL ? space : "", space != NULL ? "." : "", avro_schema_name(type->schema));
    *ret_type = RB_STEAL(type);
    return 0;
}

void rb_avro_type_free(struct rb_avro_type *type)
{
    if (type == NULL)
        return;
    if (type->class != NULL) {
        avro_value_decref(&type->record);
        avro_value_iface_decref(type->class);
    }
    if (type->schema != NULL)
        avro_schema_decref(type->schema);
    free(type->name);
    free(type);
}

uint64_t rb_avro_type_fingerprint(const struct rb_avro_type *type)
{
    return type->fingerprint;
}

const char *rb_avro_type_name(const struct rb_avro_type *type)
{
    return type->name;
}

/* Choose the branch of a union that is null or is not; a value that is no union is its own only branch. */
static int choose_branch(avro_value_t *value, bool null, avro_value_t *ret_branch)
{
    if (avro_value_get_type(value) != AVRO_UNION) {
        *ret_branch = *value;
        return null ? -1 : 0;
    }

    avro_schema_t schema = avro_value_get_schema(value);

    for (size_t i = 0; i < avro_schema_union_size(schema); i++)
        if (is_avro_null(avro_schema_union_branch(schema, (int)i)) == null)
            return avro_value_set_branch(value, (int)i, ret_branch) == 0 ? 0 : -1;
    return -1;
}

static int set_number(avro_value_t *value, int64_t number)
{
    if (avro_value_get_type(value) == AVRO_INT32)
        return avro_value_set_int(value, (int32_t)number);
    return avro_value_set_long(value, number);
}

static int encode_field(const struct rb_field *field, const void *values, avro_value_t *value)
{
    const void *member = (const char *)values + field->offset;
    avro_value_t branch;

    switch (field->kind) {
    case RB_FIELD_TEXT:
    case RB_FIELD_TEXT_OR_NULL: {
        const char *text = *(char *const *)member;

        RB_TRY(choose_branch(value, text == NULL, &branch));
        return text == NULL ? avro_value_set_null(&branch) : avro_value_set_string(&branch, text);
    }
    case RB_FIELD_LONG:
    case RB_FIELD_LONG_OR_NULL: {
        int64_t number = *(const int64_t *)member;

        RB_TRY(choose_branch(value, number == RB_NO_LONG, &branch));
        return number == RB_NO_LONG ? avro_value_set_null(&branch) : set_number(&branch, number);
    }
    case RB_FIELD_BOOL:
        return avro_value_set_boolean(value, *(const bool *)member);
    }
    RB_BUG("unknown kind of field");
}

/* The table has the fields in the schema's order; where it has not, they are looked for. */
static void find_field(avro_value_t *record, size_t place, const char *name, avro_value_t *ret_value)
{
    const char *found;

    if (avro_value_get_by_index(record, place, ret_value, &found) == 0 && strcmp(found, name) == 0)
        return;
    if (avro_value_get_by_name(record, name, ret_value, NULL) != 0)
        RB_BUG("a field that its schema does not have");
}

static int encode_fields(const struct rb_field *fields, size_t count, const void *values, avro_value_t *record,
                         struct rb_error *err)
{
    for (size_t i = 0; i < count; i++) {
        avro_value_t value;

        find_field(record, i, fields[i].name, &value);
        if (encode_field(&fields[i], values, &value) != 0)
            return rb_fail(err, RB_E_BAD_EVENT, 0, "field '%s' of the event has no value that its schema allows",
                           fields[i].name);
    }
    return 0;
}

static int write_record(avro_value_t *record, struct rb_buffer *buffer, struct rb_error *err)
{
    size_t bytes;

    if (avro_value_sizeof(record, &bytes) != 0 || bytes > RB_AVRO_MAX_BYTES)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "the event is over %d bytes", RB_AVRO_MAX_BYTES);

    avro_writer_t writer = avro_writer_memory(rb_buffer_room(buffer, bytes), (int64_t)bytes);
    int trouble = avro_value_write(writer, record);

    avro_writer_free(writer);
    if (trouble != 0)
        return rb_fail(err, RB_E_BAD_EVENT, trouble, "avro-c cannot write the event: %.150s", avro_strerror());
    rb_buffer_grew(buffer, bytes);
    return 0;
}

int rb_avro_encode(const struct rb_avro_type *type, const struct rb_field *fields, size_t count, const void *values,
                   struct rb_buffer *buffer, struct rb_error *err)
{
    avro_value_t record = type->record;

    RB_TRY(encode_fields(fields, count, values, &record, err));
    return write_record(&record, buffer, err);
}

static int get_number(avro_value_t *value, int64_t *ret_number)
{
    int32_t small;

    if (avro_value_get_type(value) != AVRO_INT32)
        return avro_value_get_long(value, ret_number);
    if (avro_value_get_int(value, &small) != 0)
        return -1;
    *ret_number = small;
    return 0;
}

static int get_text(avro_value_t *value, char **ret_text)
{
    const char *text = NULL;
    size_t bytes = 0;

    if (avro_value_get_type(value) == AVRO_ENUM) { /* a closed set in another version is text to us */
        int symbol;

        if (avro_value_get_enum(value, &symbol) != 0)
            return -1;
        text = avro_schema_enum_get(avro_value_get_schema(value), symbol);
    } else if (avro_value_get_string(value, &text, &bytes) != 0 || strlen(text) + 1 != bytes) {
        return -1; /* with a NUL in it, one text would be two: what we check, and what others read */
    }
    *ret_text = rb_xstrdup(text);
    return 0;
}

static int decode_field(const struct rb_field *field, avro_value_t *value, void *values)
{
    void *member = (char *)values + field->offset;
    bool nullable = field->kind == RB_FIELD_TEXT_OR_NULL || field->kind == RB_FIELD_LONG_OR_NULL;
    avro_value_t branch = *value;
    int flag;

    if (avro_value_get_type(value) == AVRO_UNION && avro_value_get_current_branch(value, &branch) != 0)
        return -1;
    if (avro_value_get_type(&branch) == AVRO_NULL)
        return nullable ? 0 : -1;
    switch (field->kind) {
    case RB_FIELD_TEXT:
    case RB_FIELD_TEXT_OR_NULL:
        return get_text(&branch, member);
    case RB_FIELD_LONG:
    case RB_FIELD_LONG_OR_NULL:
        return get_number(&branch, member);
    case RB_FIELD_BOOL:
        RB_TRY(avro_value_get_boolean(&branch, &flag) == 0 ? 0 : -1);
        *(bool *)member = flag != 0;
        return 0;
    }
    RB_BUG("unknown kind of field");
}

static int decode_fields(const struct rb_field *fields, size_t count, avro_value_t *record, void *values,
                         struct rb_error *err)
{
    for (size_t i = 0; i < count; i++) {
        avro_value_t value;
        bool missing = avro_value_get_by_name(record, fields[i].name, &value, NULL) != 0;

        if (missing && fields[i].kind == RB_FIELD_TEXT)
            return rb_fail(err, RB_E_BAD_EVENT, 0, "the record has no field '%s'", fields[i].name);
        if (!missing && decode_field(&fields[i], &value, values) != 0)
            return rb_fail(err, RB_E_BAD_EVENT, 0, "field '%s' of the record has another type than ours",
                           fields[i].name);
    }
    return 0;
}

int rb_avro_decode(const struct rb_avro_type *type, const uint8_t *bytes, size_t byte_count,
                   const struct rb_field *fields, size_t count, void *values, struct rb_error *err)
{
    avro_value_t record;

    rb_avro_init(fields, count, values);
    RB_TRY(rb_avro_shape_check(type->schema, bytes, byte_count, err));
    if (avro_generic_value_new(type->class, &record) != 0)
        RB_BUG("avro-c cannot make a value of a schema that it has taken");

    avro_reader_t reader = avro_reader_memory((const char *)bytes, (int64_t)byte_count);
    int result = avro_value_read(reader, &record) == 0
                     ? decode_fields(fields, count, &record, values, err)
                     : rb_fail(err, RB_E_BAD_EVENT, 0, "avro-c cannot read the record: %.150s", avro_strerror());

    avro_reader_free(reader);
    avro_value_decref(&record);
    if (result < 0)
        rb_avro_clear(fields, count, values);
    return result;
}

void rb_avro_init(const struct rb_field *fields, size_t count, void *values)
{
    for (size_t i = 0; i < count; i++) {
        void *member = (char *)values + fields[i].offset;

        switch (fields[i].kind) {
        case RB_FIELD_TEXT:
        case RB_FIELD_TEXT_OR_NULL:
            *(char **)member = NULL;
            break;
        case RB_FIELD_LONG:
            *(int64_t *)member = 0;
            break;
        case RB_FIELD_LONG_OR_NULL:
            *(int64_t *)member = RB_NO_LONG;
            break;
        case RB_FIELD_BOOL:
            *(bool *)member = false;
            break;
        }
    }
}

void rb_avro_clear(const struct rb_field *fields, size_t count, void *values)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].kind == RB_FIELD_TEXT || fields[i].kind == RB_FIELD_TEXT_OR_NULL)
            free(*(char **)((char *)values + fields[i].offset));
    rb_avro_init(fields, count, values);
}
