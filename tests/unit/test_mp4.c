#include "tests/unit/unit.h"

#include "consumer/mp4.h"

#define FTYP                                                                                                           \
    "\0\0\0\x10"                                                                                                       \
    "ftypisom\0\0\0\0"
#define MOOV                                                                                                           \
    "\0\0\0\x0c"                                                                                                       \
    "moov1234"
#define MDAT                                                                                                           \
    "\0\0\0\x0b"                                                                                                       \
    "mdatabc"
#define BIG                                                                                                            \
    "\0\0\0\x01"                                                                                                       \
    "mdat\0\0\0\0\0\0\0\x13"                                                                                           \
    "abc"
#define REST "\0\0\0\0mdat-to-the-end"

/* Walk over bytes in pieces of some size, to the end. */
static int walk(const char *bytes, size_t count, size_t piece, struct rb_error *err)
{
    struct rb_mp4 mp4;

    rb_mp4_init(&mp4);
    for (size_t at = 0; at < count; at += piece)
        RB_TRY(rb_mp4_feed(&mp4, (const uint8_t *)bytes + at, RB_MIN(piece, count - at), err));
    return rb_mp4_finish(&mp4, err);
}

#define WHOLE(text) text, sizeof(text) - 1

static void whole_files_are_taken_in_pieces_of_any_size(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } rows[] = {{WHOLE(FTYP MOOV MDAT)},
                {WHOLE(FTYP MDAT MOOV)},
                {WHOLE(FTYP MOOV BIG)},
                {WHOLE(FTYP MOOV REST)},
                {WHOLE(FTYP MOOV "\0\0\0\x08moof" MDAT "\0\0\0\x08"
                                 "free")}};

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        for (size_t piece = 1; piece <= rows[i].count; piece++)
            assert_works(walk(rows[i].bytes, rows[i].count, piece, &err));
}

static void a_file_that_was_cut_is_found_wherever_the_cut_is(void **state)
{
    static const char file[] = FTYP MOOV MDAT;

    (void)state;
    for (size_t count = 0; count < sizeof(file) - 1; count++)
        for (size_t piece = 1; piece <= 8; piece++)
            assert_fails(walk(file, count, piece, &err), SOURCE_CUT);
}

static void a_file_without_its_index_or_its_media_is_not_whole(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE(FTYP MDAT), 5, &err), SOURCE_CUT);
    assert_fails(walk(WHOLE(FTYP MOOV), 5, &err), SOURCE_CUT);
}

static void what_is_no_mp4_is_refused(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE("GIF89a..........."), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE("\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f"), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(MOOV MDAT), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP "\0\0\0\x07moov"), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP "\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f"), 4, &err), NOT_A_VIDEO);
}

static void a_page_is_told_from_a_broken_video(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE("<!doctype html><title>Expired</title>"), 7, &err), SOURCE_PAGE);
    assert_fails(walk(WHOLE("{\"error\": \"expired\"}"), 7, &err), SOURCE_PAGE);
}

static void sizes_at_the_edge_of_64_bits_do_no_harm(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE(FTYP MOOV "\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"
                                      "abc"),
                      3, &err),
                 SOURCE_CUT);
}

static void the_number_of_boxes_is_bounded(void **state)
{
    struct rb_mp4 mp4;
    struct rb_error trouble = {0};
    int result;

    (void)state;
    rb_mp4_init(&mp4);
    assert_works(rb_mp4_feed(&mp4, (const uint8_t *)FTYP, 16, &err));
    do
        result = rb_mp4_feed(&mp4,
                             (const uint8_t *)"\0\0\0\x08"
                                              "free",
                             8, &trouble);
    while (result == 0 && mp4.boxes <= RB_MP4_MAX_BOXES);
    assert_int_equal(result, -1);
    assert_int_equal(trouble.code, RB_E_NOT_A_VIDEO);
}

UNIT_MAIN(T(whole_files_are_taken_in_pieces_of_any_size), T(a_file_that_was_cut_is_found_wherever_the_cut_is),
          T(a_file_without_its_index_or_its_media_is_not_whole), T(what_is_no_mp4_is_refused),
          T(a_page_is_told_from_a_broken_video), T(sizes_at_the_edge_of_64_bits_do_no_harm),
          T(the_number_of_boxes_is_bounded))
