#include "tests/unit/unit.h"

#include "common/byteq.h"

static void bytes_come_out_in_order_across_the_wrap(void **state)
{
    RB_AUTO(rb_byteq) *queue = rb_byteq_new(/* cap= */ 4, /* low= */ 1);
    const uint8_t *bytes;

    (void)state;
    rb_byteq_put(queue, "abc", 3);
    rb_byteq_take(queue, 2);
    rb_byteq_put(queue, "def", 3);
    rb_byteq_check(queue);
    assert_int_equal(rb_byteq_room(queue), 0);
    assert_int_equal(rb_byteq_cap(queue), 4);
    assert_int_equal(rb_byteq_peek(queue, &bytes), 2);
    assert_memory_equal(bytes, "cd", 2);
    rb_byteq_take(queue, 2);
    assert_int_equal(rb_byteq_peek(queue, &bytes), 2);
    assert_memory_equal(bytes, "ef", 2);
}

static void an_empty_queue_offers_its_whole_room_in_one_piece(void **state)
{
    RB_AUTO(rb_byteq) *queue = rb_byteq_new(4, 1);
    const uint8_t *bytes;

    (void)state;
    rb_byteq_put(queue, "abc", 3);
    rb_byteq_take(queue, 3);
    rb_byteq_put(queue, "wxyz", 4);
    assert_int_equal(rb_byteq_peek(queue, &bytes), 4);
    assert_memory_equal(bytes, "wxyz", 4);
}

static void low_is_reached_at_the_mark_and_not_before(void **state)
{
    RB_AUTO(rb_byteq) *queue = rb_byteq_new(4, 1);

    (void)state;
    assert_true(rb_byteq_is_low(queue));
    rb_byteq_put(queue, "ab", 2);
    assert_false(rb_byteq_is_low(queue));
    rb_byteq_take(queue, 1);
    assert_true(rb_byteq_is_low(queue));
}

static void more_than_there_is_room_for_is_a_bug(void **state)
{
    RB_AUTO(rb_byteq) *queue = rb_byteq_new(4, 1);

    (void)state;
    assert_aborts(rb_byteq_put(queue, "abcde", 5));
    assert_aborts(rb_byteq_take(queue, 1));
}

/* A long random walk against the simplest queue there is. */
static void a_random_walk_agrees_with_a_plain_array(void **state)
{
    RB_AUTO(rb_byteq) *queue = rb_byteq_new(61, 30);
    uint8_t plain[61], piece[61];
    const uint8_t *bytes;
    size_t used = 0;
    uint8_t next = 0;

    (void)state;
    srand(7);
    for (int i = 0; i < 100000; i++) {
        size_t put = (size_t)rand() % (61 - used + 1);

        for (size_t j = 0; j < put; j++)
            piece[j] = plain[used + j] = next++;
        rb_byteq_put(queue, piece, put);
        used += put;
        rb_byteq_check(queue);

        size_t seen = rb_byteq_peek(queue, &bytes);
        size_t take = seen > 0 ? (size_t)rand() % (seen + 1) : 0;

        assert_memory_equal(bytes, plain, seen);
        rb_byteq_take(queue, take);
        used -= take;
        memmove(plain, plain + take, used);
        assert_int_equal(rb_byteq_used(queue), used);
        rb_byteq_check(queue);
    }
}

UNIT_MAIN(T(bytes_come_out_in_order_across_the_wrap), T(an_empty_queue_offers_its_whole_room_in_one_piece),
          T(low_is_reached_at_the_mark_and_not_before), T(more_than_there_is_room_for_is_a_bug),
          T(a_random_walk_agrees_with_a_plain_array))
