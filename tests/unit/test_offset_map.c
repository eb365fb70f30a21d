#include "tests/unit/unit.h"

#include "consumer/offset_map.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 50000
#else
#define ROUNDS 1000000
#endif

static uint64_t state_of_random = 88172645463325252u;

/* rand() is slow and small. */
static uint64_t draw(uint64_t below)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random % below;
}

static void assert_same(const struct rb_offset_map *map, const struct rb_offset_map *other)
{
    assert_int_equal(map->count, other->count);
    assert_memory_equal(map->runs, other->runs, map->count * sizeof(*map->runs));
}

static void fill(struct rb_offset_map *map, int64_t base, size_t runs, uint64_t longest)
{
    int64_t at = base;

    map->count = 0; /* keeps its memory */
    for (size_t i = 0; i < runs; i++) {
        int64_t from = at + (int64_t)draw(longest) + (i > 0);

        at = from + 1 + (int64_t)draw(longest);
        rb_offset_map_add(map, from, at);
    }
}

static void what_is_written_is_read_a_million_times(void **state)
{
    struct rb_offset_map map = {0}, read;
    char text[RB_OFFSET_MAP_TEXT_BYTES];
    unsigned bits = 0, runs = 0;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t base = (int64_t)draw(UINT64_C(1) << draw(60));
        uint64_t seed = draw(4);
        size_t length;

        fill(&map, base, draw(10) == 0 ? draw(180) : draw(8), UINT64_C(1) << draw(draw(20) == 0 ? 40 : 8));
        length = rb_offset_map_write(&map, seed, base, text);
        assert_true(length <= RB_OFFSET_MAP_TEXT_MAX && strlen(text) == length);
        assert_int_equal(rb_offset_map_read(text, length, seed, base, &read), length > 0);
        assert_same(&map, &read);
        bits += length > 0 && text[8] == 'b';
        runs += length > 0 && text[8] == 'r';
        rb_offset_map_done(&read);
    }
    assert_true(bits > ROUNDS / 20 && runs > ROUNDS / 20);
    rb_offset_map_done(&map);
}

static void the_shorter_of_two_ways_is_taken(void **state)
{
    struct rb_offset_map map = {0};
    char text[RB_OFFSET_MAP_TEXT_BYTES];

    (void)state;
    assert_int_equal(rb_offset_map_write(&map, 0, 5, text), 0);
    assert_string_equal(text, "");
    rb_offset_map_add(&map, 6, 1000006);
    assert_true(rb_offset_map_write(&map, 0, 5, text) < 30);
    assert_memory_equal(text, "reelbus1r:", 10);
    rb_offset_map_done(&map);
    for (int64_t offset = 6; offset < 2000; offset += 2)
        rb_offset_map_add(&map, offset, offset + 1);
    assert_in_range(rb_offset_map_write(&map, 0, 5, text), 300, 360);
    assert_memory_equal(text, "reelbus1b:", 10);
    rb_offset_map_done(&map);
}

static void what_does_not_fit_is_left_out_from_the_top(void **state)
{
    struct rb_offset_map map = {0}, read;
    char text[RB_OFFSET_MAP_TEXT_BYTES];
    size_t length;

    (void)state;
    for (int64_t offset = 1; offset < 400000; offset += 100)
        rb_offset_map_add(&map, offset, offset + 1);
    length = rb_offset_map_write(&map, 0, 0, text);
    assert_in_range(length, RB_OFFSET_MAP_TEXT_MAX - 8, RB_OFFSET_MAP_TEXT_MAX);
    assert_true(rb_offset_map_read(text, length, 0, 0, &read));
    assert_in_range(read.count, 1000, map.count - 1);
    map.count = read.count;
    assert_same(&map, &read);
    rb_offset_map_done(&map);
    rb_offset_map_done(&read);
}

static void what_is_about_other_records_is_no_map(void **state)
{
    uint64_t seed = rb_offset_map_seed("video.webhook.received", 3);
    struct rb_offset_map map = {0}, read;
    char text[RB_OFFSET_MAP_TEXT_BYTES];
    size_t length;

    (void)state;
    rb_offset_map_add(&map, 12, 20);
    length = rb_offset_map_write(&map, seed, 10, text);
    assert_true(rb_offset_map_read(text, length, seed, 10, &read));
    rb_offset_map_done(&read);
    assert_false(rb_offset_map_read(text, length, seed, 11, &read));
    assert_false(rb_offset_map_read(text, length, seed, -1, &read));
    assert_false(rb_offset_map_read(text, length, rb_offset_map_seed("video.webhook.received", 4), 10, &read));
    assert_false(rb_offset_map_read(text, length, rb_offset_map_seed("video.poll.result", 3), 10, &read));
    rb_offset_map_done(&map);
}

static void no_map_speaks_of_offsets_that_no_record_has(void **state)
{
    const int64_t highest = INT64_MAX / 2;
    struct rb_offset_map map = {0}, read;
    char text[RB_OFFSET_MAP_TEXT_BYTES];

    (void)state;
    rb_offset_map_add(&map, highest - 1, highest + 3);

    size_t length = rb_offset_map_write(&map, 0, highest - 2, text);

    assert_memory_equal(text, "reelbus1b:", 10);
    assert_false(rb_offset_map_read(text, length, 0, highest - 2, &read));
    assert_int_equal(read.count, 0);
    rb_offset_map_done(&map);
}

static void texts_of_others_and_broken_ones_are_no_map(void **state)
{
    static const char *const texts[] = {
        "",
        "AgAAAYe", /* Kafka Streams */
        "bZXhhbXBsZQ==",
        "reelbus",
        "reelbus1b:",
        "reelbus1r:AAAA",
        "reelbus1b:AAAAAAAA",
        "reelbus1x:AAAAAAAA",
        "reelbus2b:AAAAAAAA",
        "reelbus1b;AAAAAAAA",
        "reelbus1b:\0\0\0\0\0\0\0\0",
        "reelbus1b:====",
        "{\"offset\": 12}",
    };
    struct rb_offset_map read;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(texts); i++)
        assert_false(rb_offset_map_read(texts[i], strlen(texts[i]), 0, 0, &read));
    assert_false(rb_offset_map_read("reelbus1b:\0AAAAAAA", 18, 0, 0, &read));
    assert_false(rb_offset_map_read(NULL, 0, 0, 0, &read));
    assert_int_equal(read.count, 0);
}

/* Each character of a map cut off or changed; read from memory that ends where the text does. */
static void cut_and_changed_maps_are_none(void **state)
{
    struct rb_offset_map map = {0}, read;
    char text[RB_OFFSET_MAP_TEXT_BYTES];

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        fill(&map, 100, 30, kind == 0 ? 3 : 1000);

        size_t length = rb_offset_map_write(&map, 9, 100, text);

        for (size_t cut = 0; cut < length; cut++) {
            char *copy = rb_xalloc(cut > 0 ? cut : 1);

            memcpy(copy, text, cut);
            assert_false(rb_offset_map_read(copy, cut, 9, 100, &read));
            free(copy);
        }
        for (size_t at = 0; at < length; at++)
            for (unsigned other = 1; other < 256; other += 7) {
                text[at] = (char)((unsigned char)text[at] ^ other);
                assert_false(rb_offset_map_read(text, length, 9, 100, &read));
                text[at] = (char)((unsigned char)text[at] ^ other);
            }
    }
    rb_offset_map_done(&map);
}

UNIT_MAIN(T(what_is_written_is_read_a_million_times), T(the_shorter_of_two_ways_is_taken),
          T(what_does_not_fit_is_left_out_from_the_top), T(what_is_about_other_records_is_no_map),
          T(no_map_speaks_of_offsets_that_no_record_has), T(texts_of_others_and_broken_ones_are_no_map),
          T(cut_and_changed_maps_are_none))
