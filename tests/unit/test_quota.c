#include "tests/unit/unit.h"

#include "common/marks.h"
#include "consumer/key.h"
#include "consumer/remove.h"
#include "consumer/usage.h"

#define GB  INT64_C(1000000000)
#define DAY INT64_C(86400000)

static void marks_are_percentages_or_bytes(void **state)
{
    struct rb_marks marks;

    (void)state;
    assert_works(rb_marks_read("q", 2 * GB, "80%", "1900MB", &marks, &err));
    assert_int_equal(marks.warn_bytes, 1600000000);
    assert_int_equal(marks.stop_bytes, 1900000000);
    assert_works(rb_marks_read("q", INT64_MAX / 2, "99%", "100%", &marks, &err));
    assert_int_equal(marks.stop_bytes, INT64_MAX / 2);
    assert_works(rb_marks_read("q", 0, "nonsense", "", &marks, &err)); /* there is no quota: nobody asks */
    assert_int_equal(marks.quota_bytes, 0);
}

static void marks_that_cannot_be_meant_are_refused(void **state)
{
    static const char *const wrong[][2] = {
        {"90%", "80%"},  {"80%", "101%"}, {"80%", "0%"},   {"", "90%"},      {"-1%", "90%"}, {"80%", "3GB"},
        {"80%%", "90%"}, {"0", "0"},      {"80 %", "90%"}, {"80%", "0x5f%"}, {"%", "90%"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++) {
        struct rb_marks marks;

        assert_fails(rb_marks_read("q", 2 * GB, wrong[i][0], wrong[i][1], &marks, &err), BAD_OPTION);
    }
}

static void a_low_mark_is_no_higher_than_the_mark(void **state)
{
    static const char *const wrong[] = {"91%", "1801MB", "0", "0%", "", "low"};
    struct rb_marks none = {0}, marks = {.quota_bytes = 2 * GB, .warn_bytes = GB, .stop_bytes = 1800000000};

    (void)state;
    assert_works(rb_marks_read_low("q", "90%", &marks, &err));
    assert_int_equal(marks.low_bytes, 1800000000);
    assert_works(rb_marks_read_low("q", "1GB", &marks, &err));
    assert_int_equal(marks.low_bytes, GB);
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_marks_read_low("q", wrong[i], &marks, &err), BAD_OPTION);
    assert_int_equal(marks.low_bytes, GB);
    assert_works(rb_marks_read_low("q", "nonsense", &none, &err)); /* there is no quota: nobody asks */
}

static void a_level_begins_at_its_mark(void **state)
{
    struct rb_marks none = {0}, marks = {.quota_bytes = 100, .warn_bytes = 80, .stop_bytes = 95};

    (void)state;
    assert_int_equal(rb_marks_level(&none, INT64_MAX), RB_MARKS_WELL);
    assert_int_equal(rb_marks_level(&marks, 79), RB_MARKS_WELL);
    assert_int_equal(rb_marks_level(&marks, 80), RB_MARKS_WARN);
    assert_int_equal(rb_marks_level(&marks, 94), RB_MARKS_WARN);
    assert_int_equal(rb_marks_level(&marks, 95), RB_MARKS_STOP);
    assert_int_equal(rb_marks_level(&marks, INT64_MAX), RB_MARKS_STOP);
}

static void the_days_left_come_from_what_has_grown(void **state)
{
    struct rb_marks none = {0}, marks = {.quota_bytes = 10 * GB, .warn_bytes = 8 * GB, .stop_bytes = 9 * GB};

    (void)state;
    assert_int_equal(rb_marks_days_left(&none, GB, GB, DAY), -1);
    assert_int_equal(rb_marks_days_left(&marks, 2 * GB, 7 * GB, 7 * DAY), 7);
    assert_int_equal(rb_marks_days_left(&marks, 2 * GB, 2 * GB, DAY), 3);
    assert_int_equal(rb_marks_days_left(&marks, 9 * GB, 1, DAY), 0);
    assert_int_equal(rb_marks_days_left(&marks, 20 * GB, 0, DAY), 0);
    assert_int_equal(rb_marks_days_left(&marks, 2 * GB, 0, DAY), -1);
    assert_int_equal(rb_marks_days_left(&marks, 2 * GB, -GB, DAY), -1);
    assert_int_equal(rb_marks_days_left(&marks, 2 * GB, GB, 1000), -1); /* too short to say */
    assert_int_equal(rb_marks_days_left(&marks, 2 * GB, 1, 7 * DAY), 36500);
}

static void there_are_four_things_to_do(void **state)
{
    enum rb_usage_then then;

    (void)state;
    assert_works(rb_usage_then_read("wait", &then, &err));
    assert_int_equal(then, RB_USAGE_WAIT);
    assert_works(rb_usage_then_read("keep", &then, &err));
    assert_int_equal(then, RB_USAGE_KEEP);
    assert_works(rb_usage_then_read("cleanup", &then, &err));
    assert_int_equal(then, RB_USAGE_CLEANUP);
    assert_fails(rb_usage_then_read("panic", &then, &err), BAD_OPTION);
}

static void what_goes_is_chosen_by_a_query(void **state)
{
    static char table[] = "app.clips", id[] = "id", url[] = "link";
    const struct rb_common_options options = {.table = table, .column_id = id, .column_video_url = url};
    RB_AUTO_TEXT *sql = rb_remove_sql(&options, "SELECT 'next' AS verdict, $2::uuid AS video_id", false);

    (void)state;
    assert_ptr_equal(strstr(sql, "WITH chosen AS (SELECT 'next' AS verdict, $2::uuid AS video_id), written AS ("), sql);
    assert_non_null(strstr(sql, "UPDATE \"app\".\"clips\" h SET \"link\" = written.source_url"));
    assert_non_null(strstr(sql, "h.\"id\" = written.video_id AND h.\"link\" = written.stored_url"));
}

static void a_key_is_made_from_a_template(void **state)
{
    static const struct {
        const char *key_template, *extension, *key;
    } rows[] = {
        {"{user_id}/{video_id}.mp4", "mp4", "u-1/v_2.mp4"},
        {"{user_id}/{video_id}.mp4", "webm", "u-1/v_2.webm"},
        {"reels/{video_id}.mp4", "mp4", "reels/v_2.mp4"},
        {"a/{user_id}-{video_id}/{video_id}.x.mp4", "webm", "a/u-1-v_2/v_2.x.webm"},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        RB_AUTO_TEXT *key = NULL;

        assert_works(rb_key_check(rows[i].key_template, &err));
        assert_works(rb_key_make(rows[i].key_template, "u-1", "v_2", rows[i].extension, &key, &err));
        assert_string_equal(key, rows[i].key);
    }
}

#define ID    "6b3f0c52-7f43-4c53-8c1e-2b7d6f1f6a11"
#define OTHER "6b3f0c52-7f43-4c53-8c1e-2b7d6f1f6a12"

static void a_key_tells_its_video_and_nobody_elses(void **state)
{
    static const struct {
        const char *key_template, *key;
        bool ours;
    } rows[] = {
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".mp4", true},
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".webm", true},
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".thumbnail.webp", true},
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".spritesheet.jpg", true},
        {"a/{user_id}-{video_id}/{video_id}.x.mp4", "a/" OTHER "-" ID "/" ID ".x.mp4", true},
        {"a/{user_id}-{video_id}/{video_id}.x.mp4", "a/u-" ID "/" OTHER ".x.mp4", false},
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".jpg", false},
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".thumbnail.json", false},
        {"{user_id}/{video_id}.mp4", "u-1/" ID ".mp4.part", false},
        {"{user_id}/{video_id}.mp4", "u-1/6B3F0C52-7f43-4c53-8c1e-2b7d6f1f6a11.mp4", false},
        {"{user_id}/{video_id}.mp4", "u-1/6b3f0c52.mp4", false},
        {"{user_id}/{video_id}.mp4", "u/1/" ID ".mp4", false},
        {"{user_id}/{video_id}.mp4", "/" ID ".mp4", false},
        {"{user_id}/{video_id}.mp4", ID ".mp4", false},
        {"{user_id}/{video_id}.mp4", "u-1/", false},
        {"{user_id}/{video_id}.mp4", "", false},
        {"reels/{video_id}.mp4", "reel", false},
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        char video_id[RB_UUID_TEXT_BYTES];

        assert_int_equal(rb_key_read(rows[i].key_template, rows[i].key, video_id), rows[i].ours);
        if (rows[i].ours)
            assert_string_equal(video_id, ID);
    }
}

static void templates_that_lead_astray_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{user_id}.mp4",
        "{video_id}",
        "{video_id}.mov",
        "/{video_id}.mp4",
        "../{video_id}.mp4",
        "a/../{video_id}.mp4",
        "a/./{video_id}.mp4",
        "a//{video_id}.mp4",
        "{video_id}/.mp4/",
        "{video_id}/..mp4/..",
        "{video}/{video_id}.mp4",
        "{video_id}.mp4}",
        "a b/{video_id}.mp4",
        "a\\{video_id}.mp4",
        "a%2f{video_id}.mp4",
        "\xc3\xa9/{video_id}.mp4",
        "a\n{video_id}.mp4",
        "{video_id}{video_id}{video_id}{video_id}{video_id}.mp4",
    };
    char large[400];

    (void)state;
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_key_check(wrong[i], &err), BAD_OPTION);
    memset(large, 'a', sizeof(large));
    memcpy(large + 300, "{video_id}.mp4", sizeof("{video_id}.mp4"));
    assert_fails(rb_key_check(large, &err), BAD_OPTION);
}

static void ids_that_lead_astray_are_refused_where_they_are_used(void **state)
{
    static const char *const wrong[] = {"", "../x", "auth0|1", "a@example.com", "a/b", "{video_id}", "a b", "\xc3\xa9"};
    char large[RB_KEY_ID_MAX_BYTES + 2] = "";

    (void)state;
    memset(large, 'a', sizeof(large) - 1);
    for (size_t i = 0; i <= RB_COUNT(wrong); i++) {
        const char *id = i < RB_COUNT(wrong) ? wrong[i] : large;
        RB_AUTO_TEXT *key = NULL;

        assert_fails(rb_key_make("{user_id}/{video_id}.mp4", id, "v", "mp4", &key, &err), BAD_EVENT);
        assert_fails(rb_key_make("{user_id}/{video_id}.mp4", "u", id, "mp4", &key, &err), BAD_EVENT);
        assert_works(rb_key_make("{video_id}.mp4", id, "v", "mp4", &key, &err));
        assert_string_equal(key, "v.mp4");
    }
}

static void a_video_of_nobody_has_a_key_too(void **state)
{
    RB_AUTO_TEXT *key = NULL;

    (void)state;
    assert_works(rb_key_make("{user_id}/{video_id}.mp4", NULL, "v", "mp4", &key, &err));
    assert_string_equal(key, "anonymous/v.mp4");
}

UNIT_MAIN(T(marks_are_percentages_or_bytes), T(marks_that_cannot_be_meant_are_refused), T(a_level_begins_at_its_mark),
          T(the_days_left_come_from_what_has_grown), T(there_are_four_things_to_do),
          T(a_low_mark_is_no_higher_than_the_mark), T(what_goes_is_chosen_by_a_query), T(a_key_is_made_from_a_template),
          T(a_key_tells_its_video_and_nobody_elses), T(templates_that_lead_astray_are_refused),
          T(ids_that_lead_astray_are_refused_where_they_are_used), T(a_video_of_nobody_has_a_key_too))
