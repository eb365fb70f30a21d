/*
 * digits.c — bytes as text, read strictly.
 *
 * Way:  common
 */
#include "common/digits.h"

static int value_64(char digit, const char *last_two)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == last_two[0] ? 62 : digit == last_two[1] ? 63 : -1;
}

/* Digits without padding. Bits that are left over must be zero. */
static int from_64(const char *text, size_t length, const char *last_two, uint8_t *ret_bytes, size_t room)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t used = 0;

    if (length % 4 == 1)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int value = value_64(text[i], last_two);

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (used == room)
            return -1;
        ret_bytes[used++] = (uint8_t)(bits >> have);
        bits &= (1u << have) - 1;
    }
    return bits == 0 ? (int)used : -1;
}

int rb_digits_from_base64(const char *text, size_t length, uint8_t *ret_bytes, size_t room)
{
    size_t digits = length;

    if (length % 4 != 0)
        return -1;
    while (digits > 0 && length - digits < 2 && text[digits - 1] == '=')
        digits--;
    return from_64(text, digits, "+/", ret_bytes, room);
}

int rb_digits_from_secret(const char *text, size_t length, uint8_t *ret_bytes, size_t room)
{
    if (length % 4 == 0)
        return rb_digits_from_base64(text, length, ret_bytes, room);
    return from_64(text, length, "+/", ret_bytes, room);
}

int rb_digits_from_base64url(const char *text, size_t length, uint8_t *ret_bytes, size_t room)
{
    return from_64(text, length, "-_", ret_bytes, room);
}

static int value_16(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

int rb_digits_from_hex(const char *text, size_t length, uint8_t *ret_bytes, size_t room)
{
    if (length % 2 != 0 || length / 2 > room)
        return -1;
    for (size_t i = 0; i < length; i += 2) {
        int high = value_16(text[i]), low = value_16(text[i + 1]);

        if (high < 0 || low < 0)
            return -1;
        ret_bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return (int)(length / 2);
}

char *rb_digits_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * count] = '\0';
    return ret_text;
}
