/*
 * spool_format.c — records for Kafka as bytes on a disk.
 *
 * Way:  publish -> outbox -> spool -> [spool_format]
 */
#include "producer/spool_format.h"

#include <inttypes.h>
#include <openssl/sha.h>

#define VERSION     1
#define NONE        UINT32_MAX /* the length of what is NULL */
#define CHECK_BYTES 8

/* In a frame: the magic, the checksum, and what that is of: the length and the payload. */
#define CHECK_AT  4
#define LENGTH_AT 12

static const char head_magic[8] = "RBspool\n";
static const char record_magic[4] = "RBr1";
static const char position_magic[8] = "RBplace\n";

static void put_number(uint8_t *bytes, uint64_t number, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t get_number(const uint8_t *bytes, size_t count)
{
    uint64_t number = 0;

    for (size_t i = 0; i < count; i++)
        number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}

static void add_number(struct rb_buffer *buffer, uint64_t number, size_t count)
{
    uint8_t bytes[8];

    put_number(bytes, number, count);
    rb_buffer_add(buffer, bytes, count);
}

static void add_bytes(struct rb_buffer *buffer, const void *bytes, size_t count)
{
    add_number(buffer, bytes != NULL ? count : NONE, 4);
    if (bytes != NULL)
        rb_buffer_add(buffer, bytes, count);
}

/* With its NUL, so that it can be used where it lies. */
static void add_text(struct rb_buffer *buffer, const char *text)
{
    add_bytes(buffer, text, strlen(text) + 1);
}

static void check_of(const uint8_t *bytes, size_t count, uint8_t ret_check[CHECK_BYTES])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256(bytes, count, digest);
    memcpy(ret_check, digest, CHECK_BYTES);
}

void rb_spool_format_add_head(struct rb_buffer *buffer, uint64_t segment)
{
    rb_buffer_add(buffer, head_magic, sizeof(head_magic));
    add_number(buffer, VERSION, 8);
    add_number(buffer, segment, 8);
}

int rb_spool_format_check_head(const uint8_t *bytes, size_t count, struct rb_error *err)
{
    if (count < RB_SPOOL_HEAD_BYTES || memcmp(bytes, head_magic, sizeof(head_magic)) != 0)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "it does not begin as a segment does");
    if (get_number(bytes + 8, 8) != VERSION)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "it is of version %" PRIu64 ", and this program reads version %d",
                       get_number(bytes + 8, 8), VERSION);
    return 0;
}

static void add_payload(struct rb_buffer *buffer, const struct rb_spool_record *record)
{
    add_number(buffer, (uint64_t)record->spooled_unix_ms, 8);
    add_text(buffer, record->topic);
    add_bytes(buffer, record->key, record->key_bytes);
    add_bytes(buffer, record->value, record->value_bytes);
    add_number(buffer, record->header_count, 4);
    for (size_t i = 0; i < record->header_count; i++) {
        add_text(buffer, record->headers[i].name);
        add_bytes(buffer, record->headers[i].value, record->headers[i].value_bytes);
    }
}

int rb_spool_format_add(struct rb_buffer *buffer, const struct rb_spool_record *record, struct rb_error *err)
{
    RB_AUTO_BUFFER frame = {0};
    uint8_t check[CHECK_BYTES];

    RB_ASSERT(record->header_count <= RB_SPOOL_HEADERS_MAX);
    add_number(&frame, 0, 4);
    add_payload(&frame, record);
    if (frame.used - 4 > RB_SPOOL_RECORD_MAX_BYTES - RB_SPOOL_FRAME_BYTES)
        return rb_fail(err, RB_E_BAD_EVENT, 0, "the record has %zu bytes, too many for the spool", frame.used);
    put_number((uint8_t *)frame.bytes, frame.used - 4, 4);
    check_of((const uint8_t *)frame.bytes, frame.used, check);
    rb_buffer_add(buffer, record_magic, sizeof(record_magic));
    rb_buffer_add(buffer, check, sizeof(check));
    rb_buffer_add(buffer, frame.bytes, frame.used);
    return 0;
}

/* What is left of a payload. */
struct rest {
    const uint8_t *bytes;
    size_t count;
};

static int take_number(struct rest *rest, size_t bytes, uint64_t *ret_number)
{
    if (rest->count < bytes)
        return -1;
    *ret_number = get_number(rest->bytes, bytes);
    rest->bytes += bytes;
    rest->count -= bytes;
    return 0;
}

static int take_bytes(struct rest *rest, const void **ret_bytes, size_t *ret_count)
{
    uint64_t count;

    RB_TRY(take_number(rest, 4, &count));
    *ret_bytes = NULL;
    *ret_count = 0;
    if (count == NONE)
        return 0;
    if (count > rest->count)
        return -1;
    *ret_bytes = rest->bytes;
    *ret_count = (size_t)count;
    rest->bytes += count;
    rest->count -= (size_t)count;
    return 0;
}

/* The one NUL is the last byte. */
static int take_text(struct rest *rest, const char **ret_text)
{
    const void *bytes;
    size_t count;

    RB_TRY(take_bytes(rest, &bytes, &count));
    if (bytes == NULL || count < 2 || memchr(bytes, '\0', count) != (const char *)bytes + count - 1)
        return -1;
    *ret_text = bytes;
    return 0;
}

static int parse_payload(struct rest rest, struct rb_spool_record *ret_record)
{
    struct rb_spool_record record = {0};
    uint64_t number;

    RB_TRY(take_number(&rest, 8, &number));
    record.spooled_unix_ms = (int64_t)number;
    RB_TRY(take_text(&rest, &record.topic));
    RB_TRY(take_bytes(&rest, &record.key, &record.key_bytes));
    RB_TRY(take_bytes(&rest, &record.value, &record.value_bytes));
    RB_TRY(take_number(&rest, 4, &number));
    if (number > RB_SPOOL_HEADERS_MAX)
        return -1;
    record.header_count = (size_t)number;
    for (size_t i = 0; i < record.header_count; i++) {
        RB_TRY(take_text(&rest, &record.headers[i].name));
        RB_TRY(take_bytes(&rest, &record.headers[i].value, &record.headers[i].value_bytes));
    }
    if (rest.count > 0)
        return -1;
    *ret_record = record;
    return 0;
}

/* Where the next record may begin: at its magic, or where so much of it as is there begins. */
static size_t next_magic(const uint8_t *bytes, size_t count)
{
    for (size_t at = 1; at < count; at++) {
        size_t seen = RB_MIN(count - at, sizeof(record_magic));

        if (memcmp(bytes + at, record_magic, seen) == 0)
            return at;
    }
    return count;
}

static bool is_intact(const uint8_t *frame, size_t frame_bytes)
{
    uint8_t check[CHECK_BYTES];

    check_of(frame + LENGTH_AT, frame_bytes - LENGTH_AT, check);
    return memcmp(check, frame + CHECK_AT, CHECK_BYTES) == 0;
}

enum rb_spool_found rb_spool_format_parse(const uint8_t *bytes, size_t count, bool all_there,
                                          struct rb_spool_record *ret_record, size_t *ret_bytes)
{
    size_t needed = RB_SPOOL_FRAME_BYTES;
    bool begins_well = memcmp(bytes, record_magic, RB_MIN(count, sizeof(record_magic))) == 0;

    if (begins_well && count >= RB_SPOOL_FRAME_BYTES)
        needed += (size_t)get_number(bytes + LENGTH_AT, 4);
    begins_well = begins_well && needed <= RB_SPOOL_RECORD_MAX_BYTES;
    if (begins_well && count < needed && !all_there) {
        *ret_bytes = needed;
        return RB_SPOOL_SHORT;
    }
    if (begins_well && count >= needed && is_intact(bytes, needed) &&
        parse_payload((struct rest){bytes + RB_SPOOL_FRAME_BYTES, needed - RB_SPOOL_FRAME_BYTES}, ret_record) == 0) {
        *ret_bytes = needed;
        return RB_SPOOL_GOOD;
    }
    *ret_bytes = next_magic(bytes, count);
    return RB_SPOOL_DAMAGED;
}

void rb_spool_format_put_position(const struct rb_spool_position *position, uint8_t *ret_bytes)
{
    memcpy(ret_bytes, position_magic, sizeof(position_magic));
    put_number(ret_bytes + 8, position->sequence, 8);
    put_number(ret_bytes + 16, position->segment, 8);
    put_number(ret_bytes + 24, position->offset, 8);
    check_of(ret_bytes, 32, ret_bytes + 32);
}

int rb_spool_format_get_position(const uint8_t *bytes, struct rb_spool_position *ret_position)
{
    uint8_t check[CHECK_BYTES];

    check_of(bytes, 32, check);
    if (memcmp(bytes, position_magic, sizeof(position_magic)) != 0 || memcmp(check, bytes + 32, CHECK_BYTES) != 0)
        return -1;
    *ret_position = (struct rb_spool_position){
        .sequence = get_number(bytes + 8, 8),
        .segment = get_number(bytes + 16, 8),
        .offset = get_number(bytes + 24, 8),
    };
    return 0;
}
