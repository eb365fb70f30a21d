/*
 * random.c — unpredictable bits, and identifiers made of them.
 *
 * Way:  common
 */
#include "common/random.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/random.h>

void rb_random_fill(void *ret_bytes, size_t count)
{
    uint8_t *bytes = ret_bytes;

    while (count > 0) {
        ssize_t got = getrandom(bytes, RB_MIN(count, 256), 0);

        if (got < 0)
            continue; /* interrupted: with flags 0 and up to 256 bytes nothing else can happen */
        bytes += got;
        count -= (size_t)got;
    }
}

uint64_t rb_random(void)
{
    uint64_t bits;

    rb_random_fill(&bits, sizeof(bits));
    return bits;
}

static char *uuid_text(uint8_t *bytes, unsigned version, char *ret_text)
{
    char *out = ret_text;

    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | version << 4);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        out += snprintf(out, 3, "%02x", bytes[i]);
    }
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
