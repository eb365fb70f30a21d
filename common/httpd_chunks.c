/*
 * httpd_chunks.c — a chunked body, read strictly. Pure.
 *
 * Way:  common
 */
#include "common/httpd_chunks.h"

#define SIZE_DIGITS         15
#define EXTENSION_MAX_BYTES 256

enum { SIZE, EXTENSION, SIZE_END, DATA, DATA_CR, DATA_LF, LAST_CR, LAST_LF, FAILED };

static int digit_of(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
        return (byte | 0x20) - 'a' + 10;
    return -1;
}

static int take_size(struct rb_chunks *chunks, char byte)
{
    int digit = digit_of(byte);

    if (digit >= 0) {
        chunks->left = chunks->left * 16 + (uint64_t)digit;
        return ++chunks->digits > SIZE_DIGITS ? FAILED : SIZE;
    }
    if (chunks->digits == 0)
        return FAILED;
    return byte == ';' ? EXTENSION : byte == '\r' ? SIZE_END : FAILED;
}

static int take_extension(struct rb_chunks *chunks, char byte)
{
    if (byte == '\r')
        return SIZE_END;
    if ((unsigned char)byte < 0x20 && byte != '\t')
        return FAILED;
    return ++chunks->extension_bytes > EXTENSION_MAX_BYTES ? FAILED : EXTENSION;
}

/* One byte of what stands around the data. */
static int take_byte(struct rb_chunks *chunks, char byte)
{
    switch (chunks->state) {
    case SIZE:
        return take_size(chunks, byte);
    case EXTENSION:
        return take_extension(chunks, byte);
    case SIZE_END:
        if (byte != '\n')
            return FAILED;
        return chunks->left > 0 ? DATA : LAST_CR;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : FAILED;
    case DATA_LF:
        chunks->digits = 0;
        chunks->extension_bytes = 0;
        return byte == '\n' ? SIZE : FAILED;
    case LAST_CR:
        return byte == '\r' ? LAST_LF : FAILED;
    default:
        return FAILED;
    }
}

enum rb_poll rb_chunks_next(struct rb_chunks *chunks, const char *bytes, size_t count, size_t *ret_used,
                            const char **ret_data, size_t *ret_data_count)
{
    size_t used = 0;

    *ret_data_count = 0;
    while (used < count && chunks->state != DATA) {
        char byte = bytes[used++];

        if (chunks->state == LAST_LF && byte == '\n') {
            *ret_used = used;
            return RB_POLL_DONE;
        }
        chunks->state = take_byte(chunks, byte);
        if (chunks->state == FAILED)
            return RB_POLL_FAILED;
    }
    if (chunks->state == DATA && used < count) {
        *ret_data = bytes + used;
        *ret_data_count = RB_MIN(count - used, chunks->left);
        used += *ret_data_count;
        chunks->left -= *ret_data_count;
        if (chunks->left == 0)
            chunks->state = DATA_CR;
    }
    *ret_used = used;
    return RB_POLL_WAIT;
}
