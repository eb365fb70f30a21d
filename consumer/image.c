/*
 * image.c — is what came an image of the kind that its first byte says, and all of it?
 *
 * Way:  download -> [image] -> container -> store
 */
#include "consumer/image.h"

#define ANY '?' /* in none of the texts below it stands for itself */

/* How files begin, and how they end; a WebP says its size instead. */
static const struct {
    const char *name;
    const char *head;
    size_t head_bytes;
    const char *tail;
    size_t tail_bytes;
} kinds[] = {
#define TEXT(text) text, sizeof(text) - 1
    [RB_IMAGE_WEBP] = {"WebP", TEXT("RIFF????WEBPVP8"), TEXT("")},
    [RB_IMAGE_JPEG] = {"JPEG", TEXT("\xff\xd8\xff"), TEXT("\xff\xd9")},
    [RB_IMAGE_PNG] = {"PNG", TEXT("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), TEXT("IEND\xae\x42\x60\x82")},
#undef TEXT
};

enum rb_image_kind rb_image_kind_of(uint8_t first)
{
    for (size_t i = RB_IMAGE_NONE + 1; i < RB_COUNT(kinds); i++)
        if ((uint8_t)kinds[i].head[0] == first)
            return (enum rb_image_kind)i;
    return RB_IMAGE_NONE;
}

void rb_image_init(struct rb_image *image, enum rb_image_kind kind)
{
    RB_ASSERT(kind != RB_IMAGE_NONE);
    *image = (struct rb_image){.kind = kind};
}

static void keep_tail(struct rb_image *image, const uint8_t *bytes, size_t count)
{
    size_t keep = count < RB_IMAGE_TAIL_BYTES ? RB_IMAGE_TAIL_BYTES - count : 0;
    size_t take = RB_IMAGE_TAIL_BYTES - keep;

    memmove(image->tail, image->tail + RB_IMAGE_TAIL_BYTES - keep, keep);
    memcpy(image->tail + keep, bytes + count - take, take);
}

int rb_image_feed(struct rb_image *image, const uint8_t *bytes, size_t count, struct rb_error *err)
{
    const char *head = kinds[image->kind].head;
    size_t head_bytes = kinds[image->kind].head_bytes;
    size_t at = (size_t)RB_MIN(image->bytes, (int64_t)head_bytes);

    for (size_t i = 0; i < count && at < head_bytes; i++, at++) {
        if (head[at] != ANY && (uint8_t)head[at] != bytes[i])
            return rb_fail(err, RB_E_NOT_AN_IMAGE, 0, "the file begins like a %s, but is none",
                           kinds[image->kind].name);
        image->head[at] = bytes[i];
    }
    keep_tail(image, bytes, count);
    image->bytes += (int64_t)count;
    return 0;
}

/* Size of a RIFF file: what stands in it does not count the first eight bytes. */
static int64_t webp_bytes(const struct rb_image *image)
{
    const uint8_t *head = image->head;

    return 8 + ((int64_t)head[4] | (int64_t)head[5] << 8 | (int64_t)head[6] << 16 | (int64_t)head[7] << 24);
}

static bool has_end(const struct rb_image *image)
{
    size_t count = kinds[image->kind].tail_bytes;

    return memcmp(image->tail + RB_IMAGE_TAIL_BYTES - count, kinds[image->kind].tail, count) == 0;
}

int rb_image_finish(const struct rb_image *image, bool framed, struct rb_error *err)
{
    bool whole = image->bytes >= (int64_t)kinds[image->kind].head_bytes;

    if (image->kind == RB_IMAGE_WEBP)
        whole = whole && image->bytes >= webp_bytes(image);
    else
        whole = whole && (framed || has_end(image)); /* some write a few bytes behind the end */
    if (!whole)
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the %s is not whole", kinds[image->kind].name);
    return 0;
}
