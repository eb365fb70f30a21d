/* The spool's bytes: whatever happens to them, what comes out is what went in, or nothing. */
#include "tests/unit/unit.h"

#include "producer/spool_format.h"

static const struct rb_spool_record sample = {
    .spooled_unix_ms = 1795372200123,
    .topic = "t1.video.webhook.received",
    .key = "7f3a0c4e-0000-4000-8000-000000000001",
    .key_bytes = 36,
    .value = "\xc3\x01RBr1\0value",
    .value_bytes = 12,
    .headers = {{"ce_id", "7", 1}, {"tracestate", "", 0}, {"nothing", NULL, 0}},
    .header_count = 3,
};

static const struct rb_spool_record bare = {.topic = "t"};

static void assert_same_bytes(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    assert_int_equal(a == NULL, b == NULL);
    assert_int_equal(a_bytes, b_bytes);
    if (a_bytes > 0)
        assert_memory_equal(a, b, a_bytes);
}

static bool is_same(const struct rb_spool_record *a, const struct rb_spool_record *b)
{
    return a->spooled_unix_ms == b->spooled_unix_ms && strcmp(a->topic, b->topic) == 0 &&
           a->value_bytes == b->value_bytes && (a->value_bytes == 0 || memcmp(a->value, b->value, a->value_bytes) == 0);
}

static void add(struct rb_buffer *buffer, const struct rb_spool_record *record)
{
    assert_works(rb_spool_format_add(buffer, record, &err));
}

static void a_record_comes_back_as_it_was(void **state)
{
    RB_AUTO_BUFFER bytes = {0};
    struct rb_spool_record record;
    size_t used, first;

    (void)state;
    add(&bytes, &sample);
    first = bytes.used;
    add(&bytes, &bare);
    assert_int_equal(rb_spool_format_parse((uint8_t *)bytes.bytes, bytes.used, false, &record, &used), RB_SPOOL_GOOD);
    assert_int_equal(used, first);
    assert_int_equal(record.spooled_unix_ms, sample.spooled_unix_ms);
    assert_string_equal(record.topic, sample.topic);
    assert_same_bytes(record.key, record.key_bytes, sample.key, sample.key_bytes);
    assert_same_bytes(record.value, record.value_bytes, sample.value, sample.value_bytes);
    assert_int_equal(record.header_count, sample.header_count);
    for (size_t i = 0; i < sample.header_count; i++) {
        assert_string_equal(record.headers[i].name, sample.headers[i].name);
        assert_same_bytes(record.headers[i].value, record.headers[i].value_bytes, sample.headers[i].value,
                          sample.headers[i].value_bytes);
    }
    assert_int_equal(rb_spool_format_parse((uint8_t *)bytes.bytes + first, bytes.used - first, true, &record, &used),
                     RB_SPOOL_GOOD);
    assert_int_equal(used, bytes.used - first);
    assert_null(record.key);
    assert_null(record.value);
    assert_int_equal(record.header_count, 0);
}

static void cut_anywhere_it_waits_for_more_or_is_damaged_when_no_more_will_come(void **state)
{
    RB_AUTO_BUFFER bytes = {0};
    struct rb_spool_record record;
    size_t used;

    (void)state;
    add(&bytes, &sample);
    for (size_t cut = 1; cut < bytes.used; cut++) {
        uint8_t *copy = rb_xalloc(cut); /* of just this size, so that a look beyond it is noticed */

        memcpy(copy, bytes.bytes, cut);
        assert_int_equal(rb_spool_format_parse(copy, cut, false, &record, &used), RB_SPOOL_SHORT);
        assert_true(used > cut && used <= bytes.used);
        assert_int_equal(rb_spool_format_parse(copy, cut, true, &record, &used), RB_SPOOL_DAMAGED);
        assert_true(used >= 1 && used <= cut);
        free(copy);
    }
}

/* Read all records of these bytes, as the spool does. */
static size_t read_all(const uint8_t *bytes, size_t count, const struct rb_spool_record *want)
{
    struct rb_spool_record record;
    size_t good = 0, used;

    for (size_t at = 0; at < count; at += used) {
        enum rb_spool_found found = rb_spool_format_parse(bytes + at, count - at, true, &record, &used);

        assert_true(found != RB_SPOOL_SHORT && used >= 1 && used <= count - at);
        if (found == RB_SPOOL_GOOD) {
            assert_true(is_same(&record, want));
            good++;
        }
    }
    return good;
}

static void each_flipped_bit_costs_one_record_and_no_other(void **state)
{
    RB_AUTO_BUFFER bytes = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        add(&bytes, &sample);

    size_t one = bytes.used / 3;

    for (size_t bit = one * 8; bit < 2 * one * 8; bit++) {
        bytes.bytes[bit / 8] = (char)(bytes.bytes[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(read_all((uint8_t *)bytes.bytes, bytes.used, &sample), 2);
        bytes.bytes[bit / 8] = (char)(bytes.bytes[bit / 8] ^ 1 << bit % 8);
    }
    assert_int_equal(read_all((uint8_t *)bytes.bytes, bytes.used, &sample), 3);
}

static void a_hole_of_zeros_hides_nothing_behind_it(void **state)
{
    RB_AUTO_BUFFER bytes = {0};
    uint8_t zeros[5000] = {0};

    (void)state;
    add(&bytes, &sample);
    rb_buffer_add(&bytes, zeros, sizeof(zeros));
    add(&bytes, &sample);
    rb_buffer_add(&bytes, zeros, sizeof(zeros));
    assert_int_equal(read_all((uint8_t *)bytes.bytes, bytes.used, &sample), 2);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* What is accepted has its checksum; what has not is at most skipped. */
static void no_bytes_do_harm(void **state)
{
    uint64_t seed = 0x5eed;
    uint8_t *bytes = rb_xalloc(4096);

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        RB_AUTO_BUFFER good = {0};
        size_t count = 1 + next_random(&seed) % 400;

        add(&good, &sample);
        for (size_t i = 0; i < count; i++)
            bytes[i] = i < good.used && round % 2 == 0 ? (uint8_t)good.bytes[i] : (uint8_t)next_random(&seed);
        for (unsigned hits = (unsigned)(next_random(&seed) % 4); hits > 0; hits--)
            bytes[next_random(&seed) % count] = (uint8_t)next_random(&seed);
        (void)read_all(bytes, count, &sample);
    }
    free(bytes);
}

static void a_record_that_is_too_large_is_refused(void **state)
{
    RB_AUTO_BUFFER bytes = {0};
    char *large = rb_xalloc(RB_SPOOL_RECORD_MAX_BYTES);
    struct rb_spool_record record = {.topic = "t", .value = large, .value_bytes = RB_SPOOL_RECORD_MAX_BYTES};
    size_t used;

    (void)state;
    assert_fails(rb_spool_format_add(&bytes, &record, &err), BAD_EVENT);
    assert_int_equal(bytes.used, 0);
    record.value_bytes -= 1000;
    add(&bytes, &record);
    assert_int_equal(rb_spool_format_parse((uint8_t *)bytes.bytes, bytes.used, true, &record, &used), RB_SPOOL_GOOD);
    free(large);
}

static void heads_are_known_by_their_magic_and_version(void **state)
{
    RB_AUTO_BUFFER head = {0};
    const uint8_t *bytes;

    (void)state;
    rb_spool_format_add_head(&head, 7);
    bytes = (const uint8_t *)head.bytes;
    assert_int_equal(head.used, RB_SPOOL_HEAD_BYTES);
    assert_works(rb_spool_format_check_head(bytes, head.used, &err));
    assert_fails(rb_spool_format_check_head(bytes, head.used - 1, &err), BAD_EVENT);
    head.bytes[8] = 2;
    assert_fails(rb_spool_format_check_head(bytes, head.used, &err), BAD_OPTION);
    head.bytes[0] = 'X';
    assert_fails(rb_spool_format_check_head(bytes, head.used, &err), BAD_EVENT);
}

static void a_position_comes_back_or_not_at_all(void **state)
{
    const struct rb_spool_position position = {.sequence = 9, .segment = 1u << 31, .offset = 4711};
    uint8_t bytes[RB_SPOOL_POSITION_BYTES];
    struct rb_spool_position again;

    (void)state;
    rb_spool_format_put_position(&position, bytes);
    assert_int_equal(rb_spool_format_get_position(bytes, &again), 0);
    assert_memory_equal(&again, &position, sizeof(position));
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(rb_spool_format_get_position(bytes, &again), -1);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1 << bit % 8);
    }
}

UNIT_MAIN(T(a_record_comes_back_as_it_was), T(cut_anywhere_it_waits_for_more_or_is_damaged_when_no_more_will_come),
          T(each_flipped_bit_costs_one_record_and_no_other), T(a_hole_of_zeros_hides_nothing_behind_it),
          T(no_bytes_do_harm), T(a_record_that_is_too_large_is_refused), T(heads_are_known_by_their_magic_and_version),
          T(a_position_comes_back_or_not_at_all))
