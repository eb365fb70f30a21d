/*
 * random.c — unpredictable bits, and identifiers made of them.
 *
 * Way:  common
 */
#include "common/random.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <sys/random.h>

#define POOL_BYTES 256 /* the most that getrandom gives whole, whatever happens */

/* Asking the kernel costs more than the bits do, so it is asked for many. Each is given out once, and wiped here. */
static _Thread_local struct {
    uint8_t bytes[POOL_BYTES];
    size_t left; /* unused, at the end */
} pool;

static void pool_fill(void)
{
    while (getrandom(pool.bytes, POOL_BYTES, 0) != POOL_BYTES)
        continue; /* interrupted while the kernel was still gathering, early after boot; nothing else can happen */
    pool.left = POOL_BYTES;
}

void rb_random_fill(void *ret_bytes, size_t count)
{
    uint8_t *bytes = ret_bytes;

    while (count > 0) {
        if (pool.left == 0)
            pool_fill();

        size_t taken = RB_MIN(count, pool.left);
        uint8_t *from = pool.bytes + POOL_BYTES - pool.left;

        memcpy(bytes, from, taken);
        explicit_bzero(from, taken);
        pool.left -= taken;
        bytes += taken;
        count -= taken;
    }
}

uint64_t rb_random(void)
{
    uint64_t bits;

    rb_random_fill(&bits, sizeof(bits));
    return bits;
}

static char *put_hex(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 0x0f];
    }
    return out;
}

char *rb_random_hex(size_t digits, char *ret_text)
{
    uint8_t bytes[16];

    RB_ASSERT(digits > 0 && digits % 2 == 0 && digits / 2 <= sizeof(bytes));
    rb_random_fill(bytes, digits / 2);
    bytes[0] |= 1; /* not all of them zero */
    *put_hex(bytes, digits / 2, ret_text) = '\0';
    return ret_text;
}

static char *uuid_text(uint8_t *bytes, unsigned version, char *ret_text)
{
    static const size_t groups[] = {4, 2, 2, 2, 6};
    char *out = ret_text;

    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | version << 4);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < RB_COUNT(groups); i++) {
        out = put_hex(bytes, groups[i], out);
        *out++ = '-';
        bytes += groups[i];
    }
    out[-1] = '\0';
    return ret_text;
}

char *rb_uuid_new(char *ret_text)
{
    uint8_t bytes[16];

    rb_random_fill(bytes, sizeof(bytes));
    return uuid_text(bytes, 4, ret_text);
}

char *rb_uuid_of_name(const char *name, char *ret_text)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)name, strlen(name), digest);
    return uuid_text(digest, 8, ret_text);
}

bool rb_uuid_parse(const char *text, char *ret_text)
{
    char lower[RB_UUID_TEXT_BYTES] = "";

    if (text == NULL || strnlen(text, RB_UUID_TEXT_BYTES) != RB_UUID_TEXT_BYTES - 1)
        return false;
    for (size_t i = 0; i < RB_UUID_TEXT_BYTES - 1; i++) {
        unsigned char c = (unsigned char)text[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? c != '-' : !isxdigit(c))
            return false;
        lower[i] = (char)tolower(c);
    }
    if (ret_text != NULL)
        memcpy(ret_text, lower, sizeof(lower));
    return true;
}
