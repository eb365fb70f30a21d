/*
 * mp4.c — is what came an MP4 with a video in it, and all of it?
 *
 * Way:  download -> [mp4] -> container -> store
 */
#include "consumer/mp4.h"

#include <ctype.h>
#include <endian.h>

#define SHORT_HEAD 8
#define LONG_HEAD  16

/* These hold boxes and nothing else. */
static const char *const folders[] = {"moov", "trak", "mdia", "minf", "stbl", "edts", "mvex", "moof", "traf", "mfra"};

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

static bool is_folder(const struct rb_mp4 *mp4)
{
    for (size_t i = 0; i < RB_COUNT(folders); i++)
        if (is_type(mp4, folders[i]))
            return true;
    return false;
}

/* How long the head is can be seen in its first four bytes. */
static unsigned head_needed(const struct rb_mp4 *mp4)
{
    return mp4->head_bytes >= 4 && read32(mp4->head) == 1 ? LONG_HEAD : SHORT_HEAD;
}

/* Nothing but letters: no format of videos begins so, but messages do. "#" begins a playlist. */
static bool is_text(const uint8_t head[SHORT_HEAD])
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* of UTF-8 */
    size_t begin = memcmp(head, mark, sizeof(mark)) == 0 ? sizeof(mark) : 0;

    for (size_t i = begin; i < SHORT_HEAD; i++)
        if (!isprint(head[i]) && !isspace(head[i]))
            return false;
    return head[begin] != '#';
}

static int check_first(const struct rb_mp4 *mp4, struct rb_error *err)
{
    uint8_t first = mp4->head[0];

    if (is_type(mp4, "ftyp"))
        return 0;
    if (first == '<' || first == '{' || first == '[' || is_text(mp4->head))
        return rb_fail(err, RB_E_SOURCE_PAGE, 0, "the source sent a page or a message instead of a video");
    return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file does not begin as an MP4 does (no 'ftyp')");
}

/* How far the innermost folder goes from here. */
static uint64_t room(const struct rb_mp4 *mp4)
{
    uint64_t end = mp4->depth > 0 ? mp4->ends[mp4->depth - 1] : UINT64_MAX;

    return end > mp4->total_bytes ? end - mp4->total_bytes : 0;
}

static void leave_folders(struct rb_mp4 *mp4)
{
    while (mp4->depth > 0 && mp4->ends[mp4->depth - 1] == mp4->total_bytes)
        mp4->depth--;
}

static int enter_folder(struct rb_mp4 *mp4, uint64_t bytes, struct rb_error *err)
{
    if (mp4->depth == RB_MP4_MAX_DEPTH)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has boxes in boxes, over %d deep", RB_MP4_MAX_DEPTH);
    if (bytes > UINT64_MAX - mp4->total_bytes)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "box '%.4s' claims to be larger than any file", mp4->head + 4);
    mp4->ends[mp4->depth++] = mp4->total_bytes + bytes;
    return 0;
}

static int check_size(const struct rb_mp4 *mp4, uint64_t size, struct rb_error *err)
{
    if (size < mp4->head_bytes)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "box '%.4s' claims to be smaller than its own head", mp4->head + 4);
    if (size - mp4->head_bytes > room(mp4) || (mp4->depth > 0 && mp4->total_bytes > mp4->ends[mp4->depth - 1]))
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "box '%.4s' claims to be larger than the box around it",
                       mp4->head + 4);
    return 0;
}

static void note_box(struct rb_mp4 *mp4)
{
    bool on_top = mp4->depth == 0;

    mp4->in_media = on_top && is_type(mp4, "mdat");
    mp4->has_moov = mp4->has_moov || (on_top && is_type(mp4, "moov"));
    mp4->has_index = mp4->has_index || (on_top && is_type(mp4, "mfra"));
    if (on_top && is_type(mp4, "moof"))
        mp4->has_fragments = mp4->wants_media = true;
    else if (mp4->in_media)
        mp4->wants_media = false;
    mp4->in_handler = mp4->depth > 0 && is_type(mp4, "hdlr");
    mp4->handler_bytes = 0;
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
    if (mp4->open_ended && (mp4->depth > 0 || !is_type(mp4, "mdat")))
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "box '%.4s' has no size", mp4->head + 4);
    if (!mp4->open_ended)
        RB_TRY(check_size(mp4, size, err));
    note_box(mp4);
    mp4->head_bytes = 0;
    if (is_folder(mp4))
        return enter_folder(mp4, size - head, err);
    mp4->skip_bytes = mp4->open_ended ? UINT64_MAX : size - head;
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

/* What is left of a folder may be too little for a box: QuickTime ends some with four zeros. */
static bool ends_in_padding(struct rb_mp4 *mp4)
{
    if (mp4->head_bytes > 0 || mp4->depth == 0 || room(mp4) >= SHORT_HEAD)
        return false;
    mp4->skip_bytes = room(mp4);
    return true;
}

/* A track says in its handler what it is: four bytes behind version, flags and a field of no use. */
static void take_handler(struct rb_mp4 *mp4, const uint8_t *bytes, size_t count)
{
    size_t took = RB_MIN(count, sizeof(mp4->handler) - mp4->handler_bytes);

    memcpy(mp4->handler + mp4->handler_bytes, bytes, took);
    mp4->handler_bytes += (unsigned)took;
    if (mp4->handler_bytes == sizeof(mp4->handler)) {
        mp4->has_video = mp4->has_video || memcmp(mp4->handler + 8, "vide", 4) == 0;
        mp4->in_handler = false;
    }
}

static int take_some(struct rb_mp4 *mp4, const uint8_t *bytes, size_t count, size_t *ret_took, struct rb_error *err)
{
    if (mp4->skip_bytes == 0 && !ends_in_padding(mp4)) {
        *ret_took = take_head(mp4, bytes, count);
        mp4->total_bytes += *ret_took;
        return mp4->head_bytes >= SHORT_HEAD && mp4->head_bytes == head_needed(mp4) ? enter_box(mp4, err) : 0;
    }
    *ret_took = (size_t)RB_MIN((uint64_t)count, mp4->skip_bytes);
    if (mp4->in_handler)
        take_handler(mp4, bytes, *ret_took);
    mp4->has_media = mp4->has_media || mp4->in_media;
    mp4->skip_bytes -= mp4->open_ended ? 0 : *ret_took;
    mp4->total_bytes += *ret_took;
    return 0;
}

int rb_mp4_feed(struct rb_mp4 *mp4, const uint8_t *bytes, size_t count, struct rb_error *err)
{
    while (count > 0) {
        size_t took = 0;

        RB_TRY(take_some(mp4, bytes, count, &took, err));
        if (mp4->skip_bytes == 0 && mp4->head_bytes == 0)
            leave_folders(mp4);
        bytes += took;
        count -= took;
    }
    return 0;
}

int rb_mp4_finish(const struct rb_mp4 *mp4, bool framed, struct rb_error *err)
{
    if (mp4->head_bytes > 0 || mp4->depth > 0 || (mp4->skip_bytes > 0 && !mp4->open_ended))
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file ends inside of a box");
    if (!mp4->has_moov || !mp4->has_media || mp4->wants_media)
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file has no '%s'%s", mp4->has_moov ? "mdat" : "moov",
                       mp4->wants_media ? " behind its last 'moof'" : "");
    if (!framed && (mp4->open_ended || (mp4->has_fragments && !mp4->has_index)))
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "neither the file nor the source says where the file ends");
    if (!mp4->has_video)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has no track of pictures");
    return 0;
}
