#include "tests/unit/unit.h"

#include "producer/replay.h"

/* A key of a number; the hash table looks at the first bytes, so `bucket` decides who shares a chain. */
static const uint8_t *key_of(uint32_t bucket, uint32_t number)
{
    static uint8_t key[RB_REPLAY_KEY_BYTES];

    memset(key, 0, sizeof(key));
    memcpy(key, &bucket, sizeof(bucket));
    memcpy(key + 4, &number, sizeof(number));
    return key;
}

static int owners[4];
static void *owner;

static enum rb_replay begin(struct rb_replays *replays, uint32_t number, void *who, int64_t now_ms)
{
    enum rb_replay answer = rb_replays_begin(replays, key_of(number % 3, number), who, now_ms, &owner);

    assert_true(rb_replays_check(replays));
    return answer;
}

static void end(struct rb_replays *replays, uint32_t number, const void *who, bool remember, int64_t now_ms)
{
    rb_replays_end(replays, key_of(number % 3, number), who, remember, now_ms);
    assert_true(rb_replays_check(replays));
}

static void a_repeat_waits_for_the_first_and_is_remembered_after_it(void **state)
{
    struct rb_replays *replays = rb_replays_new(8, 1000);

    (void)state;
    assert_int_equal(begin(replays, 1, &owners[0], 0), RB_REPLAY_NEW);
    assert_int_equal(begin(replays, 1, &owners[1], 0), RB_REPLAY_BUSY);
    assert_ptr_equal(owner, &owners[0]);
    assert_int_equal(begin(replays, 2, &owners[2], 0), RB_REPLAY_NEW);
    end(replays, 1, &owners[1], true, 5); /* not its own */
    assert_int_equal(begin(replays, 1, &owners[1], 5), RB_REPLAY_BUSY);
    end(replays, 1, &owners[0], true, 10);
    assert_int_equal(begin(replays, 1, &owners[1], 1009), RB_REPLAY_DONE);
    assert_int_equal(begin(replays, 1, &owners[1], 1010), RB_REPLAY_NEW); /* forgotten */
    rb_replays_free(replays);
    rb_replays_free(NULL);
}

static void what_was_not_taken_may_come_again(void **state)
{
    struct rb_replays *replays = rb_replays_new(8, 1000);

    (void)state;
    assert_int_equal(begin(replays, 1, &owners[0], 0), RB_REPLAY_NEW);
    end(replays, 1, &owners[0], false, 0);
    assert_int_equal(rb_replays_count(replays), 0);
    assert_int_equal(begin(replays, 1, &owners[1], 0), RB_REPLAY_NEW);
    rb_replays_free(replays);
}

static void a_full_table_forgets_the_oldest_that_is_done_and_nobody_under_way(void **state)
{
    struct rb_replays *replays = rb_replays_new(4, 1000);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(begin(replays, i, &owners[i], 0), RB_REPLAY_NEW);
    assert_int_equal(begin(replays, 9, &owners[0], 0), RB_REPLAY_NEW); /* not in the table */
    assert_int_equal(rb_replays_count(replays), 4);
    end(replays, 9, &owners[0], true, 0);
    assert_int_equal(begin(replays, 9, &owners[0], 0), RB_REPLAY_NEW);
    end(replays, 2, &owners[2], true, 1);
    end(replays, 0, &owners[0], true, 2);
    assert_int_equal(begin(replays, 10, &owners[0], 3), RB_REPLAY_NEW);
    assert_int_equal(begin(replays, 0, &owners[1], 3), RB_REPLAY_DONE);
    assert_int_equal(begin(replays, 1, &owners[2], 3), RB_REPLAY_BUSY);
    assert_int_equal(begin(replays, 2, &owners[2], 3), RB_REPLAY_NEW); /* in the place of 0 */
    assert_int_equal(begin(replays, 0, &owners[3], 3), RB_REPLAY_NEW);
    rb_replays_free(replays);
}

static void a_million_deliveries_stay_within_the_table(void **state)
{
    struct rb_replays *replays = rb_replays_new(1000, 50);
    uint32_t random = 1;

    (void)state;
    for (uint32_t i = 0; i < 1000000; i++) {
        random = random * 1664525 + 1013904223;

        const uint8_t *key = key_of(random >> 8, random >> 20);

        if (rb_replays_begin(replays, key, &owners[0], i / 16, &owner) == RB_REPLAY_NEW && random % 5 != 0)
            rb_replays_end(replays, key, &owners[0], random % 3 != 0, i / 16);
        if (i % 50000 == 0)
            assert_true(rb_replays_check(replays));
    }
    assert_true(rb_replays_count(replays) <= 1000);
    assert_true(rb_replays_check(replays));
    rb_replays_free(replays);
}

UNIT_MAIN(T(a_repeat_waits_for_the_first_and_is_remembered_after_it), T(what_was_not_taken_may_come_again),
          T(a_full_table_forgets_the_oldest_that_is_done_and_nobody_under_way),
          T(a_million_deliveries_stay_within_the_table))
