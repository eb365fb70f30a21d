#include "tests/unit/unit.h"

#include "consumer/in_flight.h"

static void note_turn(void *arg)
{
    ++*(int *)arg;
}

static void so_many_bytes_and_no_more_are_on_their_way(void **state)
{
    struct rb_in_flight in_flight = {.max_bytes = 100};
    int turns[3] = {0};
    struct rb_share a = {.on_turn = note_turn, .arg = &turns[0]}, b = a, c = a;

    (void)state;
    b.arg = &turns[1];
    c.arg = &turns[2];
    assert_true(rb_in_flight_take(&in_flight, &a, 60));
    assert_false(rb_in_flight_take(&in_flight, &b, 50));
    assert_false(rb_in_flight_take(&in_flight, &c, 10)); /* it would fit, but comes after */
    assert_int_equal(in_flight.used_bytes, 60);
    rb_in_flight_leave(&a);
    assert_int_equal(turns[1], 1);
    assert_int_equal(turns[2], 1);
    assert_int_equal(in_flight.used_bytes, 60);
    rb_in_flight_leave(&b);
    rb_in_flight_leave(&c);
    rb_in_flight_leave(&c);
    assert_int_equal(in_flight.used_bytes, 0);
    assert_int_equal(turns[0], 0);
}

static void note_full(bool full, void *arg)
{
    *(bool *)arg = full;
}

static void who_has_the_least_time_left_comes_next_and_no_other_begins(void **state)
{
    bool is_full = false;
    struct rb_in_flight in_flight = {.max_bytes = 100, .on_full = note_full, .arg = &is_full};
    int turns[3] = {0};
    struct rb_share a = {.rank = 9, .on_turn = note_turn, .arg = &turns[0]}, b = a, c = a;

    (void)state;
    b.arg = &turns[1];
    c.arg = &turns[2];
    c.rank = 5;
    assert_true(rb_in_flight_take(&in_flight, &a, 60));
    assert_false(is_full);
    assert_false(rb_in_flight_take(&in_flight, &b, 50));
    assert_true(is_full);
    assert_false(rb_in_flight_take(&in_flight, &c, 80));
    rb_in_flight_leave(&a);
    assert_int_equal(turns[2], 1);
    assert_int_equal(turns[1], 0);
    assert_true(is_full);
    rb_in_flight_leave(&c);
    assert_int_equal(turns[1], 1);
    assert_false(is_full);
    rb_in_flight_leave(&b);
    assert_false(is_full);
}

static void one_alone_always_fits(void **state)
{
    struct rb_in_flight in_flight = {.max_bytes = 100};
    int turns = 0;
    struct rb_share giant = {.on_turn = note_turn, .arg = &turns}, other = giant;

    (void)state;
    assert_true(rb_in_flight_take(&in_flight, &giant, 5000));
    assert_false(rb_in_flight_take(&in_flight, &other, 1));
    rb_in_flight_leave(&giant);
    assert_int_equal(turns, 1);
    rb_in_flight_leave(&other);
    assert_int_equal(in_flight.used_bytes, 0);
}

static void what_nobody_announced_is_counted_as_it_comes(void **state)
{
    struct rb_in_flight in_flight = {.max_bytes = 100};
    int turns = 0;
    struct rb_share a = {.on_turn = note_turn, .arg = &turns}, b = a;

    (void)state;
    assert_true(rb_in_flight_take(&in_flight, &a, 0));
    rb_in_flight_grow(&a, 70);
    rb_in_flight_grow(&a, 70);
    assert_int_equal(in_flight.used_bytes, 140);
    assert_false(rb_in_flight_take(&in_flight, &b, 0));
    rb_in_flight_leave(&a);
    assert_int_equal(turns, 1);
    rb_in_flight_leave(&b);
    assert_int_equal(in_flight.used_bytes, 0);
}

static void of_unknown_size_no_more_begin_than_their_shares_fit(void **state)
{
    struct rb_in_flight in_flight = {.max_bytes = 3 * RB_IN_FLIGHT_UNSAID_BYTES};
    struct rb_share shares[8];
    int turns = 0, begun = 0;

    (void)state;
    for (int i = 0; i < 8; i++) {
        shares[i] = (struct rb_share){.on_turn = note_turn, .arg = &turns};
        begun += rb_in_flight_take(&in_flight, &shares[i], rb_in_flight_unsaid(&in_flight, INT64_MAX));
    }
    assert_int_equal(begun, 3);
    assert_int_equal(in_flight.used_bytes, in_flight.max_bytes);
    for (int i = 0; i < 3; i++)
        rb_in_flight_grow(&shares[i], in_flight.max_bytes); /* these go on to the end, whatever the others do */
    rb_in_flight_leave(&shares[0]);
    rb_in_flight_leave(&shares[1]);
    assert_int_equal(turns, 0); /* the third has it all */
    rb_in_flight_leave(&shares[2]);
    assert_int_equal(turns, 3);
    for (int i = 3; i < 8; i++)
        rb_in_flight_leave(&shares[i]);
    assert_int_equal(turns, 5);
    assert_int_equal(in_flight.used_bytes, 0);
}

static void an_unknown_size_is_guessed_at_no_more_than_it_can_be(void **state)
{
    struct rb_in_flight in_flight = {.max_bytes = 100};

    (void)state;
    assert_int_equal(rb_in_flight_unsaid(&in_flight, 1000), 100);
    assert_int_equal(rb_in_flight_unsaid(&in_flight, 10), 10);
    in_flight.max_bytes = INT64_MAX;
    assert_int_equal(rb_in_flight_unsaid(&in_flight, INT64_MAX), RB_IN_FLIGHT_UNSAID_BYTES);
    in_flight.max_bytes = 0; /* no limit */
    assert_int_equal(rb_in_flight_unsaid(&in_flight, 1000), 0);
}

static void who_leaves_the_line_lets_the_others_pass(void **state)
{
    struct rb_in_flight in_flight = {.max_bytes = 100};
    int turns = 0;
    struct rb_share a = {.on_turn = note_turn, .arg = &turns}, b = a, c = a;

    (void)state;
    assert_true(rb_in_flight_take(&in_flight, &a, 50));
    assert_false(rb_in_flight_take(&in_flight, &b, 80));
    assert_false(rb_in_flight_take(&in_flight, &c, 50));
    rb_in_flight_leave(&b);
    assert_int_equal(turns, 1);
    assert_false(c.waiting);
    assert_int_equal(in_flight.used_bytes, 100);
    rb_in_flight_leave(&a);
    rb_in_flight_leave(&c);
    assert_int_equal(in_flight.used_bytes, 0);
}

static void without_a_limit_nobody_waits(void **state)
{
    struct rb_in_flight in_flight = {0};
    struct rb_share a = {.on_turn = note_turn}, b = a;

    (void)state;
    assert_true(rb_in_flight_take(&in_flight, &a, INT64_C(1) << 60));
    assert_true(rb_in_flight_take(&in_flight, &b, INT64_C(1) << 60));
    rb_in_flight_leave(&a);
    rb_in_flight_leave(&b);
}

UNIT_MAIN(T(so_many_bytes_and_no_more_are_on_their_way), T(one_alone_always_fits),
          T(who_has_the_least_time_left_comes_next_and_no_other_begins),
          T(what_nobody_announced_is_counted_as_it_comes), T(of_unknown_size_no_more_begin_than_their_shares_fit),
          T(an_unknown_size_is_guessed_at_no_more_than_it_can_be), T(who_leaves_the_line_lets_the_others_pass),
          T(without_a_limit_nobody_waits))
