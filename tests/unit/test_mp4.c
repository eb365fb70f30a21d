#include "tests/unit/unit.h"

#include "consumer/mp4.h"

#define FTYP                                                                                                           \
    "\0\0\0\x10"                                                                                                       \
    "ftypisom\0\0\0\0"
#define HDLR                                                                                                           \
    "\0\0\0\x14"                                                                                                       \
    "hdlr\0\0\0\0\0\0\0\0vide"
#define SOUN                                                                                                           \
    "\0\0\0\x14"                                                                                                       \
    "hdlr\0\0\0\0\0\0\0\0soun"
#define MDIA(hdlr)                                                                                                     \
    "\0\0\0\x1c"                                                                                                       \
    "mdia" hdlr
#define TRAK(hdlr)                                                                                                     \
    "\0\0\0\x24"                                                                                                       \
    "trak" MDIA(hdlr)
#define MOOV                                                                                                           \
    "\0\0\0\x2c"                                                                                                       \
    "moov" TRAK(HDLR)
#define MOOV_OF(bytes, what) "\0\0\0" bytes "moov" what
#define MDAT                                                                                                           \
    "\0\0\0\x0b"                                                                                                       \
    "mdatabc"
#define BIG                                                                                                            \
    "\0\0\0\x01"                                                                                                       \
    "mdat\0\0\0\0\0\0\0\x13"                                                                                           \
    "abc"
#define MOOF                                                                                                           \
    "\0\0\0\x08"                                                                                                       \
    "moof"
#define MFRA                                                                                                           \
    "\0\0\0\x08"                                                                                                       \
    "mfra"
#define REST "\0\0\0\0mdat-to-the-end"

/* Walk over bytes in pieces of some size, to the end. */
static int walk_framed(const char *bytes, size_t count, size_t piece, bool framed, struct rb_error *err)
{
    struct rb_mp4 mp4;

    rb_mp4_init(&mp4);
    for (size_t at = 0; at < count; at += piece)
        RB_TRY(rb_mp4_feed(&mp4, (const uint8_t *)bytes + at, RB_MIN(piece, count - at), err));
    return rb_mp4_finish(&mp4, framed, err);
}

static int walk(const char *bytes, size_t count, size_t piece, struct rb_error *err)
{
    return walk_framed(bytes, count, piece, true, err);
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
                {WHOLE(FTYP MOOV_OF("\x50", TRAK(SOUN) TRAK(HDLR)) MDAT)},
                {WHOLE(FTYP MOOV_OF("\x30", TRAK(HDLR) "\0\0\0\0") MDAT)}, /* QuickTime's padding */
                {WHOLE(FTYP MOOV MOOF MDAT "\0\0\0\x08"
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
    assert_fails(walk(WHOLE(FTYP MOOV "\0\0\0\x08mdat"), 5, &err), SOURCE_CUT);
}

static void fragments_are_whole_when_something_says_that_there_are_no_more(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE(FTYP MOOV MOOF), 5, &err), SOURCE_CUT);
    assert_fails(walk(WHOLE(FTYP MOOV MOOF MDAT MOOF), 5, &err), SOURCE_CUT);
    assert_fails(walk_framed(WHOLE(FTYP MOOV MOOF MDAT), 5, false, &err), SOURCE_CUT);
    assert_works(walk_framed(WHOLE(FTYP MOOV MOOF MDAT MOOF MDAT MFRA), 5, false, &err));
    assert_works(walk(WHOLE(FTYP MOOV MOOF MDAT MOOF MDAT), 5, &err));
}

static void what_is_no_mp4_is_refused(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE("GIF89a\x40\x01.........."), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE("\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f"), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(MOOV MDAT), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP "\0\0\0\x07moov"), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP "\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f"), 4, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP "\0\0\0\0free" MOOV MDAT), 4, &err), NOT_A_VIDEO);
}

static void a_file_with_nothing_to_see_is_no_video(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x2c", TRAK(SOUN)) MDAT), 5, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x08", "") MDAT), 5, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP HDLR MOOV_OF("\x08", "") MDAT), 5, &err), NOT_A_VIDEO);
}

static void sizes_inside_must_add_up(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x2b", TRAK(HDLR)) MDAT), 5, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x10", "\0\0\0\x09"
                                                 "mvhd") MDAT),
                      5, &err),
                 NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x10", "\0\0\0\x07"
                                                 "mvhd") MDAT),
                      5, &err),
                 NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x10", "\0\0\0\0"
                                                 "mvhd") MDAT),
                      5, &err),
                 NOT_A_VIDEO);
    assert_fails(walk(WHOLE(FTYP MOOV_OF("\x10", "\0\0\0\x01"
                                                 "mvhd\0\0\0\0\0\0\0\x10") MDAT),
                      5, &err),
                 NOT_A_VIDEO);
}

static void boxes_in_boxes_have_a_bottom(void **state)
{
    char nest[16 + 8 * 100];

    (void)state;
    memcpy(nest, FTYP, 16);
    for (size_t i = 0; i < 100; i++) {
        uint8_t head[8] = {0, 0, (uint8_t)((100 - i) * 8 >> 8), (uint8_t)((100 - i) * 8), 't', 'r', 'a', 'k'};

        memcpy(nest + 16 + 8 * i, head, 8);
    }
    assert_fails(walk(nest, sizeof(nest), 3, &err), NOT_A_VIDEO);
}

static void a_box_without_a_size_needs_a_source_that_says_where_the_end_is(void **state)
{
    (void)state;
    assert_works(walk_framed(WHOLE(FTYP MOOV REST), 5, true, &err));
    assert_fails(walk_framed(WHOLE(FTYP MOOV REST), 5, false, &err), SOURCE_CUT);
    assert_works(walk_framed(WHOLE(FTYP MOOV MDAT), 5, false, &err));
}

static void a_page_is_told_from_a_broken_video(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE("<!doctype html><title>Expired</title>"), 7, &err), SOURCE_PAGE);
    assert_fails(walk(WHOLE("{\"error\": \"expired\"}"), 7, &err), SOURCE_PAGE);
    assert_fails(walk(WHOLE("\r\n  <html><title>Expired</title>"), 7, &err), SOURCE_PAGE);
    assert_fails(walk(WHOLE("\xef\xbb\xbf<html><title>Expired</title>"), 7, &err), SOURCE_PAGE);
    assert_fails(walk(WHOLE("Access denied: link expired"), 7, &err), SOURCE_PAGE);
    assert_fails(walk(WHOLE("#EXTM3U\n#EXT-X-VERSION:3"), 7, &err), NOT_A_VIDEO);
    assert_fails(walk(WHOLE("RIFF\x24\x01\0\0AVI LIST"), 7, &err), NOT_A_VIDEO);
}

static void sizes_at_the_edge_of_64_bits_do_no_harm(void **state)
{
    (void)state;
    assert_fails(walk(WHOLE(FTYP MOOV "\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"
                                      "abc"),
                      3, &err),
                 NOT_A_VIDEO);
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

/* Bytes are changed by chance; what is then said of the file does not matter, but that it is the same in any pieces. */
static void damaged_files_do_no_harm_and_pieces_do_not_matter(void **state)
{
    static const char file[] = FTYP MOOV_OF("\x50", TRAK(SOUN) TRAK(HDLR)) BIG MOOF MDAT;
    uint64_t chance = 1;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        char damaged[sizeof(file)];
        struct rb_error whole = {0}, pieces = {0};

        memcpy(damaged, file, sizeof(file));
        for (int changes = 0; changes <= i % 3; changes++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            damaged[(chance >> 33) % sizeof(file)] = (char)(i % 2 ? chance >> 56 : (chance >> 56) % 10);
        }
        assert_int_equal(walk(damaged, sizeof(file) - 1, sizeof(file), &whole),
                         walk(damaged, sizeof(file) - 1, 1 + (size_t)i % 7, &pieces));
        assert_int_equal(whole.code, pieces.code);
    }
}

UNIT_MAIN(T(damaged_files_do_no_harm_and_pieces_do_not_matter), T(a_file_with_nothing_to_see_is_no_video),
          T(sizes_inside_must_add_up), T(boxes_in_boxes_have_a_bottom),
          T(a_box_without_a_size_needs_a_source_that_says_where_the_end_is),
          T(whole_files_are_taken_in_pieces_of_any_size), T(a_file_that_was_cut_is_found_wherever_the_cut_is),
          T(a_file_without_its_index_or_its_media_is_not_whole),
          T(fragments_are_whole_when_something_says_that_there_are_no_more), T(what_is_no_mp4_is_refused),
          T(a_page_is_told_from_a_broken_video), T(sizes_at_the_edge_of_64_bits_do_no_harm),
          T(the_number_of_boxes_is_bounded))
