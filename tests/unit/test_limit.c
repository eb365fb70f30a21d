/* Token buckets: how many get through, and who is forgotten when there are too many. */
#include "tests/unit/unit.h"

#include "producer/limit.h"

static struct rb_limit *limit_of(const char *text, size_t slots)
{
    struct rb_rate rate = {0};

    assert_works(rb_rate_parse(text, &rate, &err));
    return rb_limit_new(&rate, slots, 0x5eed);
}

/* How many of these many get through at once. */
static unsigned through(struct rb_limit *limit, uint64_t key, unsigned tries, int64_t now_ms)
{
    unsigned count = 0;

    for (unsigned i = 0; i < tries; i++)
        count += rb_limit_take(limit, key, now_ms).allowed;
    rb_limit_check(limit);
    return count;
}

static void rates_are_read_as_people_write_them(void **state)
{
    static const struct {
        const char *text;
        struct rb_rate rate;
    } cases[] = {
        {"0", {0, 0, 0}},
        {"100/s", {100, 1, 100}},
        {"600/m", {600, 60, 600}},
        {"1000/h", {1000, 3600, 1000}},
        {"100/s burst 200", {100, 1, 200}},
        {"600/m burst 1", {600, 60, 1}},
        {"1000000/s burst 1000000", {1000000, 1, 1000000}},
    };
    struct rb_rate rate;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(cases); i++) {
        assert_works(rb_rate_parse(cases[i].text, &rate, &err));
        assert_memory_equal(&rate, &cases[i].rate, sizeof(rate));
    }
}

static void what_is_no_rate_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",          "100",         "/s",           "100/",          "100/d",         "100/sec",
        "-1/s",      "0/s",         "1000001/s",    "1.5/s",         "100 / s",       "100/s ",
        "100/s 200", "100/s burst", "100/s burst ", "100/s burst 0", "100/s burst x", "100/s burst 1000001",
        "s/100",     "off",
    };
    struct rb_rate rate = {.quota = 42};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_rate_parse(wrong[i], &rate, &err), BAD_OPTION);
    assert_int_equal(rate.quota, 42);
}

static void a_burst_goes_through_and_then_the_rate(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("10/s burst 25", 64);

    (void)state;
    assert_int_equal(through(limit, 7, 100, 1000), 25);
    assert_int_equal(through(limit, 7, 100, 1000), 0);
    assert_int_equal(through(limit, 7, 100, 1099), 0);
    assert_int_equal(through(limit, 7, 100, 1100), 1);
    assert_int_equal(through(limit, 7, 100, 2100), 10);
    assert_int_equal(through(limit, 7, 100, 60000), 25);
}

static void a_long_time_lets_through_the_rate_and_one_burst(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("600/m burst 5", 64);
    unsigned count = 0;

    (void)state;
    for (int64_t now_ms = 1; now_ms <= 600000; now_ms++)
        count += rb_limit_take(limit, 1, now_ms).allowed;
    assert_in_range(count, 6000, 6005);
}

static void keys_do_not_share(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("5/s", 1024);

    (void)state;
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(through(limit, key, 9, 1000), 5);
}

static void the_verdict_says_how_many_are_left_and_when_to_come_again(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("60/h burst 2", 64);
    struct rb_verdict verdict = rb_limit_take(limit, 1, 5000);

    (void)state;
    assert_true(verdict.allowed);
    assert_int_equal(verdict.left, 1);
    assert_int_equal(verdict.retry_after_s, 0);
    verdict = rb_limit_take(limit, 1, 5000);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.left, 0);
    assert_int_equal(verdict.retry_after_s, 60);
    verdict = rb_limit_take(limit, 1, 35000);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.left, 0);
    assert_int_equal(verdict.retry_after_s, 30);
    assert_false(rb_limit_take(limit, 1, 64999).allowed);
    assert_int_equal(rb_limit_take(limit, 1, 64999).retry_after_s, 1);
    assert_true(rb_limit_take(limit, 1, 65000).allowed);
}

static void asking_in_vain_costs_nothing(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("1/m", 64);

    (void)state;
    assert_int_equal(through(limit, 1, 1000000, 1000), 1);
    assert_int_equal(through(limit, 1, 10, 61000), 1);
}

/* 100,000 others in a table of 4,096 places; who used up his burst stays where he is. */
static void a_flood_from_many_addresses_frees_no_offender(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("10/m", 4096);

    (void)state;
    for (uint64_t offender = 0; offender < 100; offender++)
        assert_int_equal(through(limit, offender, 20, 1000), 10);
    for (uint64_t other = 1000; other < 101000; other++)
        (void)rb_limit_take(limit, other, 1000);
    rb_limit_check(limit);
    for (uint64_t offender = 0; offender < 100; offender++)
        assert_int_equal(through(limit, offender, 20, 1000), 0);
}

/* However keys are mixed, no set ever lets through more than its places' bursts. */
static void a_full_table_errs_on_the_strict_side(void **state)
{
    RB_AUTO(rb_limit) *limit = limit_of("4/s", RB_LIMIT_WAYS);
    unsigned count = 0;

    (void)state;
    for (unsigned round = 0; round < 10; round++)
        for (uint64_t key = 0; key < 1000; key++)
            count += rb_limit_take(limit, key, 1000).allowed;
    assert_in_range(count, 1, 4 * RB_LIMIT_WAYS);
    rb_limit_check(limit);
    /* Time makes all of it good again. */
    assert_int_equal(through(limit, 5000, 9, 2000), 4);
}

UNIT_MAIN(T(rates_are_read_as_people_write_them), T(what_is_no_rate_is_refused),
          T(a_burst_goes_through_and_then_the_rate), T(a_long_time_lets_through_the_rate_and_one_burst),
          T(keys_do_not_share), T(the_verdict_says_how_many_are_left_and_when_to_come_again),
          T(asking_in_vain_costs_nothing), T(a_flood_from_many_addresses_frees_no_offender),
          T(a_full_table_errs_on_the_strict_side))
