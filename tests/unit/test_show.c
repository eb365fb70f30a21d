#include "tests/unit/unit.h"

#include "common/bar.h"
#include "common/moment.h"
#include "common/show.h"

static void numbers_are_grouped_by_three(void **state)
{
    char text[RB_SHOW_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_show_count(0, text), "0");
    assert_string_equal(rb_show_count(999, text), "999");
    assert_string_equal(rb_show_count(1000, text), "1,000");
    assert_string_equal(rb_show_count(-123456, text), "-123,456");
    assert_string_equal(rb_show_count(INT64_MIN, text), "-9,223,372,036,854,775,808");
}

static void bytes_are_shown_in_the_unit_that_fits(void **state)
{
    char text[RB_SHOW_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_show_bytes(0, text), "0 B");
    assert_string_equal(rb_show_bytes(1023, text), "1023 B");
    assert_string_equal(rb_show_bytes(1024, text), "1.0 KiB");
    assert_string_equal(rb_show_bytes((1 << 20) - 1, text), "1.0 MiB");
    assert_string_equal(rb_show_bytes(-1536, text), "-1.5 KiB");
    assert_string_equal(rb_show_bytes(INT64_MAX, text), "8.0 EiB");
}

static void durations_have_one_or_two_units(void **state)
{
    char text[RB_SHOW_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_show_ms(999, text), "999 ms");
    assert_string_equal(rb_show_ms(59999, text), "59 s");
    assert_string_equal(rb_show_ms(185000, text), "3 min 5 s");
    assert_string_equal(rb_show_ms(7800000, text), "2 h 10 min");
    assert_string_equal(rb_show_ms(99 * 3600000ll, text), "4 d 3 h");
}

static void assert_shown(const char *bytes, size_t count, const char *expected)
{
    RB_AUTO_BUFFER text = {0};

    rb_show_text(&text, bytes, count);
    assert_string_equal(text.bytes, expected);
}

#define SHOWN(bytes, expected) assert_shown(bytes, sizeof(bytes) - 1, expected)

static void a_terminal_obeys_nothing_that_others_wrote(void **state)
{
    (void)state;
    SHOWN("plain text", "plain text");
    SHOWN("a\nb\tc\rd", "a\\nb\\tc\\x0dd");
    SHOWN("\x1b[31m\x7f", "\\x1b[31m\\x7f");
    SHOWN("Gr\xc3\xbc\xc3\x9f"
          "e \xf0\x9f\x8e\xac",
          "Gr\xc3\xbc\xc3\x9f"
          "e \xf0\x9f\x8e\xac");
    SHOWN("\xc2\x9b", "\\xc2\\x9b");                              /* a control character beyond ASCII */
    SHOWN("\xe2\x80\xae", "\\xe2\\x80\\xae");                     /* writes from right to left */
    SHOWN("\xc0\xaf \xed\xa0\x80", "\\xc0\\xaf \\xed\\xa0\\x80"); /* no UTF-8: too long, half a pair */
    SHOWN("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
    SHOWN("cut \xe2\x82", "cut \\xe2\\x82");
    assert_shown("a\0b", 3, "a\\x00b");
}

static void assert_shown_as_value(const char *text, const char *expected)
{
    RB_AUTO_BUFFER value = {0};

    rb_show_value(&value, text, strlen(text));
    assert_string_equal(value.bytes, expected);
}

static void a_value_forges_no_others(void **state)
{
    RB_AUTO_BUFFER quoted = {0};

    (void)state;
    assert_shown_as_value("plain", "plain");
    assert_shown_as_value("", "\"\"");
    assert_shown_as_value("two words", "\"two words\"");
    assert_shown_as_value("a=b", "\"a=b\"");
    assert_shown_as_value("x\" user=\"root", "\"x\\\" user=\\\"root\"");
    assert_shown_as_value("x\\", "\"x\\\\\"");
    assert_shown_as_value("a\nb", "\"a\\nb\"");
    assert_shown_as_value("a\\nb", "\"a\\\\nb\"");
    rb_show_quoted(&quoted, "a\0\"", 3);
    assert_string_equal(quoted.bytes, "\"a\\x00\\\"\"");
}

#define NOW INT64_C(1790000000000) /* 2026-09-21T14:13:20Z */

static int64_t moment(const char *text)
{
    int64_t ms = 0;

    assert_works(rb_moment_parse("since", text, NOW, &ms, &err));
    return ms;
}

static void a_moment_is_read_as_people_name_it(void **state)
{
    int64_t ms;

    (void)state;
    assert_int_equal(moment("now"), NOW);
    assert_int_equal(moment("15m"), NOW - 900000);
    assert_int_equal(moment("0"), NOW);
    assert_int_equal(moment("2026-09-21"), NOW - (14 * 3600 + 13 * 60 + 20) * 1000);
    assert_int_equal(moment("2026-09-21T16:13:20+02:00"), NOW);
    assert_fails(rb_moment_parse("since", "", NOW, &ms, &err), BAD_OPTION);
    assert_fails(rb_moment_parse("since", "yesterday", NOW, &ms, &err), BAD_OPTION);
    assert_fails(rb_moment_parse("since", "2026-13-01", NOW, &ms, &err), BAD_OPTION);
    assert_fails(rb_moment_parse("since", "99999d", NOW, &ms, &err), BAD_OPTION); /* before 1970 */
}

static void a_bar_says_how_far_how_fast_and_how_long(void **state)
{
    struct rb_bar_config config = {.name = "verify", .unit = "videos", .width = 100};
    struct rb_bar_view view = {.done = 4500, .total = 10000, .rate = 812.4};
    char text[RB_BAR_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_bar_text(&config, &view, text),
                        "verify: [##########..............]  45%, 4,500 of 10,000 videos, 812/s, 6 s left");
    config.width = 0;
    assert_string_equal(rb_bar_text(&config, &view, text), "verify:  45%, 4,500 of 10,000 videos, 812/s, 6 s left");
    config.width = 20;
    assert_string_equal(rb_bar_text(&config, &view, text), "verify:  45%, 4,500");
}

static void a_bar_says_no_more_than_is_known(void **state)
{
    struct rb_bar_config config = {.name = "verify", .unit = "videos", .width = 100};
    char text[RB_BAR_TEXT_BYTES];

    (void)state;
    assert_string_equal(rb_bar_text(&config, &(struct rb_bar_view){.done = 7, .total = -1, .rate = 2.5}, text),
                        "verify: 7 videos, 2.5/s");
    assert_string_equal(rb_bar_text(&config, &(struct rb_bar_view){.total = 0}, text),
                        "verify: [........................]   0%, 0 of 0 videos");
    assert_string_equal(rb_bar_text(&config, &(struct rb_bar_view){.done = 12, .total = 10, .rate = 1}, text),
                        "verify: [########################] 120%, 12 of 10 videos, 1.0/s");
}

UNIT_MAIN(T(numbers_are_grouped_by_three), T(bytes_are_shown_in_the_unit_that_fits), T(durations_have_one_or_two_units),
          T(a_terminal_obeys_nothing_that_others_wrote), T(a_value_forges_no_others),
          T(a_moment_is_read_as_people_name_it), T(a_bar_says_how_far_how_fast_and_how_long),
          T(a_bar_says_no_more_than_is_known))
