/*
 * mp4.c — is what came an MP4, and all of it?
 *
 * Way:  download -> [mp4] -> store
 */
#include "consumer/mp4.h"

#include <endian.h>

#define SHORT_HEAD 8
#define LONG_HEAD  16

void rb_mp4_init(struct rb_mp4 *mp4)
{
    *mp4 = (struct rb_mp4){0};
}

static uint32_t read32(const uint8_t *bytes)
{
    uint32_t big;

    memcpy(&big, bytes, sizeof(big));
    return be32toh(big);
}

static uint64_t read64(const uint8_t *bytes)
{
    uint64_t big;

    memcpy(&big, bytes, sizeof(big));
    return be64toh(big);
}

static bool is_type(const struct rb_mp4 *mp4, const char *type)
{
    return memcmp(mp4->head + 4, type, 4) == 0;
}

/* How long the head is can be seen in its first four bytes. */
static unsigned head_needed(const struct rb_mp4 *mp4)
{
    return mp4->head_bytes >= 4 && read32(mp4->head) == 1 ? LONG_HEAD : SHORT_HEAD;
}

static int check_first(const struct rb_mp4 *mp4, struct rb_error *err)
{
    uint8_t first = mp4->head[0];

    if (is_type(mp4, "ftyp"))
        return 0;
    if (first == '<' || first == '{' || first == '[')
        return rb_fail(err, RB_E_SOURCE_PAGE, 0, "the source sent a page or a message instead of a video");
    return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file does not begin as an MP4 does (no 'ftyp')");
}

/* The head of a box is complete. */
static int enter_box(struct rb_mp4 *mp4, struct rb_error *err)
{
    uint64_t size = read32(mp4->head);
    unsigned head = mp4->head_bytes;

    if (mp4->boxes == 0)
        RB_TRY(check_first(mp4, err));
    if (++mp4->boxes > RB_MP4_MAX_BOXES)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has over %d boxes", RB_MP4_MAX_BOXES);
    if (size == 1)
        size = read64(mp4->head + 8);
    mp4->open_ended = size == 0;
    if (!mp4->open_ended && size < head)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "box '%.4s' claims to be smaller than its own head", mp4->head + 4);
    mp4->has_moov = mp4->has_moov || is_type(mp4, "moov");
    mp4->has_media = mp4->has_media || is_type(mp4, "mdat") || is_type(mp4, "moof");
    mp4->skip_bytes = mp4->open_ended ? UINT64_MAX : size - head;
    mp4->head_bytes = 0;
    return 0;
}

static size_t take_head(struct rb_mp4 *mp4, const uint8_t *bytes, size_t count)
{
    unsigned target = mp4->head_bytes < 4 ? 4 : head_needed(mp4);
    size_t took = RB_MIN(count, (size_t)(target - mp4->head_bytes));

    memcpy(mp4->head + mp4->head_bytes, bytes, took);
    mp4->head_bytes += (unsigned)took;
    return took;
}

int rb_mp4_feed(struct rb_mp4 *mp4, const uint8_t *bytes, size_t count, struct rb_error *err)
{
    mp4->total_bytes += count;
    while (count > 0) {
        size_t took;

        if (mp4->skip_bytes > 0) {
            took = (size_t)RB_MIN((uint64_t)count, mp4->skip_bytes);
            mp4->skip_bytes -= mp4->open_ended ? 0 : took;
        } else {
            took = take_head(mp4, bytes, count);
            if (mp4->head_bytes >= SHORT_HEAD && mp4->head_bytes == head_needed(mp4))
                RB_TRY(enter_box(mp4, err));
        }
        bytes += took;
        count -= took;
    }
    return 0;
}

int rb_mp4_finish(const struct rb_mp4 *mp4, struct rb_error *err)
{
    if (mp4->head_bytes > 0 || (mp4->skip_bytes > 0 && !mp4->open_ended))
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file ends inside of a box");
    if (!mp4->has_moov || !mp4->has_media)
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file has no '%s'", mp4->has_moov ? "mdat' or 'moof" : "moov");
    return 0;
}
