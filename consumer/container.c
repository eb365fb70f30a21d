/*
 * container.c — which container came, is it one that we store, and is it whole?
 *
 * Way:  download -> mp4, webm -> [container] -> store
 */
#include "consumer/container.h"

#define EBML_FIRST_BYTE 0x1a

int rb_container_formats(const char *text, bool *ret_accept_webm, struct rb_error *err)
{
    *ret_accept_webm = strcmp(text, "mp4,webm") == 0;
    if (!*ret_accept_webm && strcmp(text, "mp4") != 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0,
                       "option 'formats': '%.60s' is not accepted; expected 'mp4' or 'mp4,webm'", text);
    return 0;
}

void rb_container_init(struct rb_container *container, bool accept_webm)
{
    *container = (struct rb_container){.accept_webm = accept_webm};
}

static int begin(struct rb_container *container, uint8_t first, struct rb_error *err)
{
    if (first != EBML_FIRST_BYTE) {
        container->format = RB_FORMAT_MP4;
        rb_mp4_init(&container->mp4);
        return 0;
    }
    if (!container->accept_webm)
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
    return container->format == RB_FORMAT_WEBM ? rb_webm_feed(&container->webm, bytes, count, err)
                                               : rb_mp4_feed(&container->mp4, bytes, count, err);
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
    }
    RB_BUG("unknown format");
}
