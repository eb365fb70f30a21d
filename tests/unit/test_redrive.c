/* What headers say about how often a record was sent once more. */
#include "tests/unit/unit.h"

#include "consumer/redrive_header.h"

static void a_number_is_read_and_anything_else_is_not(void **state)
{
    static const char *const wrong[] = {"", "x", "-1", "1x", "99999999999999999999999999", "9999999999999999999"};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);

    (void)state;
    assert_int_equal(rb_redrive_number(NULL, RB_REDRIVE_COUNT, 7), 7);
    assert_int_equal(rb_redrive_number(headers, RB_REDRIVE_COUNT, 7), 7);
    rd_kafka_header_add(headers, RB_REDRIVE_COUNT, -1, NULL, 0);
    assert_int_equal(rb_redrive_number(headers, RB_REDRIVE_COUNT, 7), 7);
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        rd_kafka_header_add(headers, RB_REDRIVE_COUNT, -1, wrong[i], -1);
        assert_int_equal(rb_redrive_number(headers, RB_REDRIVE_COUNT, 7), 7);
    }
    rb_redrive_add(headers, RB_REDRIVE_COUNT, 3); /* the last one counts */
    assert_int_equal(rb_redrive_number(headers, RB_REDRIVE_COUNT, 7), 3);
    rd_kafka_headers_destroy(headers);
}

static void a_dead_letter_gets_back_the_headers_that_it_had(void **state)
{
    rd_kafka_headers_t *letter = rd_kafka_headers_new(8), *back;
    const char *name;
    const void *value;
    size_t bytes;

    (void)state;
    rd_kafka_header_add(letter, "ce_id", -1, "a\0b", 3);
    rd_kafka_header_add(letter, "twice", -1, "1", 1);
    rb_redrive_add(letter, RB_REDRIVE_COUNT, 1);
    rb_redrive_add(letter, RB_REDRIVE_ATTEMPT, 4);
    rd_kafka_header_add(letter, "twice", -1, NULL, 0);
    rd_kafka_header_add(letter, "reelbus.error.code", -1, "bad_event", -1);
    rd_kafka_header_add(letter, "__connect.errors.topic", -1, "t", -1);
    rd_kafka_header_add(letter, "kafka_dlt-original-offset", -1, "\0\0", 2);
    back = rb_redrive_headers(letter, 2);
    assert_int_equal(rd_kafka_header_cnt(back), 5);
    assert_int_equal(rd_kafka_header_get_all(back, 0, &name, &value, &bytes), 0);
    assert_string_equal(name, "ce_id");
    assert_int_equal(bytes, 3);
    assert_memory_equal(value, "a\0b", 3);
    assert_int_equal(rd_kafka_header_get_all(back, 3, &name, &value, &bytes), 0);
    assert_string_equal(name, "twice");
    assert_null(value);
    assert_int_equal(rb_redrive_number(back, RB_REDRIVE_COUNT, 0), 2);
    assert_int_equal(rb_redrive_number(back, RB_REDRIVE_ATTEMPT, 0), 4);
    rd_kafka_headers_destroy(back);
    back = rb_redrive_headers(NULL, 1);
    assert_int_equal(rd_kafka_header_cnt(back), 1);
    rd_kafka_headers_destroy(back);
    rd_kafka_headers_destroy(letter);
}

UNIT_MAIN(T(a_number_is_read_and_anything_else_is_not), T(a_dead_letter_gets_back_the_headers_that_it_had))
