#include "tests/unit/unit.h"

#include "common/avro_shape.h"
#include "common/events.h"

static struct rb_avro_type *type_of(const char *json)
{
    struct rb_avro_type *type = NULL;

    assert_works(rb_avro_type_new(json, strlen(json), &type, &err));
    return type;
}

static struct rb_video_webhook_received sample(void)
{
    static char text[][32] = {"e", "v", "completed", "https://example.com/\xc3\xa9", "plain"};

    return (struct rb_video_webhook_received){
        .event_id = text[0],
        .video_id = text[1],
        .status = text[2],
        .video_url = text[3],
        .scheme = text[4],
        .expires_at = RB_NO_LONG,
        .checked = true,
        .received_at = INT64_C(1795372200123),
    };
}

static void every_struct_agrees_with_its_schema(void **state)
{
    (void)state;
    for (size_t event = 0; event < RB_EVENT_COUNT; event++) {
        const struct rb_event_info *info = rb_event_info(event);
        RB_AUTO(rb_avro_type) *type = type_of(info->schema);
        RB_AUTO_TEXT *values = rb_xalloc(info->struct_bytes);
        RB_AUTO_TEXT *again = rb_xalloc(info->struct_bytes);
        RB_AUTO_BUFFER bytes = {0};

        rb_event_init(event, values);
        for (size_t i = 0; i < info->field_count; i++)
            if (info->fields[i].kind == RB_FIELD_TEXT)
                *(char **)(values + info->fields[i].offset) = rb_xstrdup(info->fields[i].name);
        assert_works(rb_avro_encode(type, info->fields, info->field_count, values, &bytes, &err));
        assert_works(rb_avro_decode(type, (const uint8_t *)bytes.bytes, bytes.used, info->fields, info->field_count,
                                    again, &err));
        for (size_t i = 0; i < info->field_count; i++)
            if (info->fields[i].kind == RB_FIELD_TEXT)
                assert_string_equal(*(char **)(again + info->fields[i].offset), info->fields[i].name);
        rb_event_clear(event, values);
        rb_event_clear(event, again);
    }
}

static void a_record_does_not_remember_the_one_before(void **state)
{
    const struct rb_event_info *info = rb_event_info(RB_EVENT_VIDEO_WEBHOOK_RECEIVED);
    RB_AUTO(rb_avro_type) *used = type_of(info->schema);
    RB_AUTO(rb_avro_type) *fresh = type_of(info->schema);
    struct rb_video_webhook_received full = sample(), empty;
    RB_AUTO_BUFFER of_used = {0}, of_fresh = {0}, of_full = {0}, of_full_again = {0};

    (void)state;
    rb_event_init(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &empty);
    full.user_id = full.webhook_id = full.status;
    full.expires_at = 1;
    empty.event_id = empty.video_id = empty.status = empty.scheme = (char *)(uintptr_t) "";
    assert_works(rb_avro_encode(used, info->fields, info->field_count, &full, &of_full, &err));
    assert_works(rb_avro_encode(used, info->fields, info->field_count, &empty, &of_used, &err));
    assert_works(rb_avro_encode(fresh, info->fields, info->field_count, &empty, &of_fresh, &err));
    assert_works(rb_avro_encode(used, info->fields, info->field_count, &full, &of_full_again, &err));
    assert_int_equal(of_used.used, of_fresh.used);
    assert_memory_equal(of_used.bytes, of_fresh.bytes, of_fresh.used);
    assert_int_equal(of_full.used, of_full_again.used);
    assert_memory_equal(of_full.bytes, of_full_again.bytes, of_full.used);
}

static void a_record_comes_back_as_it_went(void **state)
{
    const struct rb_event_info *info = rb_event_info(RB_EVENT_VIDEO_WEBHOOK_RECEIVED);
    RB_AUTO(rb_avro_type) *type = type_of(info->schema);
    struct rb_video_webhook_received before = sample(), after;
    RB_AUTO_BUFFER bytes = {0};

    (void)state;
    assert_works(rb_avro_encode(type, info->fields, info->field_count, &before, &bytes, &err));
    assert_works(
        rb_avro_decode(type, (const uint8_t *)bytes.bytes, bytes.used, info->fields, info->field_count, &after, &err));
    assert_string_equal(after.video_url, before.video_url);
    assert_null(after.user_id);
    assert_true(after.expires_at == RB_NO_LONG);
    assert_true(after.checked);
    assert_true(after.received_at == before.received_at);
    rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &after);
}

static void a_missing_required_text_is_refused(void **state)
{
    const struct rb_event_info *info = rb_event_info(RB_EVENT_VIDEO_WEBHOOK_RECEIVED);
    RB_AUTO(rb_avro_type) *type = type_of(info->schema);
    struct rb_video_webhook_received event = sample();
    RB_AUTO_BUFFER bytes = {0};

    (void)state;
    event.status = NULL;
    assert_fails(rb_avro_encode(type, info->fields, info->field_count, &event, &bytes, &err), BAD_EVENT);
}

struct small {
    char *name;
    char *note;
    int64_t size;
    int64_t more;
    bool flag;
};

static const struct rb_field small_fields[] = {
    {"name", RB_FIELD_TEXT, offsetof(struct small, name)},
    {"note", RB_FIELD_TEXT_OR_NULL, offsetof(struct small, note)},
    {"size", RB_FIELD_LONG, offsetof(struct small, size)},
    {"more", RB_FIELD_LONG_OR_NULL, offsetof(struct small, more)},
    {"flag", RB_FIELD_BOOL, offsetof(struct small, flag)},
};

static int decode_small(const char *schema, const char *bytes, size_t count, struct small *ret_small,
                        struct rb_error *err)
{
    RB_AUTO(rb_avro_type) *type = type_of(schema);

    return rb_avro_decode(type, (const uint8_t *)bytes, count, small_fields, RB_COUNT(small_fields), ret_small, err);
}

#define SMALL(fields) "{\"type\":\"record\",\"name\":\"S\",\"fields\":[" fields "]}"

static void another_version_is_read_by_the_names_of_its_fields(void **state)
{
    struct small small;

    (void)state;
    /* other order, a field that we do not know, an int where we have a long, some of ours missing */
    assert_works(decode_small(SMALL("{\"name\":\"new\",\"type\":\"double\"},{\"name\":\"size\",\"type\":\"int\"},"
                                    "{\"name\":\"name\",\"type\":\"string\"}"),
                              "\0\0\0\0\0\0\0\0\x54\x04hi", 12, &small, &err));
    assert_string_equal(small.name, "hi");
    assert_int_equal(small.size, 42);
    assert_null(small.note);
    assert_true(small.more == RB_NO_LONG);
    rb_avro_clear(small_fields, RB_COUNT(small_fields), &small);
}

static void an_enum_reads_as_text_and_null_may_stand_last(void **state)
{
    struct small small;

    (void)state;
    assert_works(
        decode_small(SMALL("{\"name\":\"name\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\",\"b\"]}},"
                           "{\"name\":\"more\",\"type\":[\"long\",\"null\"]},{\"name\":\"flag\",\"type\":\"boolean\"}"),
                     "\x02\x00\x54\x01", 4, &small, &err));
    assert_string_equal(small.name, "b");
    assert_int_equal(small.more, 42);
    assert_true(small.flag);
    rb_avro_clear(small_fields, RB_COUNT(small_fields), &small);
}

static void another_type_or_a_missing_required_field_is_refused(void **state)
{
    struct small small;

    (void)state;
    assert_fails(decode_small(SMALL("{\"name\":\"note\",\"type\":\"string\"}"), "\x02x", 2, &small, &err), BAD_EVENT);
    assert_fails(decode_small(SMALL("{\"name\":\"name\",\"type\":\"long\"}"), "\x02", 1, &small, &err), BAD_EVENT);
    assert_fails(decode_small(SMALL("{\"name\":\"name\",\"type\":[\"null\",\"string\"]}"), "\x00", 1, &small, &err),
                 BAD_EVENT);
}

static void schemas_that_could_hurt_are_refused(void **state)
{
    static const char *const wrong[] = {
        "\"string\"",
        SMALL("{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}"),
        SMALL("{\"name\":\"a\",\"type\":{\"type\":\"map\",\"values\":\"long\"}}"),
        SMALL("{\"name\":\"a\",\"type\":[\"null\",\"S\"]}"),
        "{\"type\":\"record\",\"name\":\"S\"}",
        "not json",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        struct rb_avro_type *type = NULL;

        assert_fails(rb_avro_type_new(wrong[i], strlen(wrong[i]), &type, &err), UNKNOWN_SCHEMA);
    }
}

/* Each of these made avro-c 1.11 allocate, loop or read what is not there. */
static void bytes_without_the_shape_never_reach_avro_c(void **state)
{
    static const struct {
        const char *schema;
        const char *bytes;
        size_t count;
    } rows[] = {
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "", 0},
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\x04x", 2},                /* shorter than it says */
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\x80\x80\x80\x80\x40", 5}, /* 8 GiB */
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\x01", 1},                 /* length -1 */
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\x02x.", 3},               /* more behind the end */
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\x02\xff", 2},             /* no UTF-8 */
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\x04x\0", 3},              /* NUL */
        {SMALL("{\"name\":\"name\",\"type\":\"string\"}"), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},
        {SMALL("{\"name\":\"name\",\"type\":[\"null\",\"string\"]}"), "\x04", 1},   /* branch 2 of 2 */
        {SMALL("{\"name\":\"name\",\"type\":[\"null\",\"string\"]}"), "\x01", 1},   /* branch -1 */
        {SMALL("{\"name\":\"size\",\"type\":\"int\"}"), "\x80\x80\x80\x80\x10", 5}, /* 2^31 */
        {SMALL("{\"name\":\"size\",\"type\":\"long\"}"), "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
        {SMALL("{\"name\":\"size\",\"type\":\"long\"}"), "\x80", 1},
        {SMALL("{\"name\":\"flag\",\"type\":\"boolean\"}"), "\x02", 1},
        {SMALL("{\"name\":\"x\",\"type\":\"double\"}"), "\0\0\0\0\0\0\0", 7},
        {SMALL("{\"name\":\"x\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\"]}}"), "\x02", 1},
        {SMALL("{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}}"), "abc", 3},
    };
    struct small small;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        assert_fails(decode_small(rows[i].schema, rows[i].bytes, rows[i].count, &small, &err), BAD_EVENT);
}

static void a_record_over_the_limit_is_refused(void **state)
{
    static char large[RB_AVRO_MAX_BYTES + 1];
    struct small small;

    (void)state;
    assert_fails(decode_small(SMALL("{\"name\":\"name\",\"type\":\"string\"}"), large, sizeof(large), &small, &err),
                 BAD_EVENT);
}

/* Whatever bit flips, the answer is a record or an error. */
static void no_mutation_of_a_record_does_harm(void **state)
{
    const struct rb_event_info *info = rb_event_info(RB_EVENT_VIDEO_WEBHOOK_RECEIVED);
    RB_AUTO(rb_avro_type) *type = type_of(info->schema);
    struct rb_video_webhook_received before = sample(), after;
    RB_AUTO_BUFFER bytes = {0};
    struct rb_error trouble = {0};

    (void)state;
    assert_works(rb_avro_encode(type, info->fields, info->field_count, &before, &bytes, &err));
    for (size_t bit = 0; bit < bytes.used * 8; bit++) {
        bytes.bytes[bit / 8] = (char)(bytes.bytes[bit / 8] ^ 1 << bit % 8);
        for (size_t length = 0; length <= bytes.used; length += bytes.used / 3)
            if (rb_avro_decode(type, (const uint8_t *)bytes.bytes, length, info->fields, info->field_count, &after,
                               &trouble) == 0)
                rb_event_clear(RB_EVENT_VIDEO_WEBHOOK_RECEIVED, &after);
        bytes.bytes[bit / 8] = (char)(bytes.bytes[bit / 8] ^ 1 << bit % 8);
    }
}

UNIT_MAIN(T(every_struct_agrees_with_its_schema), T(a_record_does_not_remember_the_one_before),
          T(a_record_comes_back_as_it_went), T(a_missing_required_text_is_refused),
          T(another_version_is_read_by_the_names_of_its_fields), T(an_enum_reads_as_text_and_null_may_stand_last),
          T(another_type_or_a_missing_required_field_is_refused), T(schemas_that_could_hurt_are_refused),
          T(bytes_without_the_shape_never_reach_avro_c), T(a_record_over_the_limit_is_refused),
          T(no_mutation_of_a_record_does_harm))
