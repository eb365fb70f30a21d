/*
 * offset_map.c — which records above a committed offset are finished, as text that is committed beside it.
 *
 * Way:  [consume] <- offsets <- offset_map
 */
#include "consumer/offset_map.h"

#include <openssl/evp.h>

#include "common/digits.h"
#include "common/hash.h"

#define PREFIX         "reelbus1"
#define HEAD_CHARS     (sizeof(PREFIX) + 1) /* with the kind and a colon */
#define CHECK_BYTES    4
#define PAYLOAD_MAX    ((RB_OFFSET_MAP_TEXT_MAX - HEAD_CHARS) / 4 * 3)
#define BODY_MAX       (PAYLOAD_MAX - CHECK_BYTES)
#define NUMBER_BYTES   9               /* 63 bits */
#define OFFSET_HIGHEST (INT64_MAX / 2) /* no record has it; sums of two do not overflow */

enum { KIND_BITS = 'b', KIND_RUNS = 'r' };

struct body {
    uint8_t bytes[PAYLOAD_MAX];
    size_t count;
};

/* -- the map ------------------------------------------------------------------------------------------------------- */

void rb_offset_map_done(struct rb_offset_map *map)
{
    free(map->runs);
    *map = (struct rb_offset_map){0};
}

void rb_offset_map_add(struct rb_offset_map *map, int64_t from, int64_t to)
{
    struct rb_offset_run *last = map->count > 0 ? &map->runs[map->count - 1] : NULL;

    RB_ASSERT(from < to && (last == NULL || last->to <= from));
    if (last != NULL && last->to == from) {
        last->to = to;
        return;
    }
    if (map->count == map->cap) {
        map->cap = RB_MAX(map->cap * 2, 16);
        map->runs = rb_xrealloc(map->runs, map->cap * sizeof(*map->runs));
    }
    map->runs[map->count++] = (struct rb_offset_run){from, to};
}

const struct rb_offset_run *rb_offset_map_find(const struct rb_offset_map *map, int64_t offset)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (map->runs[middle].to <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->count && map->runs[low].from <= offset ? &map->runs[low] : NULL;
}

uint64_t rb_offset_map_seed(const char *topic, int32_t partition)
{
    return rb_hash_more(rb_hash_text(topic), &partition, sizeof(partition));
}

static void check_value(uint64_t seed, int64_t base, char kind, const struct body *body, uint8_t ret_bytes[CHECK_BYTES])
{
    uint64_t hash = rb_hash_more(rb_hash_more(seed, &base, sizeof(base)), &kind, 1);

    hash = rb_hash_more(hash, body->bytes, body->count);
    hash ^= hash >> 32;
    for (size_t i = 0; i < CHECK_BYTES; i++)
        ret_bytes[i] = (uint8_t)(hash >> 8 * i);
}

/* -- runs ---------------------------------------------------------------------------------------------------------- */

static size_t put_number(uint8_t *bytes, uint64_t number)
{
    size_t count = 0;

    for (; number >= 0x80; number >>= 7)
        bytes[count++] = (uint8_t)(number | 0x80);
    bytes[count++] = (uint8_t)number;
    return count;
}

/* Gives -1 when there is none, or it is not written the shortest way. */
static int64_t take_number(const struct body *body, size_t *at)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < NUMBER_BYTES && *at < body->count; i++) {
        uint8_t byte = body->bytes[(*at)++];

        number |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80)
            return byte == 0 && i > 0 ? -1 : (int64_t)number;
    }
    return -1;
}

/* Gives whether all runs fit. */
static bool write_runs(const struct rb_offset_map *map, int64_t base, struct body *body)
{
    for (size_t i = 0; i < map->count; i++) {
        uint8_t pair[2 * (NUMBER_BYTES + 1)];
        size_t count = put_number(pair, (uint64_t)(map->runs[i].from - base));

        count += put_number(pair + count, (uint64_t)(map->runs[i].to - map->runs[i].from));
        if (body->count + count > BODY_MAX)
            return false;
        memcpy(body->bytes + body->count, pair, count);
        body->count += count;
        base = map->runs[i].to;
    }
    return true;
}

static bool read_runs(const struct body *body, int64_t base, struct rb_offset_map *map)
{
    for (size_t at = 0; at < body->count;) {
        int64_t unfinished = take_number(body, &at);
        int64_t finished = take_number(body, &at);

        if (unfinished < (map->count > 0 ? 1 : 0) || finished < 1)
            return false;
        if (unfinished > OFFSET_HIGHEST - base || finished > OFFSET_HIGHEST - base - unfinished)
            return false;
        rb_offset_map_add(map, base + unfinished, base + unfinished + finished);
        base += unfinished + finished;
    }
    return true;
}

/* -- bits ---------------------------------------------------------------------------------------------------------- */

/* Gives whether all bits fit. */
static bool write_bits(const struct rb_offset_map *map, int64_t base, struct body *body)
{
    int64_t bits = map->runs[map->count - 1].to - base;

    if (bits > 8 * (int64_t)BODY_MAX)
        return false;
    body->count = (size_t)(bits + 7) / 8;
    memset(body->bytes, 0, body->count);
    for (size_t i = 0; i < map->count; i++)
        for (int64_t bit = map->runs[i].from - base; bit < map->runs[i].to - base; bit++)
            body->bytes[bit / 8] |= (uint8_t)(1u << bit % 8);
    return true;
}

static bool read_bits(const struct body *body, int64_t base, struct rb_offset_map *map)
{
    if (body->count == 0 || body->bytes[body->count - 1] == 0)
        return false; /* not the shortest way */
    for (size_t bit = 0; bit < 8 * body->count; bit++)
        if (body->bytes[bit / 8] & 1u << bit % 8)
            rb_offset_map_add(map, base + (int64_t)bit, base + (int64_t)bit + 1);
    return map->runs[map->count - 1].to <= OFFSET_HIGHEST;
}

/* -- text ---------------------------------------------------------------------------------------------------------- */

static size_t write_text(char kind, uint64_t seed, int64_t base, const struct body *body,
                         char ret_text[RB_OFFSET_MAP_TEXT_BYTES])
{
    uint8_t payload[PAYLOAD_MAX];

    check_value(seed, base, kind, body, payload);
    memcpy(payload + CHECK_BYTES, body->bytes, body->count);
    snprintf(ret_text, RB_OFFSET_MAP_TEXT_BYTES, PREFIX "%c:", kind);
    return HEAD_CHARS +
           (size_t)EVP_EncodeBlock((uint8_t *)ret_text + HEAD_CHARS, payload, (int)(CHECK_BYTES + body->count));
}

size_t rb_offset_map_write(const struct rb_offset_map *map, uint64_t seed, int64_t base,
                           char ret_text[RB_OFFSET_MAP_TEXT_BYTES])
{
    struct body runs = {.count = 0}, bits = {.count = 0};

    ret_text[0] = '\0';
    if (map->count == 0)
        return 0;
    RB_ASSERT(map->runs[0].from >= base);

    bool runs_fit = write_runs(map, base, &runs);
    bool bits_fit = write_bits(map, base, &bits);

    if (bits_fit && (!runs_fit || bits.count < runs.count))
        return write_text(KIND_BITS, seed, base, &bits, ret_text);
    return write_text(KIND_RUNS, seed, base, &runs, ret_text);
}

/* The characters of a text to kind and body; false when they are not such. */
static bool open_text(const char *text, size_t bytes, uint64_t seed, int64_t base, struct body *body, char *ret_kind)
{
    uint8_t payload[PAYLOAD_MAX], check[CHECK_BYTES];
    int count;

    if (bytes <= HEAD_CHARS || bytes > RB_OFFSET_MAP_TEXT_MAX || memcmp(text, PREFIX, sizeof(PREFIX) - 1) != 0 ||
        text[HEAD_CHARS - 1] != ':')
        return false;
    *ret_kind = text[HEAD_CHARS - 2];
    count = rb_digits_from_base64(text + HEAD_CHARS, bytes - HEAD_CHARS, payload, sizeof(payload));
    if (count < CHECK_BYTES)
        return false;
    body->count = (size_t)count - CHECK_BYTES;
    memcpy(body->bytes, payload + CHECK_BYTES, body->count);
    check_value(seed, base, *ret_kind, body, check);
    return memcmp(check, payload, CHECK_BYTES) == 0;
}

bool rb_offset_map_read(const void *text, size_t bytes, uint64_t seed, int64_t base, struct rb_offset_map *map)
{
    struct body body;
    char kind;
    bool read = false;

    *map = (struct rb_offset_map){0};
    if (text == NULL || base < 0 || base > OFFSET_HIGHEST || !open_text(text, bytes, seed, base, &body, &kind))
        return false;
    if (kind == KIND_BITS)
        read = read_bits(&body, base, map);
    else if (kind == KIND_RUNS)
        read = read_runs(&body, base, map);
    if (!read || map->count == 0) {
        rb_offset_map_done(map);
        return false;
    }
    return true;
}

bool rb_offset_map_would_fit(int64_t span, size_t unfinished, size_t share)
{
    uint8_t number[NUMBER_BYTES + 1];
    size_t room = BODY_MAX / share;

    return (uint64_t)span <= 8 * room || unfinished * 2 * put_number(number, (uint64_t)span) <= room;
}
