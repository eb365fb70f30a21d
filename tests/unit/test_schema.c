#include "tests/unit/unit.h"

#include "common/events.h"
#include "common/schema.h"
#include "common/wire.h"

static void assert_canonical(const char *json, const char *form)
{
    RB_AUTO_TEXT *got = NULL;

    assert_works(rb_schema_canonical(json, strlen(json), &got, &err));
    assert_string_equal(got, form);
}

/* Avro's own vectors: share/test/data/schema-tests.txt. */
static void fingerprints_of_primitives_are_those_of_the_specification(void **state)
{
    static const struct {
        const char *form;
        uint64_t fingerprint;
    } rows[] = {
        {"\"null\"", UINT64_C(0x63dd24e7cc258f8a)},   {"\"int\"", UINT64_C(0x7275d51a3f395c8f)},
        {"\"long\"", UINT64_C(0xd054e14493f41db7)},   {"\"boolean\"", UINT64_C(0x9f42fc78a4d4f764)},
        {"\"string\"", UINT64_C(0x8f014872634503c7)},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_true(rb_schema_fingerprint(rows[i].form, strlen(rows[i].form)) == rows[i].fingerprint);
}

static void primitives_lose_their_objects(void **state)
{
    (void)state;
    assert_canonical("\"int\"", "\"int\"");
    assert_canonical(" { \"type\" : \"int\" , \"logicalType\": \"date\", \"doc\": \"x\" } ", "\"int\"");
    assert_canonical("{\"type\": {\"type\": \"string\"}}", "\"string\"");
    assert_canonical("[\"null\", {\"type\": \"long\"}]", "[\"null\",\"long\"]");
}

static void records_keep_what_matters_in_the_order_of_the_specification(void **state)
{
    (void)state;
    assert_canonical("{\"fields\":[{\"type\":\"int\",\"name\":\"a\",\"default\":1,\"doc\":\"d\",\"aliases\":[\"b\"]},"
                     "{\"name\":\"c\",\"type\":\"Other\",\"order\":\"ignore\"}],"
                     "\"doc\":\"d\",\"namespace\":\"x.y\",\"name\":\"R\",\"type\":\"record\"}",
                     "{\"name\":\"x.y.R\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
                     "{\"name\":\"c\",\"type\":\"x.y.Other\"}]}");
}

static void a_full_name_sets_the_namespace_of_what_is_inside(void **state)
{
    (void)state;
    assert_canonical(
        "{\"type\":\"record\",\"name\":\"a.b.R\",\"namespace\":\"ignored\",\"fields\":[{\"name\":\"f\",\"type\":"
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}}]}",
        "{\"name\":\"a.b.R\",\"type\":\"record\",\"fields\":[{\"name\":\"f\",\"type\":"
        "{\"name\":\"a.b.E\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}}]}");
}

static void containers_and_fixeds_are_written(void **state)
{
    (void)state;
    assert_canonical("{\"items\":\"bytes\",\"type\":\"array\"}", "{\"type\":\"array\",\"items\":\"bytes\"}");
    assert_canonical("{\"values\":{\"type\":\"float\"},\"type\":\"map\"}", "{\"type\":\"map\",\"values\":\"float\"}");
    assert_canonical("{\"size\":16,\"type\":\"fixed\",\"name\":\"F\"}",
                     "{\"name\":\"F\",\"type\":\"fixed\",\"size\":16}");
}

static void escapes_become_characters(void **state)
{
    (void)state;
    assert_canonical("{\"type\":\"enum\",\"name\":\"\\u0045\",\"symbols\":[\"\\u00e9\"]}",
                     "{\"name\":\"E\",\"type\":\"enum\",\"symbols\":[\"\xc3\xa9\"]}");
}

static void what_is_no_schema_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "1",
        "null",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"record\"}",
        "{\"type\":\"record\",\"name\":\"R\"}",
        "{\"type\":\"enum\",\"name\":\"E\"}",
        "{\"type\":\"fixed\",\"name\":\"F\"}",
        "{\"type\":\"array\"}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"type\":\"int\"}]}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[1]}",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        char *form = NULL;

        assert_fails(rb_schema_canonical(wrong[i], strlen(wrong[i]), &form, &err), UNKNOWN_SCHEMA);
    }
}

static void nesting_is_bounded(void **state)
{
    RB_AUTO_BUFFER json = {0};
    char *form = NULL;

    (void)state;
    for (int i = 0; i < 1000; i++)
        rb_buffer_print(&json, "[");
    for (int i = 0; i < 1000; i++)
        rb_buffer_print(&json, "]");
    assert_fails(rb_schema_canonical(json.bytes, json.used, &form, &err), UNKNOWN_SCHEMA);
}

static void the_prefixes_of_both_formats_are_read_back(void **state)
{
    RB_AUTO_BUFFER id = {0}, fingerprint = {0};
    struct rb_wire wire;

    (void)state;
    rb_wire_put_id(&id, 0x01020304);
    assert_memory_equal(id.bytes, "\x00\x01\x02\x03\x04", 5);
    rb_buffer_add(&id, "data", 4);
    assert_works(rb_wire_parse((const uint8_t *)id.bytes, id.used, NULL, 0, &wire, &err));
    assert_int_equal(wire.kind, RB_WIRE_ID);
    assert_int_equal(wire.id, 0x01020304);
    assert_int_equal(wire.data_bytes, 4);

    rb_wire_put_fingerprint(&fingerprint, UINT64_C(0x7275d51a3f395c8f));
    assert_memory_equal(fingerprint.bytes, "\xc3\x01\x8f\x5c\x39\x3f\x1a\xd5\x75\x72", 10); /* the vector for "int" */
    assert_works(rb_wire_parse((const uint8_t *)fingerprint.bytes, fingerprint.used, NULL, 0, &wire, &err));
    assert_int_equal(wire.kind, RB_WIRE_FINGERPRINT);
    assert_true(wire.fingerprint == UINT64_C(0x7275d51a3f395c8f));
    assert_int_equal(wire.data_bytes, 0);
}

static void the_header_form_goes_before_the_prefix(void **state)
{
    static const uint8_t guid[] = "\x01\x89\x79\x17\x62\x23\x36\x41\x86\x96\x74\x29\x9b\x90\xa8\x02\xe2";
    static const uint8_t id[] = "\x00\x00\x00\x00\x01";
    static const uint8_t value[] = "\x00\x00\x00\x00\x07rest";
    struct rb_wire wire;

    (void)state;
    assert_works(rb_wire_parse(value, 9, guid, 17, &wire, &err));
    assert_int_equal(wire.kind, RB_WIRE_GUID);
    assert_memory_equal(wire.guid, guid + 1, 16);
    assert_int_equal(wire.data_bytes, 9);
    assert_works(rb_wire_parse(value, 9, id, 5, &wire, &err));
    assert_int_equal(wire.kind, RB_WIRE_ID);
    assert_int_equal(wire.id, 1);
    assert_int_equal(wire.data_bytes, 9);
    assert_works(rb_wire_parse(value, 9, (const uint8_t *)"?", 1, &wire, &err)); /* not understood: the prefix counts */
    assert_int_equal(wire.id, 7);
    assert_int_equal(wire.data_bytes, 4);
}

static void a_value_in_no_format_is_refused(void **state)
{
    struct rb_wire wire;

    (void)state;
    assert_fails(rb_wire_parse(NULL, 0, NULL, 0, &wire, &err), BAD_EVENT);
    assert_fails(rb_wire_parse((const uint8_t *)"", 0, NULL, 0, &wire, &err), BAD_EVENT);
    assert_fails(rb_wire_parse((const uint8_t *)"{\"a\":1}", 7, NULL, 0, &wire, &err), BAD_EVENT);
    assert_fails(rb_wire_parse((const uint8_t *)"\x00\x00\x00\x01", 4, NULL, 0, &wire, &err), BAD_EVENT);
    assert_fails(rb_wire_parse((const uint8_t *)"\xc3\x01\x00\x00\x00\x00\x00\x00\x00", 9, NULL, 0, &wire, &err),
                 BAD_EVENT);
    assert_fails(rb_wire_parse((const uint8_t *)"\xc3\x02\x00\x00\x00\x00\x00\x00\x00\x00", 10, NULL, 0, &wire, &err),
                 BAD_EVENT);
}

UNIT_MAIN(T(fingerprints_of_primitives_are_those_of_the_specification), T(primitives_lose_their_objects),
          T(records_keep_what_matters_in_the_order_of_the_specification),
          T(a_full_name_sets_the_namespace_of_what_is_inside), T(containers_and_fixeds_are_written),
          T(escapes_become_characters), T(what_is_no_schema_is_refused), T(nesting_is_bounded),
          T(the_prefixes_of_both_formats_are_read_back), T(the_header_form_goes_before_the_prefix),
          T(a_value_in_no_format_is_refused))
