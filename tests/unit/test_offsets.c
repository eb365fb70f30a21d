#include "tests/unit/unit.h"

#include "consumer/offsets.h"

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
        assert_true(rb_offsets_begin(&offsets, offset));
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
    assert_true(rb_offsets_begin(&offsets, 3));
    assert_true(rb_offsets_begin(&offsets, 9));
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
    assert_true(rb_offsets_begin(&offsets, 5));
    assert_false(rb_offsets_begin(&offsets, 5));
    assert_false(rb_offsets_begin(&offsets, 4));
    rb_offsets_finish(&offsets, 5);
    assert_false(rb_offsets_begin(&offsets, 5));
    assert_true(rb_offsets_begin(&offsets, 6));
    rb_offsets_done(&offsets);
}

static void finishing_what_was_not_begun_or_twice_is_a_bug(void **state)
{
    struct rb_offsets offsets;

    (void)state;
    rb_offsets_init(&offsets);
    assert_true(rb_offsets_begin(&offsets, 5));
    assert_true(rb_offsets_begin(&offsets, 7));
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
            begun[next] = rb_offsets_begin(&offsets, next);
            assert_true(begun[next]);
            next++;
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

UNIT_MAIN(T(nothing_is_committable_before_the_first_record), T(the_lowest_unfinished_offset_holds_back_all_above),
          T(offsets_that_never_come_count_as_finished), T(a_record_that_comes_again_is_dropped),
          T(finishing_what_was_not_begun_or_twice_is_a_bug), T(a_long_random_walk_agrees_with_an_array))
