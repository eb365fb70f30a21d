#include "tests/unit/unit.h"

#include "common/backoff.h"

static void the_first_wait_lies_between_half_and_all_of_first_ms(void **state)
{
    struct rb_backoff low = {.first_ms = 100, .max_ms = 1000};
    struct rb_backoff high = {.first_ms = 100, .max_ms = 1000};

    (void)state;
    assert_int_equal(rb_backoff_next_ms(&low, 0), 50);
    assert_int_equal(rb_backoff_next_ms(&high, 50), 100);
}

static void the_upper_bound_doubles_up_to_the_maximum(void **state)
{
    struct rb_backoff backoff = {.first_ms = 100, .max_ms = 1000};
    static const int64_t bounds[] = {100, 200, 400, 800, 1000, 1000};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(bounds); i++) {
        struct rb_backoff highest = backoff;
        uint64_t widest = (uint64_t)(bounds[i] - 50); /* the largest value that does not wrap around */

        assert_int_equal(rb_backoff_bound_ms(&backoff), bounds[i]);
        assert_int_equal(rb_backoff_next_ms(&highest, widest), bounds[i]);
        assert_int_equal(rb_backoff_next_ms(&backoff, widest + 1), 50); /* one more does */
    }
}

static void success_begins_again(void **state)
{
    struct rb_backoff backoff = {.first_ms = 100, .max_ms = 1000, .tries = 7};

    (void)state;
    rb_backoff_reset(&backoff);
    assert_int_equal(rb_backoff_next_ms(&backoff, 50), 100);
}

static void a_wait_is_never_zero_and_never_overflows(void **state)
{
    struct rb_backoff tiny = {.first_ms = 0, .max_ms = 0};
    struct rb_backoff huge = {.first_ms = INT64_MAX / 4, .max_ms = INT64_MAX / 2, .tries = 4000000000u};

    (void)state;
    assert_int_equal(rb_backoff_next_ms(&tiny, 12345), 1);
    assert_true(rb_backoff_next_ms(&huge, UINT64_MAX) > 0);
}

UNIT_MAIN(T(the_first_wait_lies_between_half_and_all_of_first_ms), T(the_upper_bound_doubles_up_to_the_maximum),
          T(success_begins_again), T(a_wait_is_never_zero_and_never_overflows))
