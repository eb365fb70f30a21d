/*
 * image.h — is what came an image of the kind that its first byte says, and all of it?
 *
 * Way:  download -> [image] -> container -> store
 *
 * Only the frame is looked at: how a file of the kind begins, and where it ends.
 */
#pragma once

#include "common/error.h"

#define RB_IMAGE_HEAD_BYTES 16
#define RB_IMAGE_TAIL_BYTES 8

enum rb_image_kind { RB_IMAGE_NONE, RB_IMAGE_WEBP, RB_IMAGE_JPEG, RB_IMAGE_PNG };

struct rb_image {
    enum rb_image_kind kind;
    int64_t bytes;
    uint8_t head[RB_IMAGE_HEAD_BYTES];
    uint8_t tail[RB_IMAGE_TAIL_BYTES]; /* the last ones so far */
};

/*
 * What does a file begin with that has this first byte?
 *
 * Gives:  RB_IMAGE_NONE when it is no image that we know.
 * Loop:   pure, any thread.
 */
enum rb_image_kind rb_image_kind_of(uint8_t first);

/*
 * Begin at the first byte of a file.
 *
 * Loop:   pure, any thread.
 */
void rb_image_init(struct rb_image *image, enum rb_image_kind kind);

/*
 * Take the next bytes of the file, in pieces of any size.
 *
 * Fails:  NOT_AN_IMAGE as soon as they cannot be one of this kind.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_image_feed(struct rb_image *image, const uint8_t *bytes, size_t count, struct rb_error *err);

/*
 * The file is at its end. Was it whole?
 *
 * Takes:  framed, whether a cut on the way would have been noticed; else the image itself has to tell.
 * Fails:  SOURCE_CUT.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_image_finish(const struct rb_image *image, bool framed, struct rb_error *err);
