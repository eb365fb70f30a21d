/* The pure parts of telling frontends: ask, notify, live_table, view with numbers; and when progress is news. */
#include "tests/unit/unit.h"

#include "common/hash.h"
#include "common/notify.h"
#include "consumer/progress.h"
#include "producer/ask.h"
#include "producer/live_table.h"
#include "producer/view.h"

#define A "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab"
#define B "00000000-0000-4000-8000-000000000000"

static void one_id_and_several_are_read(void **state)
{
    struct rb_ask_ids ids;

    (void)state;
    assert_works(rb_ask_ids("7F3A0C4E-9b1d-4c2f-8a5e-0123456789AB", &ids, &err));
    assert_int_equal(ids.count, 1);
    assert_false(ids.many);
    assert_string_equal(ids.list[0], A);
    assert_works(rb_ask_ids(B "," A "," B, &ids, &err));
    assert_int_equal(ids.count, 2);
    assert_true(ids.many);
    assert_string_equal(ids.list[0], B);
    assert_string_equal(ids.list[1], A);
    assert_works(rb_ask_ids(A "," A, &ids, &err));
    assert_int_equal(ids.count, 1);
    assert_true(ids.many);
}

static void ids_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {NULL, "", ",", A ",", "," A, A ",x", A " ", A A, A "," A "0", "x"};
    struct rb_ask_ids ids;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_ask_ids(wrong[i], &ids, &err), BAD_REQUEST);
}

static void a_hundred_ids_are_enough(void **state)
{
    RB_AUTO_BUFFER text = {0};
    struct rb_ask_ids ids;

    (void)state;
    for (int i = 0; i < RB_ASK_IDS_MAX; i++)
        rb_buffer_print(&text, "%s00000000-0000-4000-8000-%012d", i == 0 ? "" : ",", i);
    assert_works(rb_ask_ids(text.bytes, &ids, &err));
    assert_int_equal(ids.count, RB_ASK_IDS_MAX);
    rb_buffer_print(&text, ",00000000-0000-4000-8000-000000000007");
    assert_works(rb_ask_ids(text.bytes, &ids, &err)); /* one that is there already */
    rb_buffer_print(&text, "," A);
    assert_fails(rb_ask_ids(text.bytes, &ids, &err), BAD_REQUEST);
}

static void an_etag_is_quoted_and_of_the_bytes(void **state)
{
    char one[RB_ASK_ETAG_BYTES], two[RB_ASK_ETAG_BYTES];

    (void)state;
    assert_string_equal(rb_ask_etag("", one), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
    assert_string_equal(rb_ask_etag("abc", one), "\"ba7816bf8f01cfea414140de5dae2223\"");
    assert_string_equal(rb_ask_etag("abc", two), one);
    assert_string_not_equal(rb_ask_etag("abd", two), one);
}

static void if_none_match_is_a_list(void **state)
{
    static const struct {
        const char *header;
        bool matches;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"\"a\"", true},
        {"W/\"a\"", true},
        {"*", true},
        {"a", false},
        {"\"b\"", false},
        {"\"b\",\"a\"", true},
        {"\"b\" , W/\"a\"", true},
        {"\"a", false},
        {"\"b,\\\"a\\\"", false},
        {"\"x,\"a\"", false},
        {",, ,\"a\"", true},
        {"\"aa\"", false},
        {"W/", false},
        {"\"b\",*", true},
        {"\"", false},
        {"W/W/\"a\"", false},
        {"\"b\" \"a\"", false},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        if (rb_ask_has_etag(rows[i].header, "\"a\"") != rows[i].matches)
            fail_msg("row %zu: %s", i, rows[i].header);
}

static void an_event_is_framed_as_the_standard_says(void **state)
{
    RB_AUTO_BUFFER text = {0};

    (void)state;
    rb_ask_event(&text, "status", 1795403655897081, "{\"a\":1}");
    rb_ask_event(&text, "unknown", -1, "{}");
    rb_ask_event(&text, "status", 0, "{}");
    assert_string_equal(text.bytes, "event: status\nid: 1795403655897081\ndata: {\"a\":1}\n\n"
                                    "event: unknown\ndata: {}\n\n"
                                    "event: status\nid: 0\ndata: {}\n\n");
}

static void a_last_event_id_is_ours_or_none(void **state)
{
    (void)state;
    assert_int_equal(rb_ask_last_event("1795403655897081"), 1795403655897081);
    assert_int_equal(rb_ask_last_event("0"), 0);
    assert_int_equal(rb_ask_last_event(NULL), -1);
    assert_int_equal(rb_ask_last_event(""), -1);
    assert_int_equal(rb_ask_last_event("-5"), -1);
    assert_int_equal(rb_ask_last_event("12x"), -1);
    assert_int_equal(rb_ask_last_event("99999999999999999999999"), -1);
}

static void percents_are_rounded_down_and_never_above_a_hundred(void **state)
{
    (void)state;
    assert_int_equal(rb_notify_percent(0, 1000), 0);
    assert_int_equal(rb_notify_percent(999, 1000), 99);
    assert_int_equal(rb_notify_percent(1000, 1000), 100);
    assert_int_equal(rb_notify_percent(2000, 1000), 100);
    assert_int_equal(rb_notify_percent(INT64_MAX - 1, INT64_MAX), 100);
    assert_int_equal(rb_notify_percent(5, 0), RB_NOTIFY_UNKNOWN);
    assert_int_equal(rb_notify_percent(5, -1), RB_NOTIFY_UNKNOWN);
}

static void a_notification_is_read_as_it_was_written(void **state)
{
    struct rb_notify notify = {.video_id = A, .progress = true, .bytes = 500, .total = 1000, .percent = 50}, back;
    RB_AUTO_BUFFER known = {0}, unknown = {0};

    (void)state;
    rb_notify_print(&notify, &known);
    assert_string_equal(known.bytes, "{\"id\":\"" A "\",\"bytes\":500,\"total\":1000,\"percent\":50}");
    assert_true(rb_notify_parse(known.bytes, &back));
    assert_true(back.progress && back.bytes == 500 && back.total == 1000 && back.percent == 50);
    notify.total = -1;
    rb_notify_print(&notify, &unknown);
    assert_true(rb_notify_parse(unknown.bytes, &back));
    assert_true(back.progress && back.bytes == 500 && back.total == -1 && back.percent == -1);
    assert_true(rb_notify_parse("7F3A0C4E-9b1d-4c2f-8a5e-0123456789AB", &back));
    assert_string_equal(back.video_id, A);
    assert_false(back.progress);
}

static void foreign_notifications_are_passed_over(void **state)
{
    static const char *const foreign[] = {
        "",
        "x",
        "{",
        "{}",
        "[]",
        A " ",
        "{\"id\":\"" A "\"}",
        "{\"id\":\"x\",\"bytes\":1}",
        "{\"bytes\":1}",
        "{\"id\":\"" A "\",\"bytes\":-1}",
        "{\"id\":\"" A "\",\"bytes\":\"1\"}",
        "{\"id\":\"" A "\",\"bytes\":1.5}",
        "{\"id\":\"" A "\",\"bytes\":1}x",
    };
    struct rb_notify notify;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(foreign); i++)
        if (rb_notify_parse(foreign[i], &notify))
            fail_msg("taken: %s", foreign[i]);
}

static void progress_is_news_by_a_percent_a_mebibyte_or_after_a_while(void **state)
{
    struct rb_progress_entry entry = {0};

    (void)state;
    assert_false(rb_progress_is_news(&entry, 0, 0, 5000));
    assert_true(rb_progress_is_news(&entry, 1, 0, 5000));
    entry = (struct rb_progress_entry){.told_ms = 5000, .told_bytes = 100, .told_percent = 10};
    assert_false(rb_progress_is_news(&entry, 105, 10, 6000));
    assert_true(rb_progress_is_news(&entry, 110, 11, 6000));
    assert_true(rb_progress_is_news(&entry, 100, 10, 15000));
    assert_false(rb_progress_is_news(&entry, 100 + (1 << 20) - 1, -1, 6000));
    assert_true(rb_progress_is_news(&entry, 100 + (1 << 20), -1, 6000));
}

static void id_of(int number, char ret_id[RB_UUID_TEXT_BYTES])
{
    snprintf(ret_id, RB_UUID_TEXT_BYTES, "00000000-0000-4000-8000-%012d", number);
}

static void drop_even(struct rb_live_video *video, void *arg)
{
    if (video->row_hash % 2 == 0)
        rb_live_table_drop(arg, video);
}

static void a_table_keeps_what_is_put_in_while_it_grows(void **state)
{
    struct rb_live_table table = {0};
    char id[RB_UUID_TEXT_BYTES];

    (void)state;
    assert_null(rb_live_table_find(&table, A));
    for (int i = 0; i < 5000; i++) {
        id_of(i, id);
        rb_live_table_put(&table, id)->row_hash = (uint64_t)i;
    }
    id_of(77, id);
    assert_ptr_equal(rb_live_table_put(&table, id), rb_live_table_find(&table, id));
    assert_int_equal(table.count, 5000);
    rb_live_table_each(&table, drop_even, &table);
    assert_int_equal(table.count, 2500);
    for (int i = 0; i < 5000; i++) {
        struct rb_live_video *video;

        id_of(i, id);
        video = rb_live_table_find(&table, id);
        assert_true(i % 2 == 0 ? video == NULL : video != NULL && video->row_hash == (uint64_t)i);
    }
    rb_live_table_done(&table);
    assert_int_equal(table.count, 0);
}

static void ids_that_somebody_has_chosen_do_not_share_a_bucket(void **state)
{
    struct rb_live_table table = {0};
    char id[RB_UUID_TEXT_BYTES];
    size_t longest = 0;

    (void)state;
    for (unsigned i = 0; table.count < 256; i++) {
        snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012x", i);
        if (rb_hash_text(id) % 1024 == 0) /* as a stranger would look for ids that make a table slow */
            rb_live_table_put(&table, id);
    }
    for (size_t i = 0; i < table.bucket_count; i++) {
        size_t count = 0;

        for (const struct rb_live_video *video = table.buckets[i]; video != NULL; video = video->next)
            count++;
        longest = RB_MAX(longest, count);
    }
    assert_in_range(longest, 1, 16);
    rb_live_table_done(&table);
}

static void numbers_are_shown_of_a_video_that_is_being_stored_alone(void **state)
{
    struct rb_view processing = {.state = "processing", .video_url = "u"}, stored = {.state = "stored", .bytes = "7"};
    RB_AUTO_JSON *one = rb_view_json(&processing), *two = rb_view_json(&stored);

    (void)state;
    assert_true(json_is_null(json_object_get(one, "storedPercent")) && json_is_null(json_object_get(one, "bytes")));
    rb_view_set_stored(one, 10, 40, 25);
    rb_view_set_stored(two, 10, 40, 25);
    assert_int_equal(json_integer_value(json_object_get(one, "storedPercent")), 25);
    assert_int_equal(json_integer_value(json_object_get(one, "bytesTotal")), 40);
    assert_true(json_is_null(json_object_get(two, "storedPercent")));
    assert_int_equal(json_integer_value(json_object_get(two, "bytes")), 7);
    rb_view_set_stored(one, 11, -1, -1);
    assert_true(json_is_null(json_object_get(one, "storedPercent")) &&
                json_is_null(json_object_get(one, "bytesTotal")));
    assert_int_equal(json_integer_value(json_object_get(one, "bytes")), 11);
}

static void a_view_says_whether_it_is_the_end(void **state)
{
    static const struct {
        struct rb_view view;
        bool terminal;
    } rows[] = {
        {{.state = NULL}, false},
        {{.state = NULL, .video_url = "u"}, false},
        {{.state = "waiting"}, false},
        {{.state = "processing"}, false},
        {{.state = "stored"}, true},
        {{.state = "deleted"}, true},
        {{.state = "failed", .error_class = "source"}, true},
        {{.state = "failed", .error_class = "generation_failed"}, true},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_JSON *object = rb_view_json(&rows[i].view);

        assert_int_equal(rb_view_is_terminal(object), rows[i].terminal);
    }
}

UNIT_MAIN(T(ids_that_somebody_has_chosen_do_not_share_a_bucket), T(one_id_and_several_are_read),
          T(ids_that_are_none_are_refused), T(a_hundred_ids_are_enough), T(an_etag_is_quoted_and_of_the_bytes),
          T(if_none_match_is_a_list), T(an_event_is_framed_as_the_standard_says), T(a_last_event_id_is_ours_or_none),
          T(percents_are_rounded_down_and_never_above_a_hundred), T(a_notification_is_read_as_it_was_written),
          T(foreign_notifications_are_passed_over), T(progress_is_news_by_a_percent_a_mebibyte_or_after_a_while),
          T(a_table_keeps_what_is_put_in_while_it_grows), T(numbers_are_shown_of_a_video_that_is_being_stored_alone),
          T(a_view_says_whether_it_is_the_end))
