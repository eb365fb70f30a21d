/*
 * mp4.h — is what came an MP4, and all of it? A walk over the top-level boxes while the bytes stream by.
 *
 * Way:  download -> [mp4] -> store
 *
 * Source: ISO/IEC 14496-12, 4.2: a box begins with a 32-bit size and a type; size 1 means that a 64-bit size follows,
 * size 0 that the box runs to the end of the file. Nothing inside of the boxes is looked at.
 */
#pragma once

#include "common/error.h"

#define RB_MP4_MAX_BOXES 65536

struct rb_mp4 {
    uint8_t head[16]; /* of the box that begins here, as far as it has come */
    unsigned head_bytes;
    uint64_t skip_bytes; /* of the current box that are still to come */
    uint64_t total_bytes;
    uint32_t boxes;
    bool open_ended; /* the current box runs to the end of the file */
    bool has_moov;
    bool has_media; /* mdat or moof */
};

/*
 * Begin at the first byte of a file.
 *
 * Loop:   pure, any thread.
 */
void rb_mp4_init(struct rb_mp4 *mp4);

/*
 * Take the next bytes of the file, in pieces of any size.
 *
 * Fails:  NOT_A_VIDEO as soon as they cannot be an MP4; SOURCE_PAGE when they look like the page of a web server.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_mp4_feed(struct rb_mp4 *mp4, const uint8_t *bytes, size_t count, struct rb_error *err);

/*
 * The file is at its end. Was it whole?
 *
 * Fails:  SOURCE_CUT when a box is not complete or something is missing that every MP4 has.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_mp4_finish(const struct rb_mp4 *mp4, struct rb_error *err);
