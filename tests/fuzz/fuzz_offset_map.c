/*
 * Whatever stands beside a committed offset: a map, or none; never a crash, never runs that are out of order.
 *
 * The first byte says what is made of the rest: a text as it is; a text with a check value that is right, which no luck would
 * find; or a map that is written and read.
 */
#include "consumer/offset_map.c"

enum { AS_TEXT, AS_BITS, AS_RUNS, AS_MAP, WAYS };

#define HEAD_BYTES 10 /* way, seed, base */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void check_runs(const struct rb_offset_map *map, int64_t base)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct rb_offset_run *run = &map->runs[i];

        RB_ASSERT(run->from >= (i > 0 ? map->runs[i - 1].to + 1 : base));
        RB_ASSERT(run->from < run->to && run->to <= OFFSET_HIGHEST);
        RB_ASSERT(rb_offset_map_find(map, run->from) == run && rb_offset_map_find(map, run->to - 1) == run);
        RB_ASSERT(rb_offset_map_find(map, run->to) == NULL);
    }
}

/* What does not fit is left out from the top. */
static void check_written(const struct rb_offset_map *map, uint64_t seed, int64_t base)
{
    char text[RB_OFFSET_MAP_TEXT_BYTES];
    size_t length = rb_offset_map_write(map, seed, base, text);
    struct rb_offset_map read;

    RB_ASSERT(length <= RB_OFFSET_MAP_TEXT_MAX && strlen(text) == length);
    RB_ASSERT(rb_offset_map_read(text, length, seed, base, &read) == (length > 0));
    RB_ASSERT(read.count <= map->count && (read.count == map->count || length > RB_OFFSET_MAP_TEXT_MAX - 32));
    RB_ASSERT(read.count == 0 || memcmp(read.runs, map->runs, read.count * sizeof(*map->runs)) == 0);
    rb_offset_map_done(&read);
}

static void read_text(const void *text, size_t count, uint64_t seed, int64_t base)
{
    struct rb_offset_map map;

    if (rb_offset_map_read(text, count, seed, base, &map)) {
        check_runs(&map, base);
        check_written(&map, seed, base);
        rb_offset_map_done(&map);
        RB_ASSERT(!rb_offset_map_read(text, count, seed + 1, base, &map));
    }
    RB_ASSERT(map.count == 0 && map.runs == NULL);
}

static void read_signed(char kind, const uint8_t *bytes, size_t count, uint64_t seed, int64_t base)
{
    struct body body = {.count = RB_MIN(count, BODY_MAX)};
    char text[RB_OFFSET_MAP_TEXT_BYTES];

    memcpy(body.bytes, bytes, body.count);
    read_text(text, write_text(kind, seed, base, &body, text), seed, base);
}

/* Short and long ones, in a byte. */
static int64_t length_of(uint8_t byte)
{
    return (int64_t)(byte & 0x3f) << 12 * (byte >> 6);
}

/* Pairs of bytes: so many that are unfinished, and so many that are. */
static void write_map(const uint8_t *bytes, size_t count, uint64_t seed, int64_t base)
{
    struct rb_offset_map map = {0};
    int64_t at = base;

    for (size_t i = 0; i + 1 < count; i += 2) {
        int64_t from = at + length_of(bytes[i]) + (i > 0);
        int64_t to = from + length_of(bytes[i + 1]) + 1;

        if (to > OFFSET_HIGHEST)
            break;
        rb_offset_map_add(&map, from, to);
        at = to;
    }
    check_runs(&map, base);
    check_written(&map, seed, base);
    rb_offset_map_done(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    int64_t base;

    if (count < HEAD_BYTES)
        return -1;
    memcpy(&base, bytes + 2, sizeof(base));

    if (bytes[1] % 2 == 0) /* there things get tight */
        base = OFFSET_HIGHEST - (base & 0xffff);

    uint64_t seed = bytes[1];
    const uint8_t *rest = bytes + HEAD_BYTES;

    count -= HEAD_BYTES;
    switch (bytes[0] % WAYS) {
    case AS_TEXT:
        read_text(rest, count, seed, base);
        break;
    case AS_BITS:
        read_signed(KIND_BITS, rest, count, seed, base);
        break;
    case AS_RUNS:
        read_signed(KIND_RUNS, rest, count, seed, base);
        break;
    case AS_MAP:
        write_map(rest, count, seed, base & OFFSET_HIGHEST);
        break;
    }
    return 0;
}
