#include "tests/unit/unit.h"

#include "common/units.h"

static void bytes_are_read_with_binary_and_decimal_units(void **state)
{
    int64_t bytes = -1;

    (void)state;
    assert_int_equal(rb_units_parse_bytes("0", &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(rb_units_parse_bytes("64KiB", &bytes), 0);
    assert_int_equal(bytes, 65536);
    assert_int_equal(rb_units_parse_bytes("2GB", &bytes), 0);
    assert_int_equal(bytes, 2000000000);
}

static void durations_need_a_unit(void **state)
{
    int64_t ms = -1;

    (void)state;
    assert_int_equal(rb_units_parse_ms("0", &ms), 0);
    assert_int_equal(ms, 0);
    assert_int_equal(rb_units_parse_ms("90s", &ms), 0);
    assert_int_equal(ms, 90000);
    assert_int_equal(rb_units_parse_ms("90", &ms), -1);
}

static void what_is_no_amount_is_refused_and_writes_nothing(void **state)
{
    static const char *const wrong[] = {"",  "-1", "+1", " 1", "1 ", "1.5s", "s", "1kib", "0x10", "9223372036854775808",
                                        "1S"};
    int64_t value = 42;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        assert_int_equal(rb_units_parse_bytes(wrong[i], &value), -1);
        assert_int_equal(rb_units_parse_ms(wrong[i], &value), -1);
    }
    assert_int_equal(rb_units_parse_bytes("9000000TiB", &value), -1);
    assert_int_equal(rb_units_parse_number("1.0", &value), -1);
    assert_int_equal(rb_units_parse_number("--1", &value), -1);
    assert_int_equal(value, 42);
    assert_int_equal(rb_units_parse_number("-7", &value), 0);
    assert_int_equal(value, -7);
}

static void what_is_written_is_read_back(void **state)
{
    static const int64_t amounts[] = {0, 1, 999, 1000, 1024, 60000, 65536, 86400000, 3600000, 1 << 30, 1234567};
    char text[RB_UNITS_TEXT_BYTES];
    int64_t again;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(amounts); i++) {
        assert_int_equal(rb_units_parse_bytes(rb_units_bytes_text(amounts[i], text), &again), 0);
        assert_int_equal(again, amounts[i]);
        assert_int_equal(rb_units_parse_ms(rb_units_ms_text(amounts[i], text), &again), 0);
        assert_int_equal(again, amounts[i]);
    }
    assert_string_equal(rb_units_ms_text(90000, text), "90s");
    assert_string_equal(rb_units_bytes_text(4 << 20, text), "4MiB");
}

UNIT_MAIN(T(bytes_are_read_with_binary_and_decimal_units), T(durations_need_a_unit),
          T(what_is_no_amount_is_refused_and_writes_nothing), T(what_is_written_is_read_back))
