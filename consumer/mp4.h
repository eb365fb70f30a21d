/*
 * mp4.h — is what came an MP4 with a video in it, and all of it? A walk over the boxes while the bytes stream by.
 *
 * Way:  download -> [mp4] -> container -> store
 *
 * Source: ISO/IEC 14496-12, 4.2: a box begins with a 32-bit size and a type; size 1 means that a 64-bit size follows,
 * size 0 that the box runs to the end of the file. The walk goes into the boxes that hold only boxes, where the sizes must
 * add up too, as far as to the handler that says what a track is. 8.8: a file may come in fragments; how many there are
 * shows only from the index behind them.
 */
#pragma once

#include "common/error.h"

#define RB_MP4_MAX_BOXES 65536
#define RB_MP4_MAX_DEPTH 8

struct rb_mp4 {
    uint8_t head[16]; /* of the box that begins here, as far as it has come */
    unsigned head_bytes;
    uint8_t handler[12]; /* the first bytes of an 'hdlr' box */
    unsigned handler_bytes;
    bool in_handler;
    uint64_t skip_bytes; /* of the current box that are still to come */
    uint64_t total_bytes;
    uint64_t ends[RB_MP4_MAX_DEPTH]; /* where the boxes end that the walk is in */
    unsigned depth;
    uint32_t boxes;
    bool open_ended; /* the current box runs to the end of the file */
    bool has_moov;
    bool in_media;      /* the current box is an mdat */
    bool has_media;     /* bytes of one */
    bool has_video;     /* a track of pictures */
    bool has_fragments; /* moof, each with an mdat behind it ... */
    bool has_index;     /* ... and mfra behind them all */
    bool wants_media;   /* the last moof has no mdat yet */
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
 * Takes:  framed, whether a cut on the way would have been noticed; a box without a size is taken only then, and so are
 *         fragments without an index.
 * Fails:  SOURCE_CUT when a box is not complete or something is missing that every MP4 has; NOT_A_VIDEO when it is whole,
 *         but shows nothing.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_mp4_finish(const struct rb_mp4 *mp4, bool framed, struct rb_error *err);
