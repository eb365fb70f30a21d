#include "tests/unit/unit.h"

#include "consumer/offsets.h"

static void begin(struct rb_offsets *offsets, int64_t offset)
{
    assert_int_equal(rb_offsets_begin(offsets, offset), RB_OFFSETS_NEW);
}

static void nothing_is_committable_before_the_first_record(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    assert_int_equal(rb_offsets_committable(&offsets), -1);
    rb_offsets_done(&offsets);
}

static void the_lowest_unfinished_offset_holds_back_all_above(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    for (int64_t offset = 10; offset < 15; offset++)
        begin(&offsets, offset);
    rb_offsets_finish(&offsets, 12);
    rb_offsets_finish(&offsets, 14);
    assert_int_equal(rb_offsets_committable(&offsets), 10);
    rb_offsets_finish(&offsets, 10);
    assert_int_equal(rb_offsets_committable(&offsets), 11);
    rb_offsets_finish(&offsets, 11);
    assert_int_equal(rb_offsets_committable(&offsets), 13);
    rb_offsets_finish(&offsets, 13);
    assert_int_equal(rb_offsets_committable(&offsets), 15);
    assert_int_equal(rb_offsets_count(&offsets), 0);
    rb_offsets_done(&offsets);
}

static void offsets_that_never_come_count_as_finished(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    begin(&offsets, 3);
    begin(&offsets, 9);
    rb_offsets_finish(&offsets, 3);
    assert_int_equal(rb_offsets_committable(&offsets), 9);
    rb_offsets_finish(&offsets, 9);
    assert_int_equal(rb_offsets_committable(&offsets), 10);
    rb_offsets_done(&offsets);
}

static void a_record_that_comes_again_is_dropped(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    begin(&offsets, 5);
    assert_int_equal(rb_offsets_begin(&offsets, 5), RB_OFFSETS_SEEN);
    assert_int_equal(rb_offsets_begin(&offsets, 4), RB_OFFSETS_SEEN);
    rb_offsets_finish(&offsets, 5);
    assert_int_equal(rb_offsets_begin(&offsets, 5), RB_OFFSETS_SEEN);
    begin(&offsets, 6);
    rb_offsets_done(&offsets);
}

static void finishing_what_was_not_begun_or_twice_is_a_bug(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    begin(&offsets, 5);
    begin(&offsets, 7);
    assert_aborts(rb_offsets_finish(&offsets, 6));
    rb_offsets_finish(&offsets, 7);
    assert_aborts(rb_offsets_finish(&offsets, 7));
    rb_offsets_done(&offsets);
}

/* Against the plainest thing that knows the answer: an array of flags. */
static void a_long_random_walk_agrees_with_an_array(void **state)
{
    enum { N = 4000 };
    static bool begun[N], finished[N];
    struct rb_offsets offsets;
    int64_t next = 0;

    (void)state;
    srand(11);
    rb_offsets_init(&offsets);
    for (int step = 0; step < 20000 && next < N; step++) {
        int64_t offset = rand() % (next + 1);
        int64_t lowest = 0;

        if (rand() % 3 == 0) {
            next += rand() % 3; /* gaps */
            if (next >= N)
                break;
            begin(&offsets, next);
            begun[next++] = true;
        } else if (offset < next && begun[offset] && !finished[offset]) {
            rb_offsets_finish(&offsets, offset);
            finished[offset] = true;
        }
        rb_offsets_check(&offsets);
        while (lowest < next && (!begun[lowest] || finished[lowest]))
            lowest++;
        if (next > 0)
            assert_int_equal(rb_offsets_committable(&offsets), lowest);
    }
    rb_offsets_done(&offsets);
}

static void what_was_finished_before_us_is_not_begun_again(void **state)
{
    struct rb_offset_map before = {0}, map = {0};
    struct rb_offsets offsets;

    (void)state;
    rb_offset_map_add(&before, 12, 14);
    rb_offset_map_add(&before, 16, 17);
    rb_offsets_init(&offsets);
    rb_offsets_resume(&offsets, 10, &before);
    assert_int_equal(before.count, 0);
    begin(&offsets, 10);
    begin(&offsets, 11);
    rb_offsets_finish(&offsets, 10);
    assert_int_equal(rb_offsets_snapshot(&offsets, &map), 11); /* what has not come again yet is not forgotten */
    assert_int_equal(map.count, 2);
    assert_non_null(rb_offset_map_find(&map, 13));
    assert_non_null(rb_offset_map_find(&map, 16));
    rb_offset_map_done(&map);
    for (int64_t offset = 12; offset < 14; offset++)
        assert_int_equal(rb_offsets_begin(&offsets, offset), RB_OFFSETS_FINISHED);
    rb_offsets_finish(&offsets, 11);
    assert_int_equal(rb_offsets_committable(&offsets), 14);
    begin(&offsets, 14);
    rb_offsets_finish(&offsets, 14);
    begin(&offsets, 15);
    rb_offsets_finish(&offsets, 15);
    assert_int_equal(rb_offsets_committable(&offsets), 17);
    assert_int_equal(rb_offsets_begin(&offsets, 16), RB_OFFSETS_FINISHED);
    begin(&offsets, 17);
    rb_offsets_check(&offsets);
    rb_offsets_done(&offsets);
}

static void what_is_staged_is_finished_only_when_it_is_committed(void **state)
{
    struct rb_offset_map map = {0};
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    for (int64_t offset = 0; offset < 5; offset++)
        begin(&offsets, offset);
    rb_offsets_stage(&offsets, 0);
    rb_offsets_stage(&offsets, 3);
    rb_offsets_finish(&offsets, 4);
    assert_aborts(rb_offsets_stage(&offsets, 3));
    assert_aborts(rb_offsets_finish(&offsets, 3));
    assert_int_equal(rb_offsets_snapshot(&offsets, &map), 1);
    assert_true(map.count == 1 && map.runs[0].from == 3 && map.runs[0].to == 5);
    rb_offset_map_done(&map);
    rb_offsets_settle(&offsets, false);
    rb_offsets_check(&offsets);
    assert_int_equal(rb_offsets_snapshot(&offsets, &map), 0);
    assert_true(map.count == 1 && map.runs[0].from == 4);
    rb_offset_map_done(&map);
    rb_offsets_stage(&offsets, 0);
    rb_offsets_settle(&offsets, true);
    rb_offsets_check(&offsets);
    assert_int_equal(rb_offsets_committable(&offsets), 1);
    rb_offsets_done(&offsets);
}

static void the_end_of_the_log_is_committable_when_only_markers_are_behind_the_last_record(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    assert_false(rb_offsets_reach(&offsets, 0));
    begin(&offsets, 7);
    assert_true(rb_offsets_reach(&offsets, 9));
    assert_false(rb_offsets_reach(&offsets, 9));
    assert_int_equal(rb_offsets_committable(&offsets), 7);
    rb_offsets_finish(&offsets, 7);
    assert_int_equal(rb_offsets_committable(&offsets), 9);
    begin(&offsets, 9);
    rb_offsets_done(&offsets);
}

/* One is slow, every second of the others waits: there is an end to that before the map is too long. */
static void no_more_are_taken_than_fit_into_the_map_and_a_single_slow_one_stops_nobody(void **state)
{
    static char text[RB_OFFSET_MAP_TEXT_BYTES], all[RB_OFFSET_MAP_TEXT_BYTES];
    struct rb_offset_map map = {0};
    struct rb_offsets offsets;
    int64_t next = 0;

    (void)state;
    rb_offsets_init(&offsets);
    for (; rb_offsets_has_room(&offsets, 1) && next < 100000; next++)
        begin(&offsets, next);
    assert_in_range(next, 15000, 20000);
    for (int64_t offset = 1; offset < next; offset += 2)
        rb_offsets_finish(&offsets, offset);
    assert_int_equal(rb_offsets_snapshot(&offsets, &map), 0);
    assert_in_range(rb_offset_map_write(&map, 1, 0, text), 3000, RB_OFFSET_MAP_TEXT_MAX);
    rb_offset_map_done(&map);
    assert_false(rb_offsets_has_room(&offsets, 1));
    for (int64_t offset = 2; offset < next; offset += 2)
        rb_offsets_finish(&offsets, offset);
    assert_true(rb_offsets_has_room(&offsets, 2)); /* only the first is not finished */
    for (; next < 200000 && rb_offsets_has_room(&offsets, 1); next++) {
        begin(&offsets, next);
        rb_offsets_finish(&offsets, next);
    }
    assert_int_equal(next, 200000);
    assert_int_equal(rb_offsets_snapshot(&offsets, &map), 0);
    assert_true(rb_offset_map_write(&map, 1, 0, all) < 40);
    rb_offset_map_done(&map);
    rb_offsets_done(&offsets);
}

/* As over many lives of a process: what the map says is what the array says. */
static void a_partition_that_changes_hands_at_random_loses_and_repeats_nothing(void **state)
{
    enum { N = 2000 };
    static bool finished[N];
    static char text[RB_OFFSET_MAP_TEXT_BYTES];
    struct rb_offsets offsets;
    int64_t next = 0;

    (void)state;
    srand(12);
    rb_offsets_init(&offsets);
    while (next < N - 2) {
        if (rand() % 40 == 0) { /* the next owner knows the text alone */
            struct rb_offset_map map = {0}, before;
            int64_t base = rb_offsets_snapshot(&offsets, &map);
            size_t length = rb_offset_map_write(&map, 3, base, text);

            rb_offset_map_done(&map);
            rb_offsets_done(&offsets);
            assert_int_equal(rb_offset_map_read(text, length, 3, base, &before), length > 0);
            rb_offsets_resume(&offsets, base, &before);
            next = base < 0 ? 0 : base;
            for (int64_t offset = 0; offset < next; offset++)
                assert_true(finished[offset] || offset % 7 == 3);
        } else if (rand() % 2 == 0) {
            next += next % 7 == 3; /* there is none */
            assert_int_equal(rb_offsets_begin(&offsets, next), finished[next] ? RB_OFFSETS_FINISHED : RB_OFFSETS_NEW);
            next++;
        } else if (offsets.unfinished > 0) {
            size_t at = (size_t)rand() % offsets.count;
            const struct rb_offsets_entry *entry = &offsets.ring[(offsets.head + at) & (offsets.cap - 1)];
            int64_t offset = entry->offset;

            if (entry->state != RB_OFFSET_UNFINISHED)
                continue;
            rb_offsets_finish(&offsets, offset);
            finished[offset] = true;
        }
        rb_offsets_check(&offsets);
    }
    rb_offsets_done(&offsets);
}

UNIT_MAIN(T(nothing_is_committable_before_the_first_record), T(the_lowest_unfinished_offset_holds_back_all_above),
          T(offsets_that_never_come_count_as_finished), T(a_record_that_comes_again_is_dropped),
          T(finishing_what_was_not_begun_or_twice_is_a_bug), T(a_long_random_walk_agrees_with_an_array),
          T(what_was_finished_before_us_is_not_begun_again), T(what_is_staged_is_finished_only_when_it_is_committed),
          T(the_end_of_the_log_is_committable_when_only_markers_are_behind_the_last_record),
          T(no_more_are_taken_than_fit_into_the_map_and_a_single_slow_one_stops_nobody),
          T(a_partition_that_changes_hands_at_random_loses_and_repeats_nothing))
