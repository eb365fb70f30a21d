#include "tests/unit/unit.h"

#include "consumer/container.h"

#define EBML                                                                                                           \
    "\x1a\x45\xdf\xa3\x87\x42\x82\x84"                                                                                 \
    "webm"
#define VIDEO "\x16\x54\xae\x6b\x85\xae\x83\x83\x81\x01"
#define SOUND "\x16\x54\xae\x6b\x85\xae\x83\x83\x81\x02"
#define CLUSTER                                                                                                        \
    "\x1f\x43\xb6\x75\x86\xa3\x84"                                                                                     \
    "ABCD"
#define UNSIZED "\x1f\x43\xb6\x75\xff\xe7\x81\x00\xa3\x82XY"
#define CUES                                                                                                           \
    "\x1c\x53\xbb\x6b\x82"                                                                                             \
    "??"
#define SEGMENT "\x18\x53\x80\x67"

static int walk_as(bool webm, bool framed, const char *bytes, size_t count, size_t piece, struct rb_error *err)
{
    struct rb_container container;

    rb_container_init(&container, RB_FORMAT_BIT(MP4) | (webm ? RB_FORMAT_BIT(WEBM) : 0));
    for (size_t at = 0; at < count; at += piece)
        RB_TRY(rb_container_feed(&container, (const uint8_t *)bytes + at, RB_MIN(piece, count - at), err));
    return rb_container_finish(&container, framed, err);
}

#define WHOLE(text) text, sizeof(text) - 1
#define walk(...)   walk_as(true, true, __VA_ARGS__, &err)

/* sizes: VIDEO 10, CLUSTER 11, UNSIZED 12, CUES 7 */
static const struct {
    const char *bytes;
    size_t count;
    bool sized;
} rows[] = {
    {WHOLE(EBML SEGMENT "\x95" VIDEO CLUSTER), true},
    {WHOLE(EBML SEGMENT "\x01\0\0\0\0\0\0\x15" VIDEO CLUSTER), true},
    {WHOLE(EBML SEGMENT "\xa7" VIDEO CLUSTER CLUSTER CUES), true},
    {WHOLE(EBML SEGMENT "\xa8" VIDEO UNSIZED CLUSTER CUES), true},
    {WHOLE(EBML "\xec\x81z" SEGMENT "\x95" VIDEO CLUSTER), true},
    {WHOLE(EBML SEGMENT "\xff" VIDEO CLUSTER), false},
    {WHOLE(EBML SEGMENT "\x01\xff\xff\xff\xff\xff\xff\xff" VIDEO UNSIZED UNSIZED CUES), false},
};

static void whole_webms_are_taken_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        for (size_t piece = 1; piece <= rows[i].count; piece++)
            assert_works(walk(rows[i].bytes, rows[i].count, piece));
}

static void a_webm_that_was_cut_is_found_wherever_the_cut_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        for (size_t count = 0; rows[i].sized && count < rows[i].count; count++)
            assert_fails(walk(rows[i].bytes, count, 3), SOURCE_CUT);
}

static void a_webm_without_sizes_needs_a_source_that_says_where_the_end_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        if (rows[i].sized)
            assert_works(walk_as(true, false, rows[i].bytes, rows[i].count, 3, &err));
        else
            assert_fails(walk_as(true, false, rows[i].bytes, rows[i].count, 3, &err), SOURCE_CUT);
}

static void what_is_no_webm_is_refused(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE("\x1a\x45\xdf\xa3\x87\x42\x82\x84mkv "), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE("\x1a\x45\xdf\xa4\x87\x42\x82\x84webm"), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x95" SOUND CLUSTER), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x95" VIDEO CLUSTER CUES), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x94" VIDEO CLUSTER), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x8a\x1f\x43\xb6\x75\x01\0\0\0\0\0\0\x01x"), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x95\x00"), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x95\xa3\x00"), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\xff\xae\xff"), 4), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(EBML SEGMENT "\x8a" VIDEO), 4), SOURCE_CUT);
    assert_fails(walk(WHOLE(EBML), 4), SOURCE_CUT);
}

static void a_webm_is_taken_only_when_it_is_asked_for(void **state)
{
    unsigned formats = 0;

    (void)state;
    assert_fails(walk_as(false, true, rows[0].bytes, rows[0].count, 5, &err), NOT_A_VIDEO);
    assert_works(rb_container_formats("mp4", &formats, &err));
    assert_int_equal(formats, RB_FORMAT_BIT(MP4));
    assert_works(rb_container_formats("mp4,webm", &formats, &err));
    assert_int_equal(formats, RB_FORMAT_BIT(MP4) | RB_FORMAT_BIT(WEBM));
    assert_fails(rb_container_formats("webm", &formats, &err), BAD_OPTION);
    assert_fails(rb_container_formats("mp4, webm", &formats, &err), BAD_OPTION);
}

static void nothing_is_no_video(void **state)
{
    (void)state;
    assert_fails(walk("", 0, 1), SOURCE_CUT);
}

/* As in test_mp4.c. */
static void damaged_webms_do_no_harm_and_pieces_do_not_matter(void **state)
{
    uint64_t chance = 1;

    (void)state;
    for (size_t i = 0; i < 70000; i++) {
        char damaged[128];
        size_t count = rows[i % RB_COUNT(rows)].count;
        struct rb_error whole = {0}, pieces = {0};

        memcpy(damaged, rows[i % RB_COUNT(rows)].bytes, count);
        for (size_t changes = 0; changes <= i % 3; changes++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            damaged[(chance >> 33) % count] = (char)(chance >> 56);
        }
        assert_int_equal(walk_as(true, true, damaged, count, count, &whole),
                         walk_as(true, true, damaged, count, 1 + i % 7, &pieces));
        assert_int_equal(whole.code, pieces.code);
    }
}

UNIT_MAIN(T(damaged_webms_do_no_harm_and_pieces_do_not_matter), T(whole_webms_are_taken_in_pieces_of_any_size),
          T(a_webm_that_was_cut_is_found_wherever_the_cut_is),
          T(a_webm_without_sizes_needs_a_source_that_says_where_the_end_is), T(what_is_no_webm_is_refused),
          T(a_webm_is_taken_only_when_it_is_asked_for), T(nothing_is_no_video))
