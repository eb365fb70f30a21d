/*
 * container.c — which format came, is it one that we store, and is it whole?
 *
 * Way:  download -> mp4, webm, image -> [container] -> store
 */
#include "consumer/container.h"

#define EBML_FIRST_BYTE 0x1a

static const struct rb_format_info infos[] = {
#define ROW(NAME, extension, content_type) [RB_FORMAT_##NAME] = {extension, content_type},
    RB_FORMATS(ROW)
#undef ROW
};

const struct rb_format_info *rb_format_info(enum rb_format format)
{
    RB_ASSERT(format > RB_FORMAT_UNKNOWN && format < RB_FORMAT_COUNT);
    return &infos[format];
}

bool rb_format_agrees(enum rb_format format, const char *content_type)
{
    static const char *const empty_words[] = {"", "application/octet-stream", "binary/octet-stream"};
    size_t length = strcspn(content_type, "; \t");

    if ((RB_FORMATS_OF_IMAGES & 1u << format) == 0)
        return true;
    for (size_t i = 0; i < RB_COUNT(empty_words); i++)
        if (strlen(empty_words[i]) == length && strncmp(content_type, empty_words[i], length) == 0)
            return true;
    return strlen(infos[format].content_type) == length &&
           strncmp(content_type, infos[format].content_type, length) == 0;
}

int rb_container_formats(const char *text, unsigned *ret_formats, struct rb_error *err)
{
    bool webm = strcmp(text, "mp4,webm") == 0;

    if (!webm && strcmp(text, "mp4") != 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'formats': '%.60s' is not accepted; expected 'mp4' or 'mp4,webm'", text);
    *ret_formats = RB_FORMAT_BIT(MP4) | (webm ? RB_FORMAT_BIT(WEBM) : 0);
    return 0;
}

void rb_container_init(struct rb_container *container, unsigned accept)
{
    *container = (struct rb_container){.accept = accept};
}

static int begin_image(struct rb_container *container, uint8_t first, struct rb_error *err)
{
    static const enum rb_format formats[] = {
        [RB_IMAGE_NONE] = RB_FORMAT_UNKNOWN,
        [RB_IMAGE_WEBP] = RB_FORMAT_WEBP,
        [RB_IMAGE_JPEG] = RB_FORMAT_JPEG,
        [RB_IMAGE_PNG] = RB_FORMAT_PNG,
    };
    enum rb_image_kind kind = rb_image_kind_of(first);

    if ((container->accept & RB_FORMATS_OF_IMAGES & 1u << formats[kind]) == 0)
        return rb_fail(err, RB_E_NOT_AN_IMAGE, 0, "the file is no WebP, JPEG or PNG");
    container->format = formats[kind];
    rb_image_init(&container->image, kind);
    return 0;
}

static int begin(struct rb_container *container, uint8_t first, struct rb_error *err)
{
    if ((container->accept & RB_FORMATS_OF_IMAGES) != 0)
        return begin_image(container, first, err);
    if (first != EBML_FIRST_BYTE) {
        container->format = RB_FORMAT_MP4;
        rb_mp4_init(&container->mp4);
        return 0;
    }
    if ((container->accept & RB_FORMAT_BIT(WEBM)) == 0)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file looks like a WebM, which is not one of 'formats'");
    container->format = RB_FORMAT_WEBM;
    rb_webm_init(&container->webm);
    return 0;
}

int rb_container_feed(struct rb_container *container, const uint8_t *bytes, size_t count, struct rb_error *err)
{
    if (count == 0)
        return 0;
    if (container->format == RB_FORMAT_UNKNOWN)
        RB_TRY(begin(container, bytes[0], err));
    switch (container->format) {
    case RB_FORMAT_MP4:
        return rb_mp4_feed(&container->mp4, bytes, count, err);
    case RB_FORMAT_WEBM:
        return rb_webm_feed(&container->webm, bytes, count, err);
    default:
        return rb_image_feed(&container->image, bytes, count, err);
    }
}

int rb_container_finish(const struct rb_container *container, bool framed, struct rb_error *err)
{
    switch (container->format) {
    case RB_FORMAT_UNKNOWN:
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file is empty");
    case RB_FORMAT_MP4:
        return rb_mp4_finish(&container->mp4, framed, err);
    case RB_FORMAT_WEBM:
        return rb_webm_finish(&container->webm, framed, err);
    default:
        return rb_image_finish(&container->image, framed, err);
    }
}
