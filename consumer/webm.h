/*
 * webm.h — is what came a WebM with a video in it, and all of it? A walk over the elements while the bytes stream by.
 *
 * Way:  download -> [webm] -> container -> store
 *
 * Source: RFC 8794 (EBML) and RFC 9559 (Matroska): an element is an id, a size and that many bytes; a segment and a cluster
 * may have a size that nobody knows, and then end where something begins that cannot be inside of them.
 */
#pragma once

#include "common/error.h"

#define RB_WEBM_MAX_ELEMENTS 16777216

struct rb_webm {
    uint8_t head[12]; /* id and size of the element that begins here, as far as they have come */
    unsigned head_bytes;
    uint8_t value[8]; /* of an element whose bytes matter */
    unsigned value_bytes;
    uint32_t value_id; /* 0: the bytes of this one do not matter */
    uint64_t skip_bytes;
    uint64_t total_bytes;
    struct {
        uint32_t id;
        uint64_t end; /* at the latest; UINT64_MAX: nobody knows */
        bool unsized;
    } inside[5];
    unsigned depth;
    uint32_t elements;
    bool has_doctype;
    bool has_segment;
    bool has_video; /* a track of pictures */
    bool has_cluster;
};

/*
 * Begin at the first byte of a file.
 *
 * Loop:   pure, any thread.
 */
void rb_webm_init(struct rb_webm *webm);

/*
 * Take the next bytes of the file, in pieces of any size.
 *
 * Fails:  NOT_A_VIDEO as soon as they cannot be a WebM.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_webm_feed(struct rb_webm *webm, const uint8_t *bytes, size_t count, struct rb_error *err);

/*
 * The file is at its end. Was it whole?
 *
 * Takes:  framed, whether a cut on the way would have been noticed; without sizes it is taken only then.
 * Fails:  SOURCE_CUT, NOT_A_VIDEO as rb_mp4_finish.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_webm_finish(const struct rb_webm *webm, bool framed, struct rb_error *err);
