/*
 * webm.c — is what came a WebM with a video in it, and all of it?
 *
 * Way:  download -> [webm] -> container -> store
 */
#include "consumer/webm.h"

#include <inttypes.h>

#define ID_EBML        0x1a45dfa3u
#define ID_DOCTYPE     0x4282u
#define ID_SEGMENT     0x18538067u
#define ID_TRACKS      0x1654ae6bu
#define ID_TRACK       0xaeu
#define ID_TRACK_TYPE  0x83u
#define ID_CLUSTER     0x1f43b675u
#define ID_VOID        0xecu
#define UNKNOWN        UINT64_MAX
#define TRACK_OF_VIDEO 1

/* What the walk goes into, and where that may stand; 0 is the file itself. */
static const struct {
    uint32_t id, parent;
} folders[] = {
    {ID_EBML, 0}, {ID_SEGMENT, 0}, {ID_TRACKS, ID_SEGMENT}, {ID_TRACK, ID_TRACKS}, {ID_CLUSTER, ID_SEGMENT},
};

void rb_webm_init(struct rb_webm *webm)
{
    *webm = (struct rb_webm){0};
}

static uint32_t parent(const struct rb_webm *webm)
{
    return webm->depth > 0 ? webm->inside[webm->depth - 1].id : 0;
}

static uint64_t end_of_parent(const struct rb_webm *webm)
{
    return webm->depth > 0 ? webm->inside[webm->depth - 1].end : UNKNOWN;
}

static bool is_folder(uint32_t id, uint32_t parent_id)
{
    for (size_t i = 0; i < RB_COUNT(folders); i++)
        if (folders[i].id == id && folders[i].parent == parent_id)
            return true;
    return false;
}

/* The first byte says by its leading zeros how many follow. 0 when it says none that we take. */
static unsigned length_of(uint8_t first, unsigned max)
{
    for (unsigned length = 1; length <= max; length++)
        if (first & 0x80 >> (length - 1))
            return length;
    return 0;
}

static uint64_t read_bytes(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* All ones is a size that nobody knows. */
static uint64_t read_size(const uint8_t *bytes, unsigned count)
{
    uint64_t mask = (UINT64_C(1) << 7 * count) - 1;
    uint64_t value = read_bytes(bytes, count) & mask;

    return value == mask ? UNKNOWN : value;
}

/* An id of four bytes stands right in a segment, or before it: what has no size ends there. */
static void end_the_unsized(struct rb_webm *webm, uint32_t id)
{
    if (parent(webm) == ID_CLUSTER && webm->inside[webm->depth - 1].unsized && id > 0xffffffu)
        webm->depth--;
}

static int check_place(const struct rb_webm *webm, uint32_t id, struct rb_error *err)
{
    if (webm->elements == 1 && id != ID_EBML)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file does not begin as a WebM does");
    if (webm->elements > 1 && webm->depth == 0 && id != ID_SEGMENT && id != ID_VOID)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has an element 0x%" PRIx32 " outside of its segment", id);
    if (webm->elements > RB_WEBM_MAX_ELEMENTS)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has over %d elements", RB_WEBM_MAX_ELEMENTS);
    return 0;
}

static int check_size(const struct rb_webm *webm, uint32_t id, uint64_t size, struct rb_error *err)
{
    uint64_t end = end_of_parent(webm);

    if (size == UNKNOWN && id != ID_SEGMENT && id != ID_CLUSTER)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "element 0x%" PRIx32 " has no size", id);
    if (webm->total_bytes > end || (size != UNKNOWN && size > end - webm->total_bytes))
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "element 0x%" PRIx32 " claims to be larger than the element around it",
                       id);
    return 0;
}

/* Id and size of an element are complete. */
static int enter_element(struct rb_webm *webm, unsigned id_bytes, struct rb_error *err)
{
    uint32_t id = (uint32_t)read_bytes(webm->head, id_bytes);
    uint64_t size = read_size(webm->head + id_bytes, webm->head_bytes - id_bytes);

    webm->elements++;
    webm->head_bytes = 0;
    end_the_unsized(webm, id);
    RB_TRY(check_place(webm, id, err));
    RB_TRY(check_size(webm, id, size, err));
    webm->has_segment = webm->has_segment || id == ID_SEGMENT;
    webm->has_cluster = webm->has_cluster || (id == ID_CLUSTER && parent(webm) == ID_SEGMENT);
    if (is_folder(id, parent(webm))) {
        webm->inside[webm->depth].end = size == UNKNOWN ? end_of_parent(webm) : webm->total_bytes + size;
        webm->inside[webm->depth].unsized = size == UNKNOWN;
        webm->inside[webm->depth++].id = id;
        return 0;
    }
    webm->skip_bytes = size;
    webm->value_bytes = 0;
    webm->value_id =
        (parent(webm) == ID_EBML && id == ID_DOCTYPE) || (parent(webm) == ID_TRACK && id == ID_TRACK_TYPE) ? id : 0;
    return 0;
}

static int check_value(struct rb_webm *webm, struct rb_error *err)
{
    if (webm->value_id == ID_TRACK_TYPE)
        webm->has_video = webm->has_video || read_bytes(webm->value, webm->value_bytes) == TRACK_OF_VIDEO;
    else if (webm->value_bytes < 4 || memcmp(webm->value, "webm", 4) != 0)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file is in EBML, but no WebM");
    else
        webm->has_doctype = true;
    webm->value_id = 0;
    return 0;
}

/* Gives how many bytes were taken; fails when an id or size has a form that does not exist. */
static int take_head(struct rb_webm *webm, const uint8_t *bytes, size_t count, size_t *ret_took, struct rb_error *err)
{
    for (*ret_took = 0; *ret_took < count;) {
        unsigned id_bytes, size_bytes;

        webm->head[webm->head_bytes++] = bytes[(*ret_took)++];
        webm->total_bytes++;
        id_bytes = length_of(webm->head[0], 4);
        if (id_bytes == 0)
            return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has an element whose id is none");
        if (webm->head_bytes <= id_bytes)
            continue;
        size_bytes = length_of(webm->head[id_bytes], 8);
        if (size_bytes == 0)
            return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has an element whose size is none");
        if (webm->head_bytes == id_bytes + size_bytes)
            return enter_element(webm, id_bytes, err);
    }
    return 0;
}

static int take_some(struct rb_webm *webm, const uint8_t *bytes, size_t count, size_t *ret_took, struct rb_error *err)
{
    if (webm->skip_bytes == 0)
        return take_head(webm, bytes, count, ret_took, err);
    *ret_took = (size_t)RB_MIN((uint64_t)count, webm->skip_bytes);
    for (size_t i = 0; webm->value_id != 0 && i < *ret_took && webm->value_bytes < sizeof(webm->value); i++)
        webm->value[webm->value_bytes++] = bytes[i];
    webm->skip_bytes -= *ret_took;
    webm->total_bytes += *ret_took;
    return 0;
}

int rb_webm_feed(struct rb_webm *webm, const uint8_t *bytes, size_t count, struct rb_error *err)
{
    while (count > 0) {
        size_t took = 0;

        RB_TRY(take_some(webm, bytes, count, &took, err));
        if (webm->skip_bytes == 0 && webm->value_id != 0)
            RB_TRY(check_value(webm, err));
        while (webm->skip_bytes == 0 && webm->head_bytes == 0 && webm->depth > 0 &&
               webm->inside[webm->depth - 1].end == webm->total_bytes)
            webm->depth--;
        bytes += took;
        count -= took;
    }
    return 0;
}

int rb_webm_finish(const struct rb_webm *webm, bool framed, struct rb_error *err)
{
    bool open_ended = webm->depth > 0 && end_of_parent(webm) == UNKNOWN;

    if (webm->head_bytes > 0 || webm->skip_bytes > 0 || (webm->depth > 0 && !open_ended))
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file ends inside of an element");
    if (!webm->has_doctype || !webm->has_segment || !webm->has_cluster)
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "the file has no %s", webm->has_segment ? "cluster" : "segment");
    if (open_ended && !framed)
        return rb_fail(err, RB_E_SOURCE_CUT, 0, "neither the file nor the source says where the file ends");
    if (!webm->has_video)
        return rb_fail(err, RB_E_NOT_A_VIDEO, 0, "the file has no track of pictures");
    return 0;
}
