#include "tests/unit/unit.h"

#include "consumer/container.h"
#include "consumer/plan.h"
#include "consumer/variants.h"

#define ID           "3f2b8c1e-0a4d-4c8e-9b1f-2d3c4b5a6978"
#define WHOLE(bytes) bytes, sizeof(bytes) - 1
#define WEBP         "RIFF\x0a\0\0\0WEBPVP8 \0\0"
#define JPEG         "\xff\xd8\xff\xe0some pixels\xff\xd9"
#define PNG          "\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on IEND\xae\x42\x60\x82"

static const struct {
    const char *bytes;
    size_t count;
    enum rb_format format;
} images[] = {
    {WHOLE(WEBP), RB_FORMAT_WEBP},
    {WHOLE(JPEG), RB_FORMAT_JPEG},
    {WHOLE(PNG), RB_FORMAT_PNG},
};

static int walk(bool framed, const char *bytes, size_t count, size_t piece, enum rb_format *ret_format,
                struct rb_error *err)
{
    struct rb_container container;

    rb_container_init(&container, RB_FORMATS_OF_IMAGES);
    for (size_t at = 0; at < count; at += piece)
        RB_TRY(rb_container_feed(&container, (const uint8_t *)bytes + at, RB_MIN(piece, count - at), err));
    *ret_format = container.format;
    return rb_container_finish(&container, framed, err);
}

static void whole_images_are_taken_in_pieces_of_any_size(void **state)
{
    enum rb_format format;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(images); i++) {
        for (size_t piece = 1; piece <= images[i].count; piece++) {
            assert_works(walk(false, images[i].bytes, images[i].count, piece, &format, &err));
            assert_int_equal(format, images[i].format);
        }
    }
}

/* HTTP tells of a cut in most cases; when it does not, the image has to. */
static void an_image_that_was_cut_is_found_wherever_the_cut_is(void **state)
{
    enum rb_format format;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(images); i++)
        for (size_t count = 0; count < images[i].count; count++)
            assert_fails(walk(false, images[i].bytes, count, 3, &format, &err), SOURCE_CUT);
    assert_fails(walk(true, WEBP, sizeof(WEBP) - 2, 3, &format, &err), SOURCE_CUT);
    assert_works(walk(true, WHOLE(JPEG "and more"), 3, &format, &err));
    assert_works(walk(true, WHOLE(PNG "and more"), 3, &format, &err));
    assert_works(walk(true, WHOLE(WEBP "and more"), 3, &format, &err));
}

static void what_is_no_image_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } rows[] = {
        {WHOLE("<!doctype html>")},
        {WHOLE("\0\0\0\x18"
               "ftypisom")},
        {WHOLE("GIF89a")},
        {WHOLE("RIFF\x0e\0\0\0WAVEfmt ")},
        {WHOLE("RIFX\x0e\0\0\0WEBPVP8 ")},
        {WHOLE("\xff\xd9\xff")},
        {WHOLE("\x89PNG\n\n")},
        {WHOLE("\x1a\x45\xdf\xa3")},
    };
    enum rb_format format;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++)
        for (size_t piece = 1; piece <= rows[i].count; piece++)
            assert_fails(walk(true, rows[i].bytes, rows[i].count, piece, &format, &err), NOT_AN_IMAGE);
}

static void an_image_is_not_a_video(void **state)
{
    struct rb_container container;

    (void)state;
    rb_container_init(&container, RB_FORMAT_BIT(MP4) | RB_FORMAT_BIT(WEBM));
    assert_fails(rb_container_feed(&container, (const uint8_t *)PNG, sizeof(PNG) - 1, &err), NOT_A_VIDEO);
}

static void an_image_is_what_it_is_declared_to_be(void **state)
{
    (void)state;
    assert_true(rb_format_agrees(RB_FORMAT_WEBP, "image/webp"));
    assert_true(rb_format_agrees(RB_FORMAT_JPEG, "image/jpeg; charset=binary"));
    assert_true(rb_format_agrees(RB_FORMAT_PNG, "application/octet-stream"));
    assert_true(rb_format_agrees(RB_FORMAT_PNG, ""));
    assert_false(rb_format_agrees(RB_FORMAT_PNG, "image/jpeg"));
    assert_false(rb_format_agrees(RB_FORMAT_WEBP, "image/web"));
    assert_false(rb_format_agrees(RB_FORMAT_WEBP, "image/webpx"));
    assert_false(rb_format_agrees(RB_FORMAT_JPEG, "image/svg+xml"));
    assert_false(rb_format_agrees(RB_FORMAT_JPEG, "video/mp4"));
    assert_true(rb_format_agrees(RB_FORMAT_MP4, "text/plain"));
}

static void variants_are_wanted_by_name(void **state)
{
    static const struct {
        const char *text;
        unsigned wanted;
    } rows[] = {
        {"", 0},
        {"thumbnail", 1u << RB_VARIANT_THUMBNAIL},
        {"spritesheet", 1u << RB_VARIANT_SPRITESHEET},
        {"thumbnail,spritesheet", 1u << RB_VARIANT_THUMBNAIL | 1u << RB_VARIANT_SPRITESHEET},
        {"spritesheet,thumbnail,thumbnail", 1u << RB_VARIANT_THUMBNAIL | 1u << RB_VARIANT_SPRITESHEET},
    };
    static const char *const wrong[] = {"all", "thumbnail,", ",thumbnail", "thumbnail, spritesheet",
                                        ",",   "thumb",      "Thumbnail",  "thumbnails"};
    unsigned wanted = 0;

    (void)state;
    for (size_t i = 0; i < RB_COUNT(rows); i++) {
        assert_works(rb_variants_option(rows[i].text, &wanted, &err));
        assert_int_equal(wanted, rows[i].wanted);
    }
    for (size_t i = 0; i < RB_COUNT(wrong); i++)
        assert_fails(rb_variants_option(wrong[i], &wanted, &err), BAD_OPTION);
}

static struct rb_variant_object an_object(const char *key, int64_t bytes)
{
    return (struct rb_variant_object){
        .url = rb_xprintf("https://cdn/%s", key),
        .object_key = rb_xstrdup(key),
        .bytes = bytes,
        .sha256 = rb_xstrdup("ab12"),
        .content_type = rb_xstrdup("image/webp"),
    };
}

static void what_the_row_keeps_is_read_again(void **state)
{
    struct rb_variants variants = {0};
    RB_AUTO_TEXT *nothing = rb_variants_print(&variants);

    (void)state;
    assert_null(nothing);
    assert_int_equal(rb_variants_bytes(&variants), 0);
    variants.list[RB_VARIANT_SPRITESHEET] = an_object("a/b.spritesheet.webp", INT64_C(5000000000));
    variants.list[RB_VARIANT_THUMBNAIL] = an_object("a/\"b\".webp", 7);
    assert_int_equal(rb_variants_bytes(&variants), INT64_C(5000000007));

    RB_AUTO_TEXT *text = rb_variants_print(&variants);
    struct rb_variants again = rb_variants_read(text);
    RB_AUTO_TEXT *twice = rb_variants_print(&again);

    assert_string_equal(text, twice);
    assert_string_equal(again.list[RB_VARIANT_THUMBNAIL].object_key, "a/\"b\".webp");
    assert_int_equal(again.list[RB_VARIANT_SPRITESHEET].bytes, INT64_C(5000000000));
    rb_variants_done(&variants);
    rb_variants_done(&again);
}

static void what_is_not_whole_in_the_row_is_left_out(void **state)
{
    static const char *const texts[] = {
        NULL,
        "",
        "[]",
        "nonsense",
        "{}",
        "{\"thumbnail\":null}",
        "{\"thumbnail\":{\"url\":\"x\"}}",
        "{\"thumbnail\":{\"url\":1,\"object_key\":\"k\",\"bytes\":1,\"sha256\":\"s\",\"content_type\":\"t\"}}",
    };

    (void)state;
    for (size_t i = 0; i < RB_COUNT(texts); i++) {
        struct rb_variants variants = rb_variants_read(texts[i]);
        RB_AUTO_TEXT *text = rb_variants_print(&variants);

        assert_null(text);
        rb_variants_done(&variants);
    }
}

static void variants_are_kept_next_to_the_video(void **state)
{
    const struct rb_plan_policy policy = {
        .guard = {.any_port = true}, .formats = RB_FORMAT_BIT(MP4), .key_template = "{user_id}/{video_id}.mp4"};
    const struct rb_plan_source source = {"https://example.com/v1/videos/x/content?variant=thumbnail", 1500};
    const struct rb_row row = {.video_id = ID, .state = RB_ROW_PROCESSING, .user_id = (char[]){"u-1"}};
    RB_AUTO(rb_plan) *thumbnail = NULL;
    RB_AUTO(rb_plan) *spritesheet = NULL;

    (void)state;
    assert_works(rb_plan_variant_new(&row, &source, &policy, RB_VARIANT_THUMBNAIL, &thumbnail, &err));
    assert_works(rb_plan_variant_new(&row, &source, &policy, RB_VARIANT_SPRITESHEET, &spritesheet, &err));
    assert_string_equal(thumbnail->keys[RB_FORMAT_WEBP], "u-1/" ID ".thumbnail.webp");
    assert_string_equal(thumbnail->keys[thumbnail->likely], "u-1/" ID ".thumbnail.webp");
    assert_string_equal(spritesheet->keys[RB_FORMAT_PNG], "u-1/" ID ".spritesheet.png");
    assert_string_equal(spritesheet->keys[spritesheet->likely], "u-1/" ID ".spritesheet.jpg");
    assert_null(thumbnail->keys[RB_FORMAT_MP4]);
}

UNIT_MAIN(T(whole_images_are_taken_in_pieces_of_any_size), T(an_image_that_was_cut_is_found_wherever_the_cut_is),
          T(what_is_no_image_is_refused), T(an_image_is_not_a_video), T(an_image_is_what_it_is_declared_to_be),
          T(variants_are_wanted_by_name), T(what_the_row_keeps_is_read_again),
          T(what_is_not_whole_in_the_row_is_left_out), T(variants_are_kept_next_to_the_video))
