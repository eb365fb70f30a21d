/*
 * container.h — which format came, is it one that we store, and is it whole?
 *
 * Way:  download -> mp4, webm, image -> [container] -> store
 */
#pragma once

#include "consumer/image.h"
#include "consumer/mp4.h"
#include "consumer/webm.h"

/* One row per format: how its keys end, and its media type. */
#define RB_FORMATS(X)                                                                                                  \
    X(MP4, "mp4", "video/mp4")                                                                                         \
    X(WEBM, "webm", "video/webm")                                                                                      \
    X(WEBP, "webp", "image/webp")                                                                                      \
    X(JPEG, "jpg", "image/jpeg")                                                                                       \
    X(PNG, "png", "image/png")

enum rb_format {
    RB_FORMAT_UNKNOWN,
#define ROW(NAME, extension, content_type) RB_FORMAT_##NAME,
    RB_FORMATS(ROW)
#undef ROW
        RB_FORMAT_COUNT
};

/* Sets of formats. */
#define RB_FORMAT_BIT(NAME)  (1u << RB_FORMAT_##NAME)
#define RB_FORMATS_OF_IMAGES (RB_FORMAT_BIT(WEBP) | RB_FORMAT_BIT(JPEG) | RB_FORMAT_BIT(PNG))

struct rb_format_info {
    const char *extension;
    const char *content_type;
};

struct rb_container {
    unsigned accept;       /* set of formats: videos or images */
    enum rb_format format; /* known with the first byte */
    union {
        struct rb_mp4 mp4;
        struct rb_webm webm;
        struct rb_image image;
    };
};

/*
 * What there is to know about a format.
 *
 * Takes:  format, not UNKNOWN.
 * Gives:  static, never NULL.
 * Loop:   pure, any thread.
 */
const struct rb_format_info *rb_format_info(enum rb_format format);

/*
 * May bytes of this format be declared to be of that type? Of videos it is advice only. An image is what it is declared to be,
 * unless that says nothing.
 *
 * Takes:  content_type, in lower case; "" when there is none.
 * Loop:   pure, any thread.
 */
bool rb_format_agrees(enum rb_format format, const char *content_type);

/*
 * Read the option 'formats': "mp4" or "mp4,webm".
 *
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_container_formats(const char *text, unsigned *ret_formats, struct rb_error *err);

/*
 * Begin at the first byte of a file.
 *
 * Takes:  accept, the formats that it may have: videos, or images.
 * Loop:   pure, any thread.
 */
void rb_container_init(struct rb_container *container, unsigned accept);

/*
 * Take the next bytes of the file, in pieces of any size.
 *
 * Fails:  NOT_A_VIDEO, NOT_AN_IMAGE, SOURCE_PAGE.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_container_feed(struct rb_container *container, const uint8_t *bytes, size_t count,
                                    struct rb_error *err);

/*
 * The file is at its end. Was it whole?
 *
 * Takes:  framed, as rb_mp4_finish.
 * Fails:  SOURCE_CUT, NOT_A_VIDEO.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_container_finish(const struct rb_container *container, bool framed, struct rb_error *err);
