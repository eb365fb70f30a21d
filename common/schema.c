/*
 * schema.c — Parsing Canonical Form and CRC-64-AVRO.
 *
 * Way:  common
 */
#include "common/schema.h"

#include "common/json.h"

#define EMPTY_FINGERPRINT UINT64_C(0xc15d213aa4d7a795)
#define MAX_DEPTH         64

static const char *const primitives[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};

static int write_schema(struct rb_buffer *out, const json_t *schema, const char *space, unsigned depth,
                        struct rb_error *err);

static int fail(struct rb_error *err, const char *what)
{
    return rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "not an Avro schema: %s", what);
}

static bool is_primitive(const char *name)
{
    for (size_t i = 0; i < RB_COUNT(primitives); i++)
        if (strcmp(primitives[i], name) == 0)
            return true;
    return false;
}

/* A JSON string as short as JSON allows: the form keeps UTF-8 and escapes only what must be. */
static void write_text(struct rb_buffer *out, const char *text)
{
    RB_AUTO_JSON *value = json_string(text);
    RB_AUTO_TEXT *quoted = json_dumps(value, JSON_ENCODE_ANY);

    rb_buffer_print(out, "%s", quoted != NULL ? quoted : "\"\"");
}

/* [FULLNAMES]: a name without dots gets the enclosing namespace. Primitives have none. */
static void write_name(struct rb_buffer *out, const char *name, const char *space)
{
    if (strchr(name, '.') != NULL || space == NULL || *space == '\0' || is_primitive(name)) {
        write_text(out, name);
    } else {
        RB_AUTO_TEXT *full = rb_xprintf("%s.%s", space, name);

        write_text(out, full);
    }
}

static int write_field(struct rb_buffer *out, const json_t *field, const char *space, unsigned depth,
                       struct rb_error *err)
{
    const char *name = rb_json_text(field, "name");

    if (name == NULL)
        return fail(err, "a field without a name");
    rb_buffer_print(out, "{\"name\":");
    write_text(out, name);
    rb_buffer_print(out, ",\"type\":");
    RB_TRY(write_schema(out, json_object_get(field, "type"), space, depth, err));
    rb_buffer_print(out, "}");
    return 0;
}

static int write_fields(struct rb_buffer *out, const json_t *fields, const char *space, unsigned depth,
                        struct rb_error *err)
{
    size_t index;
    json_t *field;

    if (!json_is_array(fields))
        return fail(err, "a record without fields");
    rb_buffer_print(out, ",\"fields\":[");
    json_array_foreach((json_t *)(uintptr_t)fields, index, field)
    {
        if (index > 0)
            rb_buffer_print(out, ",");
        RB_TRY(write_field(out, field, space, depth, err));
    }
    rb_buffer_print(out, "]");
    return 0;
}

static int write_symbols(struct rb_buffer *out, const json_t *symbols, struct rb_error *err)
{
    size_t index;
    json_t *symbol;

    if (!json_is_array(symbols))
        return fail(err, "an enum without symbols");
    rb_buffer_print(out, ",\"symbols\":[");
    json_array_foreach((json_t *)(uintptr_t)symbols, index, symbol)
    {
        if (!json_is_string(symbol))
            return fail(err, "a symbol that is no text");
        if (index > 0)
            rb_buffer_print(out, ",");
        write_text(out, json_string_value(symbol));
    }
    rb_buffer_print(out, "]");
    return 0;
}

/* Records, enums and fixeds: [ORDER] is name, type, fields, symbols, items, values, size. */
static int write_named(struct rb_buffer *out, const json_t *schema, const char *type, const char *space, unsigned depth,
                       struct rb_error *err)
{
    const char *name = rb_json_text(schema, "name");
    const char *own = rb_json_text(schema, "namespace");
    const json_t *size = json_object_get(schema, "size");

    if (name == NULL)
        return fail(err, "a named type without a name");
    if (own != NULL)
        space = own;

    const char *dot = strrchr(name, '.');
    RB_AUTO_TEXT *from_name = dot != NULL ? rb_xstrndup(name, (size_t)(dot - name)) : NULL;

    rb_buffer_print(out, "{\"name\":");
    write_name(out, name, space);
    rb_buffer_print(out, ",\"type\":\"%s\"", type);
    if (strcmp(type, "fixed") == 0) {
        if (!json_is_integer(size))
            return fail(err, "a fixed without a size");
        rb_buffer_print(out, ",\"size\":%lld", (long long)json_integer_value(size));
    } else if (strcmp(type, "enum") == 0) {
        RB_TRY(write_symbols(out, json_object_get(schema, "symbols"), err));
    } else {
        RB_TRY(write_fields(out, json_object_get(schema, "fields"), from_name != NULL ? from_name : space, depth, err));
    }
    rb_buffer_print(out, "}");
    return 0;
}

static int write_container(struct rb_buffer *out, const json_t *schema, const char *type, const char *member,
                           const char *space, unsigned depth, struct rb_error *err)
{
    rb_buffer_print(out, "{\"type\":\"%s\",\"%s\":", type, member);
    RB_TRY(write_schema(out, json_object_get(schema, member), space, depth, err));
    rb_buffer_print(out, "}");
    return 0;
}

static int write_object(struct rb_buffer *out, const json_t *schema, const char *space, unsigned depth,
                        struct rb_error *err)
{
    const json_t *type = json_object_get(schema, "type");
    const char *name = json_string_value(type);

    if (name == NULL) /* {"type": {...}}: what is inside is the schema */
        return write_schema(out, type, space, depth, err);
    if (strcmp(name, "record") == 0 || strcmp(name, "error") == 0 || strcmp(name, "enum") == 0 ||
        strcmp(name, "fixed") == 0)
        return write_named(out, schema, name, space, depth, err);
    if (strcmp(name, "array") == 0)
        return write_container(out, schema, "array", "items", space, depth, err);
    if (strcmp(name, "map") == 0)
        return write_container(out, schema, "map", "values", space, depth, err);
    write_name(out, name, space); /* [PRIMITIVES], and logical types lose their logic */
    return 0;
}

static int write_union(struct rb_buffer *out, const json_t *schema, const char *space, unsigned depth,
                       struct rb_error *err)
{
    size_t index;
    json_t *branch;

    rb_buffer_print(out, "[");
    json_array_foreach((json_t *)(uintptr_t)schema, index, branch)
    {
        if (index > 0)
            rb_buffer_print(out, ",");
        RB_TRY(write_schema(out, branch, space, depth, err));
    }
    rb_buffer_print(out, "]");
    return 0;
}

static int write_schema(struct rb_buffer *out, const json_t *schema, const char *space, unsigned depth,
                        struct rb_error *err)
{
    if (depth > MAX_DEPTH)
        return fail(err, "nested too deep");
    switch (schema != NULL ? json_typeof(schema) : JSON_NULL) {
    case JSON_STRING:
        write_name(out, json_string_value(schema), space);
        return 0;
    case JSON_OBJECT:
        return write_object(out, schema, space, depth + 1, err);
    case JSON_ARRAY:
        return write_union(out, schema, space, depth + 1, err);
    default:
        return fail(err, "a type that is neither a name, an object nor a list");
    }
}

int rb_schema_canonical(const char *json, size_t bytes, char **ret_form, struct rb_error *err)
{
    json_error_t trouble;
    RB_AUTO_JSON *schema = json_loadb(json, bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &trouble);
    RB_AUTO_BUFFER out = {0};

    if (schema == NULL)
        return fail(err, trouble.text);
    RB_TRY(write_schema(&out, schema, NULL, 0, err));
    *ret_form = rb_buffer_steal(&out);
    return 0;
}

uint64_t rb_schema_fingerprint(const char *bytes, size_t count)
{
    uint64_t fingerprint = EMPTY_FINGERPRINT;

    for (size_t i = 0; i < count; i++) {
        uint64_t step = (fingerprint ^ (uint8_t)bytes[i]) & 0xff;

        for (unsigned bit = 0; bit < 8; bit++)
            step = step >> 1 ^ (EMPTY_FINGERPRINT & -(step & 1));
        fingerprint = fingerprint >> 8 ^ step;
    }
    return fingerprint;
}
