/*
 * container.h — which container came, is it one that we store, and is it whole?
 *
 * Way:  download -> mp4, webm -> [container] -> store
 */
#pragma once

#include "consumer/mp4.h"
#include "consumer/webm.h"

enum rb_format { RB_FORMAT_UNKNOWN, RB_FORMAT_MP4, RB_FORMAT_WEBM };

struct rb_container {
    bool accept_webm;
    enum rb_format format; /* known with the first byte */
    union {
        struct rb_mp4 mp4;
        struct rb_webm webm;
    };
};

/*
 * Read the option 'formats': "mp4" or "mp4,webm".
 *
 * Fails:  BAD_OPTION.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_container_formats(const char *text, bool *ret_accept_webm, struct rb_error *err);

/*
 * Begin at the first byte of a file.
 *
 * Loop:   pure, any thread.
 */
void rb_container_init(struct rb_container *container, bool accept_webm);

/*
 * Take the next bytes of the file, in pieces of any size.
 *
 * Fails:  NOT_A_VIDEO, SOURCE_PAGE.
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
