#include "tests/unit/unit.h"

#include "consumer/budget.h"

static void note_turn(void *arg)
{
    ++*(int *)arg;
}

static void so_many_bytes_and_no_more_are_on_their_way(void **state)
{
    struct rb_budget budget = {.max_bytes = 100};
    int turns[3] = {0};
    struct rb_share a = {.on_turn = note_turn, .arg = &turns[0]}, b = a, c = a;

    (void)state;
    b.arg = &turns[1];
    c.arg = &turns[2];
    assert_true(rb_budget_take(&budget, &a, 60));
    assert_false(rb_budget_take(&budget, &b, 50));
    assert_false(rb_budget_take(&budget, &c, 10)); /* it would fit, but comes after */
    assert_int_equal(budget.used_bytes, 60);
    rb_budget_leave(&a);
    assert_int_equal(turns[1], 1);
    assert_int_equal(turns[2], 1);
    assert_int_equal(budget.used_bytes, 60);
    rb_budget_leave(&b);
    rb_budget_leave(&c);
    rb_budget_leave(&c);
    assert_int_equal(budget.used_bytes, 0);
    assert_int_equal(turns[0], 0);
}

static void one_alone_always_fits(void **state)
{
    struct rb_budget budget = {.max_bytes = 100};
    int turns = 0;
    struct rb_share giant = {.on_turn = note_turn, .arg = &turns}, other = giant;

    (void)state;
    assert_true(rb_budget_take(&budget, &giant, 5000));
    assert_false(rb_budget_take(&budget, &other, 1));
    rb_budget_leave(&giant);
    assert_int_equal(turns, 1);
    rb_budget_leave(&other);
    assert_int_equal(budget.used_bytes, 0);
}

static void what_nobody_announced_is_counted_as_it_comes(void **state)
{
    struct rb_budget budget = {.max_bytes = 100};
    int turns = 0;
    struct rb_share a = {.on_turn = note_turn, .arg = &turns}, b = a;

    (void)state;
    assert_true(rb_budget_take(&budget, &a, 0));
    rb_budget_grow(&a, 70);
    rb_budget_grow(&a, 70);
    assert_int_equal(budget.used_bytes, 140);
    assert_false(rb_budget_take(&budget, &b, 0));
    rb_budget_leave(&a);
    assert_int_equal(turns, 1);
    rb_budget_leave(&b);
    assert_int_equal(budget.used_bytes, 0);
}

static void who_leaves_the_line_lets_the_others_pass(void **state)
{
    struct rb_budget budget = {.max_bytes = 100};
    int turns = 0;
    struct rb_share a = {.on_turn = note_turn, .arg = &turns}, b = a, c = a;

    (void)state;
    assert_true(rb_budget_take(&budget, &a, 50));
    assert_false(rb_budget_take(&budget, &b, 80));
    assert_false(rb_budget_take(&budget, &c, 50));
    rb_budget_leave(&b);
    assert_int_equal(turns, 1);
    assert_false(c.waiting);
    assert_int_equal(budget.used_bytes, 100);
    rb_budget_leave(&a);
    rb_budget_leave(&c);
    assert_int_equal(budget.used_bytes, 0);
}

static void without_a_limit_nobody_waits(void **state)
{
    struct rb_budget budget = {0};
    struct rb_share a = {.on_turn = note_turn}, b = a;

    (void)state;
    assert_true(rb_budget_take(&budget, &a, INT64_C(1) << 60));
    assert_true(rb_budget_take(&budget, &b, INT64_C(1) << 60));
    rb_budget_leave(&a);
    rb_budget_leave(&b);
}

UNIT_MAIN(T(so_many_bytes_and_no_more_are_on_their_way), T(one_alone_always_fits),
          T(what_nobody_announced_is_counted_as_it_comes), T(who_leaves_the_line_lets_the_others_pass),
          T(without_a_limit_nobody_waits))
